import { temporalTarget } from '../temporal/connection.js';
import type { DevOptions } from './dev.js';
import { resumeOrStart, sandboxAlias } from './dev-account.js';
import { startSession } from './dev-session.js';
import { watchAccount } from './dev-watch.js';
import { createLiveLine } from './live-line.js';
import type { Sandbox } from './sandbox.js';
import { claimSandbox, removeSandbox, SANDBOX_DIRECTORY, writeSandbox } from './sandbox-file.js';
import { shutdownRequested } from './shutdown.js';
import { createUndoStack } from './undo-stack.js';

/** Runs the sandbox of this folder until Ctrl-C. What it holds is kept, and resumed by the next start. */
export async function runUntilAsked(options: DevOptions): Promise<void> {
  const directory = SANDBOX_DIRECTORY;
  const line = createLiveLine();
  const undo = createUndoStack();
  const stopped = new AbortController();
  undo.add(await claimSandbox(directory));
  const asked = shutdownRequested().then((signal) => {
    line.clear();
    line.say('Stopping. What runs is given time to end …');
    stopped.abort();
    return { signal };
  });
  try {
    line.say('Starting the sandbox');
    const ports = {
      postgres: options.postgresPort,
      temporal: options.temporalPort,
      ui: options.uiPort,
      stripe: options.stripePort,
    };
    const { seed, webhooks } = options;
    const { signal } = stopped;
    const session = await startSession({ directory, seed, ports, webhooks, line, signal }, undo);
    const { sandbox, taskQueue } = session;
    writeSandbox(directory, { ...sandbox.brought, STRIPE_SYNC_TASK_QUEUE: taskQueue });
    undo.add(() => removeSandbox(directory));

    const account = sandboxAlias(sandbox);
    const resumed = await resumeOrStart(session, account, directory);
    stopped.signal.throwIfAborted();
    const deliveredTo = session.deliverWebhooks(account);
    sandbox.simulator?.startTraffic({ changesPerSecond: options.rate });
    undo.add(() => sandbox.simulator?.stopTraffic());
    line.say(howToLookIn(sandbox, account, resumed, deliveredTo));
    await watchAccount(session, account, line, asked);
  } catch (error) {
    // Asked to end while it started: that is what it does.
    if (!stopped.signal.aborted) throw error;
  } finally {
    await undo.run();
  }
  line.say('Everything is stopped.');
}

function howToLookIn(
  { temporalUi, psql, env }: Sandbox,
  account: string,
  resumed: boolean,
  deliveredTo: string | null,
): string {
  const places = [
    [`npx stripe-sync status ${account} --watch`, 'how far it is'],
    [`npx stripe-sync pause ${account}`, 'also: resume, resync, stop'],
    ["Temporal's web UI", temporalUi ?? `that of the server at ${temporalTarget(env).address}`],
  ] as const;
  const width = Math.max(...places.map(([place]) => place.length));
  return [
    '',
    resumed ? `The account ${account} goes on where it stopped.` : `The account ${account} is syncing.`,
    ...(deliveredTo === null ? [] : [`Webhooks are on: the simulator delivers to ${deliveredTo}`]),
    'Look at it from another terminal in this folder:',
    '',
    ...places.map(([place, shows]) => `  ${place.padEnd(width)}  ${shows}`),
    '',
    `  ${psql}`,
    '    select id, email, created from stripe.customers order by created desc limit 10;',
    '',
    'Ctrl-C stops everything. The next start goes on where this one stopped.',
    '',
  ].join('\n');
}
