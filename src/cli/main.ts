import { Command, CommanderError } from 'commander';
import { COMMANDS } from './commands.js';
import { packageVersion } from './version.js';

/** Wrong usage, as opposed to 1 for what failed or differs. */
const WRONG_USAGE = 2;

/** The program, with all that `argv` calls for. */
async function createProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command('stripe-sync')
    .description('Keeps a PostgreSQL copy of Stripe accounts complete and current, on Temporal')
    .version(packageVersion(), '--version', 'the version of stripe-sync')
    .option('--verbose', 'show the stack trace of a failure')
    .showHelpAfterError()
    .helpCommand(false)
    .exitOverride()
    .configureHelp({
      subcommandTerm: (command) =>
        `${command.name()} ${COMMANDS.find(({ name }) => name === command.name())?.usage ?? ''}`,
    });
  const called = argv.slice(2).find((word) => !word.startsWith('-'));
  for (const { name, description, load } of COMMANDS) {
    const command = new Command(name).description(description).copyInheritedSettings(program);
    if (name === called) (await load())(command);
    program.addCommand(command);
  }
  return program;
}

/** What a finished command may still hold open, such as a connection to a server that fell silent. */
const LINGER_MS = 2_000;

/** Runs the command line and sets the exit code: 0 done, 1 failed or differs, 2 wrong usage. */
export async function main(argv: readonly string[]): Promise<void> {
  // Whoever reads our output may have seen enough (`status --watch | head`).
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
  const program = await createProgram(argv);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = await report(error, program.opts<{ verbose?: boolean }>().verbose ?? false);
  }
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

async function report(error: unknown, verbose: boolean): Promise<number> {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
  const { failureText, failureTrace } = await import('./failure-text.js');
  const { text, exitCode } = failureText(error);
  process.stderr.write(`stripe-sync: ${text}\n`);
  if (verbose) process.stderr.write(`${failureTrace(error)}\n`);
  return exitCode;
}
