import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../domain/failures.js';
import { accountWorkflowId } from '../domain/ids.js';
import { reportAccount } from './account-report.js';
import type { DevOptions } from './dev.js';
import { sandboxAlias } from './dev-account.js';
import { type Session, startSession } from './dev-session.js';
import { watchAccount } from './dev-watch.js';
import { createLiveLine, type LiveLine } from './live-line.js';
import { createRunDirectory, removeRunDirectory } from './run-directory.js';
import { isRight, runReportText, settleAndReport } from './run-report.js';
import { shutdownRequested } from './shutdown.js';
import { startAccount } from './start-account.js';
import { statusText } from './status-text.js';
import { stopAccount } from './stop.js';
import { createUndoStack } from './undo-stack.js';

type BoundedOptions = DevOptions & { readonly for: number };

/**
 * Runs a sandbox of its own for a while, so that what an earlier one left plays no part, and compares. Nothing
 * of it is left, but for the rows where the database is somebody's own. Sets exit code 1 on a difference.
 *
 * @throws UserError where it was interrupted, or a part of it failed
 */
export async function runBounded(options: BoundedOptions): Promise<void> {
  const line = createLiveLine();
  const undo = createUndoStack();
  const stopped = new AbortController();
  const { signal } = stopped;
  const interrupted = shutdownRequested().then((name) => {
    stopped.abort(new UserError(`${name} ended the run before its time; nothing was compared.`));
    return Promise.reject(signal.reason);
  });
  interrupted.catch(() => undefined);
  const directory = createRunDirectory();
  undo.add(() => removeRunDirectory(directory));
  try {
    line.say('Starting a sandbox of its own');
    const { seed = 1, webhooks } = options;
    const session = await startSession({ directory, seed, ports: null, webhooks, line, signal }, undo);
    const { simulator } = session.sandbox;
    const account = boundedAlias(session);
    const since = simulator === null ? 0 : Math.floor(simulator.now());
    simulator?.startTraffic({ changesPerSecond: options.rate });
    undo.add(() => simulator?.stopTraffic());
    await startAccount(session.client, session.taskQueue, account, {});
    undo.add(() => leave(session, account));
    signal.throwIfAborted();
    const deliveredTo = session.deliverWebhooks(account);
    const how = deliveredTo === null ? 'by polling alone' : 'with webhooks';
    line.say(`The account ${account} runs for ${options.for} s (seed ${seed}), ${how}.`);

    const end = Date.now() + options.for * 1000;
    const left = () => `, ${Math.max(0, Math.round((end - Date.now()) / 1000))} s left`;
    const over = sleep(options.for * 1000, {}, { signal });
    await watchAccount(session, account, line, Promise.race([over, interrupted]), left);
    simulator?.stopTraffic();
    await whileAllRuns(session, interrupted, (over) => compare(session, account, since, line, over));
  } finally {
    line.clear();
    await undo.run();
  }
  line.say('Everything is stopped.');
}

/** Where a part is somebody's own, an account of its name may be there already. */
function boundedAlias({ sandbox }: Session): string {
  const { brought } = sandbox;
  const isOwnWorld = brought.DATABASE_URL !== undefined && brought.TEMPORAL_ADDRESS !== undefined;
  return isOwnWorld ? sandboxAlias(sandbox) : `${sandboxAlias(sandbox)}-${Date.now().toString(36)}`;
}

/** A server that is not the sandbox's own would keep the workflow, and no worker would ever take it up. */
async function leave({ sandbox, client }: Session, account: string): Promise<void> {
  if (sandbox.brought.TEMPORAL_ADDRESS !== undefined) return;
  await stopAccount(client, account);
  await client.workflow
    .getHandle(accountWorkflowId(account))
    .terminate('The run of the sandbox is over')
    .catch(() => undefined);
}

/** Runs `body`, whose signal aborts when a part fails or somebody interrupts; nothing of it is left running. */
async function whileAllRuns(
  { failed }: Session,
  interrupted: Promise<never>,
  body: (over: AbortSignal) => Promise<void>,
): Promise<void> {
  const over = new AbortController();
  const work = body(over.signal);
  try {
    await Promise.race([work, failed, interrupted]);
  } finally {
    over.abort();
    await work.catch(() => undefined);
  }
}

async function compare(
  session: Session,
  account: string,
  since: number,
  line: LiveLine,
  signal: AbortSignal,
): Promise<void> {
  const { sandbox, client, pool } = session;
  if (sandbox.simulator === null) {
    line.say(statusText(await reportAccount(client, pool, account)));
    line.say('There is no truth to compare with: Stripe is not the simulator.');
    return;
  }
  line.say(
    'Traffic has stopped. The last changes come to rest, and what changes without an event is listed once more.',
  );
  const report = await settleAndReport({
    client,
    pool,
    simulator: sandbox.simulator,
    account,
    since,
    signal,
  });
  line.say(runReportText(report));
  if (!isRight(report)) process.exitCode = 1;
}
