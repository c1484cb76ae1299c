import type { Pool } from 'pg';

export interface OutcomeCounts {
  readonly received: number;
  readonly applied: number;
  readonly stale: number;
  readonly fetched: number;
  readonly ignored: number;
  readonly parked: number;
  readonly pending: number;
}

const COUNT_OUTCOMES = `
select coalesce(outcome, 'pending') as outcome, count(*) as events
from stripe_sync.events
where account = $1
group by outcome`;

/** How many events of the account the ledger holds, in all and by outcome. */
export async function countOutcomes(pool: Pool, account: string): Promise<OutcomeCounts> {
  const { rows } = await pool.query<{ outcome: string; events: string | number }>(COUNT_OUTCOMES, [account]);
  const of = (outcome: string) => Number(rows.find((row) => row.outcome === outcome)?.events ?? 0);
  return {
    received: rows.reduce((sum, row) => sum + Number(row.events), 0),
    applied: of('applied'),
    stale: of('stale'),
    fetched: of('fetched'),
    ignored: of('ignored'),
    parked: of('parked'),
    pending: of('pending'),
  };
}

const COUNT_LEAKS = `select count(*) as leaks from stripe_sync.events where account = $1 and source = 'rescan'`;

/** How many events in the ledger surfaced behind the cursor. */
export async function countLeaks(pool: Pool, account: string): Promise<number> {
  const { rows } = await pool.query<{ leaks: string | number }>(COUNT_LEAKS, [account]);
  return Number(rows[0]?.leaks ?? 0);
}

const READS_USED = `
select coalesce(sum(reads), 0) as reads from stripe_sync.reads
where account = $1 and hour > now() - interval '30 days'`;

const TRANSACTIONS = `
select count(*) as transactions from stripe_sync.events
where account = $1 and type = 'charge.succeeded' and created > now() - interval '30 days'`;

/** Stripe grants 500 reads per transaction over a rolling 30 days, and at least this many a month. */
const LEAST_ALLOWANCE = 10_000;
const READS_PER_TRANSACTION = 500;

/** Requests made over the last 30 days, and how many Stripe's read allocation permits. */
export async function countReads(
  pool: Pool,
  account: string,
): Promise<{ readonly used30d: number; readonly allowance: number }> {
  const used = await pool.query<{ reads: string | number }>(READS_USED, [account]);
  const transactions = await pool.query<{ transactions: string | number }>(TRANSACTIONS, [account]);
  return {
    used30d: Number(used.rows[0]?.reads ?? 0),
    allowance: Math.max(
      LEAST_ALLOWANCE,
      READS_PER_TRANSACTION * Number(transactions.rows[0]?.transactions ?? 0),
    ),
  };
}
