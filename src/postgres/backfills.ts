import type { Pool } from 'pg';
import { transaction } from './pool.js';

/** A backfill that begins. */
export interface NewBackfill {
  readonly account: string;
  /** Id and run id of its workflow. */
  readonly workflow: string;
  readonly run: string;
  readonly reason: string;
  /** Stripe's names, in the order in which they are to be listed. */
  readonly types: readonly string[];
}

const OPEN = `
insert into stripe_sync.backfills (account, number, run, workflow, reason, types)
select $1, coalesce((select max(number) from stripe_sync.backfills where account = $1), 0) + 1, $2, $3, $4, $5
on conflict (account, run) do nothing`;

/** Notes a backfill and gives it its number; the same number where the same run asks again. */
export function openBackfill(pool: Pool, backfill: NewBackfill): Promise<number> {
  const { account, run, workflow, reason, types } = backfill;
  return transaction(pool, async (client) => {
    // Two that begin at once must not count to the same number.
    await client.query("select pg_advisory_xact_lock(hashtext('stripe_sync.backfills'), hashtext($1))", [
      account,
    ]);
    // An account has one backfill at a time, so an earlier one that never told its end was ended from outside.
    await client.query(
      `update stripe_sync.backfills set ended_at = clock_timestamp(), outcome = 'failed'
       where account = $1 and outcome is null and run <> $2`,
      [account, run],
    );
    await client.query(OPEN, [account, run, workflow, reason, types]);
    const { rows } = await client.query<{ number: number }>(
      'select number from stripe_sync.backfills where account = $1 and run = $2',
      [account, run],
    );
    if (rows[0] === undefined) throw new Error('a backfill vanished while it was opened');
    return rows[0].number;
  });
}

/** Notes how a backfill ended; the first to tell is believed. */
export async function endBackfill(
  pool: Pool,
  account: string,
  number: number,
  outcome: 'done' | 'failed',
): Promise<void> {
  await pool.query(
    `update stripe_sync.backfills set ended_at = clock_timestamp(), outcome = $3
     where account = $1 and number = $2 and outcome is null`,
    [account, number, outcome],
  );
}

export interface KnownBackfill {
  readonly number: number;
  readonly workflow: string;
  readonly reason: string;
  readonly types: readonly string[];
  readonly outcome: 'done' | 'failed' | null;
  /** PostgreSQL's clock, in milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number | null;
}

/** The account's last backfill, or null before the first one. */
export async function readLastBackfill(pool: Pool, account: string): Promise<KnownBackfill | null> {
  const { rows } = await pool.query<KnownBackfill>(
    `select number, workflow, reason, types, outcome,
       (extract(epoch from started_at) * 1000)::float8 as "startedAt",
       (extract(epoch from ended_at) * 1000)::float8 as "endedAt"
     from stripe_sync.backfills where account = $1 order by number desc limit 1`,
    [account],
  );
  return rows[0] ?? null;
}
