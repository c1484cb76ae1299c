import type { Pool } from 'pg';

export interface EventOutcome {
  readonly id: string;
  readonly outcome: string | null;
  /** Seconds of PostgreSQL's clock, with a fraction; null while pending. */
  readonly settledAt: number | null;
}

const READ_OUTCOMES = `
select id, outcome, extract(epoch from applied_at)::float8 as settled_at
from stripe_sync.events
where account = $1`;

/** What became of each event of an account, and when. For reports on accounts of a sandbox's size. */
export async function readOutcomes(pool: Pool, account: string): Promise<EventOutcome[]> {
  const { rows } = await pool.query<{ id: string; outcome: string | null; settled_at: number | null }>(
    READ_OUTCOMES,
    [account],
  );
  return rows.map((row) => ({ id: row.id, outcome: row.outcome, settledAt: row.settled_at }));
}
