import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_SETTINGS } from '../../workflows/settings.js';
import { loadConfig, validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import { typesToList } from '../stripe/listings.js';
import { FOLLOW_SECONDS } from '../temporal/follow-schedule.js';
import { followBackfill } from './backfill-progress.js';
import { commandEnvironment } from './context.js';
import { parseDuration, parseWhole, span } from './duration.js';
import { withDatabaseIfAny } from './listing-progress.js';
import { scheduleOptions } from './schedule-options.js';
import { shutdownRequested } from './shutdown.js';
import { startAccount } from './start-account.js';
import { type ConnectedOptions, startConnected } from './start-connected.js';
import { withTemporal } from './temporal-client.js';
import { embeddedText, parseTypes } from './types-option.js';

export function configureStart(command: Command): void {
  const { lag, poll, rescan, parking } = DEFAULT_SETTINGS;
  command
    .argument(
      '<alias>',
      'what the account is called here; its key is STRIPE_API_KEY_<ALIAS> or STRIPE_API_KEY of the worker',
    )
    .addOption(
      new Option('--lag <duration>', "how far the cursor stays behind Stripe's clock, at least")
        .argParser(parseDuration('0s', '1d'))
        .default(lag.floorSeconds, `${lag.floorSeconds}s`),
    )
    .addOption(
      new Option('--max-lag <duration>', 'how far the lag may widen by itself')
        .argParser(parseDuration('0s', '1d'))
        .default(lag.maxSeconds, `${lag.maxSeconds}s`),
    )
    .option(
      '--stripe-account <id>',
      'a connected account (acct_…), read with the key of its platform; the alias keeps it',
      parseStripeAccount,
    )
    .option(
      '--all-connected',
      'in place of the account itself: all accounts that are connected to it, each under its id, and those to come',
    )
    .addOption(
      new Option(
        '--follow-interval <duration>',
        `with --all-connected: time between two looks for newly connected accounts (default: ${span(FOLLOW_SECONDS)})`,
      ).argParser(parseDuration('10s', '1d')),
    )
    .option('--no-backfill', 'take only what changes from now on')
    .option('--types <names>', 'backfill only these: object or table names, separated by commas', parseTypes)
    .addOption(
      new Option('--hydrate <mode>', 'where state comes from: event payloads, reads, or whichever is right')
        .choices(['auto', 'fetch', 'payload'])
        .default('auto'),
    )
    .addOption(
      new Option(
        '--entities <mode>',
        'what goes through a workflow of its entity: all changes while they keep up and whole pages otherwise ' +
          '(auto), all changes (always), or only what needs one (never), which takes the fewest Temporal actions',
      )
        .choices(['auto', 'always', 'never'])
        .default(DEFAULT_SETTINGS.entities),
    )
    .addOption(
      new Option(
        '--poll-interval <duration>',
        `time between two passes over the events (default: ${poll.everySeconds}s while events flow, up to ` +
          `${span(poll.slowestSeconds)} while none do, as Stripe's allowance of reads permits)`,
      ).argParser(parseDuration('100ms', '10m')),
    )
    .addOption(
      new Option('--rescan-interval <duration>', 'time between two rescans of what lies behind the cursor')
        .argParser(parseDuration('1s', '1d'))
        .default(rescan.everySeconds, '10m'),
    )
    .addOption(
      new Option('--rescan-window <duration>', 'how far behind the cursor each of them lists')
        .argParser(parseDuration('1s', '30d'))
        .default(rescan.windowSeconds, '1h'),
    )
    .addOption(
      new Option('--deep-rescan-interval <duration>', 'time between two rescans of everything since the last')
        .argParser(parseDuration('1s', '30d'))
        .default(rescan.deepEverySeconds, '1d'),
    )
    .addOption(
      new Option(
        '--park-after <attempts>',
        'how often a change that cannot be applied is tried before it is parked',
      )
        .argParser(parseWhole(1, 1_000))
        .default(parking.attempts),
    );
  for (const option of scheduleOptions()) command.addOption(option);
  command
    .option('--fresh', 'begin at the present, whatever an earlier run left')
    .option(
      '--wait',
      'until the first backfill is done, with progress (on a terminal always; Ctrl-C leaves it)',
    )
    .action(async (alias: string, options: StartCommandOptions) => {
      const account = validateAlias(alias);
      assertMeantForOne(options);
      const env = commandEnvironment();
      const { taskQueue } = loadConfig(env, { sandbox: true });
      await withTemporal(env, async (client) => {
        const { types } = options;
        const asked = { ...options, ...(types === undefined ? {} : { types: typesToList(types) }) };
        if (options.allConnected) {
          const { said, refused } = await startConnected(client, taskQueue, account, asked);
          process.stdout.write(`${said.join('\n')}\n`);
          if (refused.length > 0) throw new UserError(refused.join('\n'));
          return;
        }
        await startAccount(client, taskQueue, account, asked);
        process.stdout.write(`${account} runs. See how far it is: stripe-sync status ${account}\n`);
        if (types !== undefined) process.stdout.write(embeddedText(types));
        if (options.backfill === false || !(options.wait || process.stdout.isTTY)) return;
        const left = new AbortController();
        void shutdownRequested().then(() => left.abort());
        await withDatabaseIfAny(env, (pool) =>
          followBackfill(client, account, { number: 1, request: null, pool, left: left.signal }),
        );
        if (left.signal.aborted) process.stdout.write('The backfill goes on without being watched.\n');
      });
    });
}

interface StartCommandOptions extends ConnectedOptions {
  readonly allConnected?: boolean;
  readonly wait?: boolean;
}

/** @throws UserError (wrong usage) where options contradict each other */
function assertMeantForOne(options: StartCommandOptions): void {
  const { allConnected = false, followInterval, stripeAccount, wait = false } = options;
  if (!allConnected && followInterval !== undefined) {
    throw new UserError('--follow-interval needs --all-connected: nothing is followed without it.', 2);
  }
  if (allConnected && stripeAccount !== undefined) {
    throw new UserError('Give --stripe-account for one connected account, or --all-connected for all.', 2);
  }
  if (allConnected && wait) {
    throw new UserError('--wait is for one account. See each of them with: stripe-sync status ALIAS', 2);
  }
}

function parseStripeAccount(id: string): string {
  if (/^acct_\w+$/.test(id)) return id;
  throw new InvalidArgumentError('A connected account has an id like acct_1A2b3C.');
}
