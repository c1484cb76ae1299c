import type { Client } from '@temporalio/client';
import { type Command, Option } from 'commander';
import type { Pool } from 'pg';
import type { AccountStatus } from '../../workflows/messages.js';
import { validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import type { LagLimits } from '../domain/lag.js';
import type { Percentile } from '../domain/lag-verdict.js';
import { LATENESS_BUCKETS } from '../domain/lateness.js';
import { LATENESS_PERCENTS, latenessAdvice, supportsPercent } from '../domain/lateness-advice.js';
import { readAccount } from '../postgres/account-row.js';
import { readLateness } from '../postgres/read-lateness.js';
import { queryStatus } from './account-report.js';
import { commandEnvironment } from './context.js';
import { withDatabase } from './database.js';
import { parseDuration } from './duration.js';
import { latenessText } from './lateness-text.js';
import { withTemporal } from './temporal-client.js';

/**
 * The shape of `lateness --json`: how long after its second (`created`) an event was in Stripe's list, in whole
 * seconds of Stripe's clock, rounded up. Fields are added, never renamed.
 */
export interface LatenessReport {
  readonly account: string;
  /** Events created from here on, in seconds since the epoch. */
  readonly since: number;
  /** Events whose lateness is known closely enough, and the others; see `readLateness`. */
  readonly measured: number;
  readonly notMeasured: number;
  /** Measured events per bucket; `upToSeconds` is null for what is later than the last bound. */
  readonly histogram: readonly { readonly upToSeconds: number | null; readonly count: number }[];
  /** Of 50, 90, 99, 99.9 and 99.99 those that leave at least one measured event out. */
  readonly percentiles: readonly Percentile[];
  readonly worstSeconds: number | null;
  /** The longest after its second that an event was seen to be missing from the list. */
  readonly worstAtLeastSeconds: number | null;
  /** Events that surfaced behind the cursor and were found by a rescan. They are measured, too. */
  readonly leaks: { readonly count: number; readonly worstSeconds: number | null };
  readonly lagSeconds: number | null;
  /** Between which the lag moves by itself; null where no workflow tells. */
  readonly lagLimits: LagLimits | null;
  /** What follows from all this, in words. */
  readonly advice: string;
}

interface LatenessOptions {
  /** Seconds. */
  readonly since: number;
  readonly json?: boolean;
}

const DEFAULT_SINCE_SECONDS = 7 * 86_400;

export function configureLateness(command: Command): void {
  command
    .argument('<alias>', 'the account')
    .addOption(
      new Option('--since <duration>', 'of the events that were created in the last 1h, 7d, …')
        .argParser(parseDuration('1m', '3650d'))
        .default(DEFAULT_SINCE_SECONDS, '7d'),
    )
    .option('--json', 'as JSON, for programs')
    .action(async (alias: string, options: LatenessOptions) => {
      const account = validateAlias(alias);
      const since = Math.floor(Date.now() / 1000 - options.since);
      const env = commandEnvironment();
      await withTemporal(env, (client) =>
        withDatabase(env, async (pool) => {
          const report = await reportLateness(client, pool, account, since);
          const shown = options.json ? JSON.stringify(report, null, 2) : latenessText(report);
          process.stdout.write(`${shown}\n`);
        }),
      );
    });
}

/** @throws UserError where the account is unknown */
async function reportLateness(
  client: Client,
  pool: Pool,
  account: string,
  since: number,
): Promise<LatenessReport> {
  const lag = await readLag(client, pool, account);
  const lateness = await readLateness(pool, {
    account,
    since,
    buckets: LATENESS_BUCKETS,
    percents: LATENESS_PERCENTS,
  });
  const { histogram, percentiles, ...rest } = lateness;
  const facts = {
    ...rest,
    percentiles: LATENESS_PERCENTS.flatMap((percent, index) => {
      const seconds = percentiles[index] ?? null;
      return seconds === null || !supportsPercent(rest.measured, percent) ? [] : [{ percent, seconds }];
    }),
    lagSeconds: lag.seconds,
  };
  return {
    account,
    since,
    ...facts,
    histogram: [...LATENESS_BUCKETS, null].map((upToSeconds, index) => ({
      upToSeconds,
      count: histogram[index] ?? 0,
    })),
    lagLimits: lag.limits,
    advice: latenessAdvice({ ...facts, limits: lag.limits }),
  };
}

interface KnownLag {
  readonly seconds: number | null;
  readonly limits: LagLimits | null;
}

/** The lag of the workflow, or of the account's copy where none runs or no worker answers for it. */
async function readLag(client: Client, pool: Pool, account: string): Promise<KnownLag> {
  const status: AccountStatus | 'unanswered' | null = await queryStatus(client, account).catch(
    (error: unknown) => {
      // The ledger can be read without a worker, and the copy is written whenever the lag moves.
      if (error instanceof UserError) return 'unanswered' as const;
      throw error;
    },
  );
  if (status !== null && status !== 'unanswered') {
    return { seconds: status.lagSeconds, limits: status.lagLimits ?? null };
  }
  const row = await readAccount(pool, account);
  if (row === null && status === null) {
    throw new UserError(`There is no account ${account}. Start it with: stripe-sync start ${account}`);
  }
  return { seconds: row?.lagSeconds ?? null, limits: null };
}
