import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_SETTINGS } from '../../workflows/settings.js';
import { loadConfig, validateAlias } from '../config.js';
import { typesToList } from '../stripe/listings.js';
import { followBackfill } from './backfill-progress.js';
import { commandEnvironment } from './context.js';
import { parseDuration, parseWhole, span } from './duration.js';
import { withDatabaseIfAny } from './listing-progress.js';
import { scheduleOptions } from './schedule-options.js';
import { shutdownRequested } from './shutdown.js';
import { type StartOptions, startAccount } from './start-account.js';
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
    .option('--no-backfill', 'take only what changes from now on')
    .option('--types <names>', 'backfill only these: object or table names, separated by commas', parseTypes)
    .addOption(
      new Option('--hydrate <mode>', 'where state comes from: event payloads, reads, or whichever is right')
        .choices(['auto', 'fetch', 'payload'])
        .default('auto'),
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
    .action(async (alias: string, options: StartOptions & { readonly wait?: boolean }) => {
      const account = validateAlias(alias);
      const env = commandEnvironment();
      const { taskQueue } = loadConfig(env, { sandbox: true });
      await withTemporal(env, async (client) => {
        const { types } = options;
        await startAccount(client, taskQueue, account, {
          ...options,
          ...(types === undefined ? {} : { types: typesToList(types) }),
        });
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

function parseStripeAccount(id: string): string {
  if (/^acct_\w+$/.test(id)) return id;
  throw new InvalidArgumentError('A connected account has an id like acct_1A2b3C.');
}
