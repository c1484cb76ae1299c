import { type Client, isGrpcDeadlineError } from '@temporalio/client';
import type { Command } from 'commander';
import { stopSignal } from '../../workflows/messages.js';
import { validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import { accountWorkflowId } from '../domain/ids.js';
import { removeSchedules } from '../temporal/schedules.js';
import { commandEnvironment } from './context.js';
import { orSay } from './schedule-failure.js';
import { orNotRunning } from './signals.js';
import { hasWorker } from './task-queue.js';
import { withTemporal } from './temporal-client.js';

/** A workflow that leaves gives its children 30 seconds. */
const STOP_TIMEOUT_MS = 40_000;

export function configureStop(command: Command): void {
  command.argument('<alias>', 'the account').action(async (alias: string) => {
    const account = validateAlias(alias);
    const said = await withTemporal(commandEnvironment(), (client) => stopAccount(client, account));
    process.stdout.write(`${said}\n`);
  });
}

/**
 * Tells an account to stop, and waits until it has, so that a `start` right after finds it ended.
 *
 * @returns what became of it, in words
 * @throws UserError where it does not run
 */
export async function stopAccount(client: Client, account: string): Promise<string> {
  const handle = client.workflow.getHandle(accountWorkflowId(account));
  const unscheduled = () =>
    orSay(account, 'its schedules were not all removed', () => removeSchedules(client, account));
  try {
    await orNotRunning(account, () => handle.signal(stopSignal));
  } catch (error) {
    // An account that somebody terminated leaves its schedules behind.
    if (error instanceof UserError) await unscheduled();
    throw error;
  }
  await unscheduled();
  const { taskQueue } = await handle.describe();
  if (!(await hasWorker(client, taskQueue))) {
    return `${account} stops as soon as a worker runs; none polls its task queue ${taskQueue} at present.`;
  }
  try {
    await client.connection.withDeadline(Date.now() + STOP_TIMEOUT_MS, () => handle.result());
  } catch (error) {
    if (isOverdue(error))
      return `${account} is stopping still. See when it has: stripe-sync status ${account}`;
    throw error;
  }
  return `${account} is stopped. It goes on from its cursor with: stripe-sync start ${account}`;
}

function isOverdue(error: unknown): boolean {
  return isGrpcDeadlineError(error) || (error instanceof Error && isGrpcDeadlineError(error.cause));
}
