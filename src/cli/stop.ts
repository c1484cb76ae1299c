import { type Client, isGrpcDeadlineError } from '@temporalio/client';
import type { Command } from 'commander';
import { stopSignal } from '../../workflows/messages.js';
import { validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import { accountWorkflowId } from '../domain/ids.js';
import { isFollowing } from '../temporal/follow-schedule.js';
import { removeSchedules } from '../temporal/schedules.js';
import { commandEnvironment } from './context.js';
import { withDatabase } from './database.js';
import { orSay } from './schedule-failure.js';
import { orNotRunning } from './signals.js';
import { hasWorker } from './task-queue.js';
import { withTemporal } from './temporal-client.js';

/** A workflow that leaves gives its children 30 seconds. */
const STOP_TIMEOUT_MS = 40_000;

export function configureStop(command: Command): void {
  command
    .argument('<alias>', 'the account')
    .option(
      '--all-connected',
      'in place of the account itself: all accounts that are connected to it, and the following of new ones',
    )
    .action(async (alias: string, { allConnected = false }: { readonly allConnected?: boolean }) => {
      const account = validateAlias(alias);
      const env = commandEnvironment();
      const said = await withTemporal(env, async (client) => {
        if (!allConnected) return [await stopAccount(client, account)];
        const { stopConnected } = await import('./stop-connected.js');
        return withDatabase(env, (pool) => stopConnected(client, pool, account));
      });
      process.stdout.write(`${said.join('\n')}\n`);
    });
}

/**
 * Tells an account to stop, and waits until it has, so that a `start` right after finds it ended.
 *
 * @returns what became of it, in words
 * @throws UserError where it does not run
 */
export async function stopAccount(client: Client, account: string): Promise<string> {
  const { ending, taskQueue } = await endAccount(client, account);
  return endingText(account, ending, taskQueue);
}

/** How far a stop has come: done, under way still, or waiting for a worker. */
export type Ending = 'stopped' | 'stopping' | 'waiting';

/** As `stopAccount`, for whoever says it in words of its own. */
export async function endAccount(
  client: Client,
  account: string,
): Promise<{ readonly ending: Ending; readonly taskQueue: string }> {
  const handle = client.workflow.getHandle(accountWorkflowId(account));
  const unscheduled = () =>
    orSay(account, 'its schedules were not all removed', () => removeSchedules(client, account));
  try {
    await orNotRunning(account, () => handle.signal(stopSignal));
  } catch (error) {
    // An account that somebody terminated leaves its schedules behind.
    if (!(error instanceof UserError)) throw error;
    await unscheduled();
    if (!(await isFollowing(client, account).catch(() => false))) throw error;
    throw new UserError(
      `${account} does not run itself. Stop its connected accounts with: stripe-sync stop ${account} --all-connected`,
    );
  }
  await unscheduled();
  const { taskQueue } = await handle.describe();
  if (!(await hasWorker(client, taskQueue))) return { ending: 'waiting', taskQueue };
  try {
    await client.connection.withDeadline(Date.now() + STOP_TIMEOUT_MS, () => handle.result());
  } catch (error) {
    if (isOverdue(error)) return { ending: 'stopping', taskQueue };
    throw error;
  }
  return { ending: 'stopped', taskQueue };
}

export function endingText(account: string, ending: Ending, taskQueue: string): string {
  switch (ending) {
    case 'stopped':
      return `${account} is stopped. It goes on from its cursor with: stripe-sync start ${account}`;
    case 'stopping':
      return `${account} is stopping still. See when it has: stripe-sync status ${account}`;
    case 'waiting':
      return `${account} stops as soon as a worker runs; none polls its task queue ${taskQueue} at present.`;
  }
}

function isOverdue(error: unknown): boolean {
  return isGrpcDeadlineError(error) || (error instanceof Error && isGrpcDeadlineError(error.cause));
}
