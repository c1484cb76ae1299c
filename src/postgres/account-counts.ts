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
