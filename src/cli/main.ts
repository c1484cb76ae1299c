import { Command, CommanderError } from 'commander';
import { UserError } from '../domain/failures.js';
import { devCommand } from './dev.js';
import { listCommand } from './list.js';
import { migrateCommand } from './migrate.js';
import { resyncCommand } from './resync.js';
import { signalCommands } from './signals.js';
import { startCommand } from './start.js';
import { statusCommand } from './status.js';
import { workerCommand } from './worker.js';

/** Wrong usage, as opposed to 1 for what failed or differs. */
const WRONG_USAGE = 2;

function createProgram(): Command {
  const program = new Command('stripe-sync')
    .description('Keeps a PostgreSQL copy of Stripe accounts complete and current, on Temporal')
    .option('--verbose', 'show the stack trace of a failure')
    .showHelpAfterError()
    .helpCommand(false);
  const commands = [
    devCommand(),
    migrateCommand(),
    workerCommand(),
    startCommand(),
    listCommand(),
    statusCommand(),
    ...signalCommands(),
    resyncCommand(),
  ];
  for (const command of commands) {
    program.addCommand(command.copyInheritedSettings(program).exitOverride());
  }
  return program.exitOverride();
}

/** Runs the command line and sets the exit code: 0 done, 1 failed or differs, 2 wrong usage. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = createProgram();
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error, program.opts<{ verbose?: boolean }>().verbose ?? false);
  }
}

function report(error: unknown, verbose: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
  const known = error instanceof UserError;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    `stripe-sync: ${known ? message : `${message} (add --verbose for the stack trace)`}\n`,
  );
  if (verbose && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return known ? error.exitCode : 1;
}
