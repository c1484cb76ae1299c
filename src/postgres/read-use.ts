import type { Pool } from 'pg';
import type { ReadUse } from '../domain/poll-interval.js';

const READ_USE = `
select coalesce(sum(reads), 0) as reads,
  coalesce(sum(reads) filter (where hour > now() - interval '7 days'), 0) as recent,
  coalesce(sum(transactions), 0) as transactions
from stripe_sync.reads
where account = $1 and hour > now() - interval '30 days'`;

/** Stripe grants 500 reads per transaction over a rolling 30 days, and at least this many a month. */
const LEAST_ALLOWANCE = 10_000;
const READS_PER_TRANSACTION = 500;

/** Requests made over the last 30 days, and how many Stripe's read allocation permits. */
export async function readUse(pool: Pool, account: string): Promise<ReadUse> {
  const { rows } = await pool.query<Record<'reads' | 'recent' | 'transactions', string | number>>(READ_USE, [
    account,
  ]);
  return {
    used30d: Number(rows[0]?.reads ?? 0),
    used7d: Number(rows[0]?.recent ?? 0),
    allowance: Math.max(LEAST_ALLOWANCE, READS_PER_TRANSACTION * Number(rows[0]?.transactions ?? 0)),
  };
}
