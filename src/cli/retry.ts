import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import type { Pool } from 'pg';
import type { AccountStatus } from '../../workflows/messages.js';
import { wakeSignal } from '../../workflows/messages.js';
import { validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import { accountWorkflowId } from '../domain/ids.js';
import { type RetriedEvent, type RetriedEvents, readRetried, retryEvents } from '../postgres/retry-events.js';
import { isRunning } from '../temporal/launch-account.js';
import { queryStatus } from './account-report.js';
import { commandEnvironment } from './context.js';
import { withDatabase } from './database.js';
import { assertKnown } from './failures.js';
import { changes, oneLine } from './failures-text.js';
import { createLiveLine } from './live-line.js';
import { shutdownRequested, within } from './shutdown.js';
import { orNotRunning } from './signals.js';
import { withTemporal } from './temporal-client.js';

const LOOK_EVERY_MS = 500;
const PROGRESS_EVERY_MS = 5_000;
/** How many looks at the ledger come between two at the workflow. */
const LOOKS_PER_QUESTION = 10;
/** Events that are named one by one on the terminal. */
const MOST_NAMED = 20;

export function configureRetry(command: Command): void {
  command
    .argument('<alias>', 'the account')
    .argument('[events...]', 'these events; all that are parked without them')
    .option('--wait', 'until each has its outcome; fails where one is parked again')
    .action(async (alias: string, events: string[], options: { wait?: boolean }) => {
      const account = validateAlias(alias);
      const env = commandEnvironment();
      await withDatabase(env, async (pool) => {
        await assertKnown(env, pool, account);
        await withTemporal(env, (client) => retry(client, pool, account, { events, ...options }));
      });
    });
}

async function retry(
  client: Client,
  pool: Pool,
  account: string,
  { events, wait = false }: { readonly events: readonly string[]; readonly wait?: boolean },
): Promise<void> {
  // Asked before anything changes: nobody waits for what nobody takes.
  if (wait) assertTakes(account, await queryStatus(client, account));
  const { taken, refused } = await retryEvents(pool, account, events.length === 0 ? null : events);
  if (refused.length > 0) throw new UserError(refusalText(account, refused));
  if (taken.length === 0) {
    process.stdout.write(`${account}: no parked changes\n`);
    return;
  }
  const runs = await wake(client, account);
  process.stdout.write(`${await takenText(client, account, taken.length, runs)}\n`);
  if (wait) await follow(client, pool, account, taken);
}

function assertTakes(account: string, status: AccountStatus | null): void {
  if (status === null) {
    throw new UserError(
      `${account} does not run, so nobody takes the changes. Start it with: stripe-sync start ${account}`,
    );
  }
  if (status.state === 'running') return;
  throw new UserError(
    status.state === 'paused'
      ? `${account} is paused, so nobody takes the changes. Let it go on with: stripe-sync resume ${account}`
      : `${account} is stopping, so nobody takes the changes. Once it has, start it with: stripe-sync start ${account}`,
  );
}

function refusalText(account: string, refused: RetriedEvents['refused']): string {
  const named = refused.slice(0, MOST_NAMED).map(({ id, known, outcome }) => {
    if (!known) return `${oneLine(id)} is unknown`;
    return outcome === null ? `${id} is pending already` : `${id} is not parked but ${outcome}`;
  });
  const left = refused.length - named.length;
  const more = left === 0 ? '' : `, and ${left} more`;
  return `Nothing was taken again: ${named.join(', ')}${more}. See what is parked: stripe-sync failures ${account}`;
}

/** Whether it runs: an idle account hears of the changes at once, not with its next look. */
async function wake(client: Client, account: string): Promise<boolean> {
  if (!(await isRunning(client, account))) return false;
  try {
    await orNotRunning(account, () =>
      client.workflow.getHandle(accountWorkflowId(account)).signal(wakeSignal),
    );
    return true;
  } catch (error) {
    // Stopped between the two questions.
    if (error instanceof UserError) return false;
    throw error;
  }
}

async function takenText(client: Client, account: string, count: number, runs: boolean): Promise<string> {
  const said = `${account} takes ${changes(count)} again`;
  if (!runs) return `${said} with its next start: stripe-sync start ${account}`;
  // A worker that does not answer changes nothing about what was done.
  const status = await queryStatus(client, account).catch((error: unknown) => {
    if (error instanceof UserError) return error;
    throw error;
  });
  if (status instanceof UserError) return `${said} as soon as a worker answers. ${status.message}`;
  return status?.state === 'paused'
    ? `${said} once it goes on: stripe-sync resume ${account}`
    : `${said}. What became of them: stripe-sync failures ${account}`;
}

/** @throws UserError where one is parked again, or its account stops; Ctrl-C ends only the waiting */
async function follow(client: Client, pool: Pool, account: string, ids: readonly string[]): Promise<void> {
  const asked = shutdownRequested();
  const line = createLiveLine();
  try {
    for (let look = 1; ; look += 1) {
      const retried = await readRetried(pool, account, ids);
      const pending = retried.filter(({ outcome }) => outcome === null);
      if (pending.length === 0) {
        line.say(outcomesText(retried));
        return assertNoneParked(account, retried);
      }
      line.show(`${changes(pending.length)} of ${ids.length} still pending`, PROGRESS_EVERY_MS);
      if (look % LOOKS_PER_QUESTION === 0 && !(await isRunning(client, account))) {
        throw new UserError(
          `${account} was stopped with ${changes(pending.length)} pending. They are taken by its next start: ` +
            `stripe-sync start ${account}`,
        );
      }
      if ((await within(asked, LOOK_EVERY_MS)) !== undefined) return;
    }
  } finally {
    line.clear();
  }
}

const MEANS: Readonly<Record<string, string>> = {
  applied: 'applied',
  stale: 'stale (a newer state was there already)',
  fetched: 'settled by a read',
  ignored: 'ignored',
  parked: 'parked again',
};

function outcomesText(retried: readonly RetriedEvent[]): string {
  const counted = Object.entries(MEANS).flatMap(([outcome, means]) => {
    const count = retried.filter((event) => event.outcome === outcome).length;
    return count === 0 ? [] : [`${count} ${means}`];
  });
  return counted.join(', ');
}

function assertNoneParked(account: string, retried: readonly RetriedEvent[]): void {
  const parked = retried.filter(({ outcome }) => outcome === 'parked');
  if (parked.length === 0) return;
  for (const { id, error } of parked.slice(0, MOST_NAMED)) {
    process.stdout.write(`  ${id}  ${oneLine(error ?? '')}\n`);
  }
  if (parked.length > MOST_NAMED) process.stdout.write(`  and ${parked.length - MOST_NAMED} more\n`);
  throw new UserError(
    `${parked.length} of ${changes(retried.length)} could not be applied again. See them with: stripe-sync failures ${account}`,
  );
}
