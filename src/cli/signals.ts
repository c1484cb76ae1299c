import { WorkflowNotFoundError } from '@temporalio/client';
import { Command } from 'commander';
import { pauseSignal, resumeSignal, stopSignal } from '../../workflows/messages.js';
import { validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import { accountWorkflowId } from '../domain/ids.js';
import { commandEnvironment, withTemporal } from './context.js';

const SIGNALS = [
  { name: 'pause', signal: pauseSignal, description: 'stops polling until resume', said: 'pauses' },
  { name: 'resume', signal: resumeSignal, description: 'goes on from the cursor', said: 'resumes' },
  {
    name: 'stop',
    signal: stopSignal,
    description: 'ends the workflow once what it has claimed is delivered; a later start goes on from there',
    said: 'stops',
  },
] as const;

/** `pause`, `resume` and `stop`. */
export function signalCommands(): Command[] {
  return SIGNALS.map(({ name, signal, description, said }) =>
    new Command(name)
      .description(description)
      .argument('<alias>', 'the account')
      .action(async (alias: string) => {
        const account = validateAlias(alias);
        await withTemporal(commandEnvironment(), async (client) => {
          const handle = client.workflow.getHandle(accountWorkflowId(account));
          await orNotRunning(account, () => handle.signal(signal));
        });
        process.stdout.write(`${account} ${said}.\n`);
      }),
  );
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
