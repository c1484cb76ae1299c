import { WorkflowNotFoundError } from '@temporalio/client';
import type { Command } from 'commander';
import { pauseSignal, resumeSignal } from '../../workflows/messages.js';
import { validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import { accountWorkflowId } from '../domain/ids.js';
import { pauseSchedules } from '../temporal/schedules.js';
import { commandEnvironment } from './context.js';
import { orSay } from './schedule-failure.js';
import { withTemporal } from './temporal-client.js';

export function configurePause(command: Command): void {
  sends(
    command,
    pauseSignal,
    true,
    (account) => `${account} is paused. It goes on with: stripe-sync resume ${account}`,
  );
}

export function configureResume(command: Command): void {
  sends(command, resumeSignal, false, (account) => `${account} goes on from its cursor.`);
}

function sends(
  command: Command,
  signal: typeof pauseSignal | typeof resumeSignal,
  pauses: boolean,
  said: (account: string) => string,
): void {
  command.argument('<alias>', 'the account').action(async (alias: string) => {
    const account = validateAlias(alias);
    await withTemporal(commandEnvironment(), async (client) => {
      const handle = client.workflow.getHandle(accountWorkflowId(account));
      await orNotRunning(account, () => handle.signal(signal));
      const what = pauses ? 'its schedules were not all paused' : 'its schedules were not all resumed';
      const note = `${account} was ${pauses ? 'paused' : 'resumed'} with stripe-sync ${command.name()}`;
      await orSay(account, what, () => pauseSchedules(client, account, pauses, note));
    });
    process.stdout.write(`${said(account)}\n`);
  });
}

/** Turns Temporal's "not found" into a line that says what to do. */
export async function orNotRunning<T>(account: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    throw new UserError(`${account} does not run. Start it with: stripe-sync start ${account}`);
  }
}
