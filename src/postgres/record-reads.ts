import type { Pool } from 'pg';

const RECORD_READS = `
insert into stripe_sync.reads as r (account, hour, reads)
values ($1, date_trunc('hour', now()), $2)
on conflict (account, hour) do update set reads = r.reads + excluded.reads`;

/** Adds requests to the account's hour, by which its use of Stripe's read allocation is told. */
export async function recordReads(pool: Pool, account: string, reads: number): Promise<void> {
  if (reads > 0) await pool.query(RECORD_READS, [account, reads]);
}
