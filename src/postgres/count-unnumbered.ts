import type { Pool } from 'pg';

/**
 * A transaction numbers its changes before it commits, and until then nobody else sees them. So what is seen here is
 * of transactions that ended without: somebody wrote object tables by hand.
 */
const COUNT_UNNUMBERED = `
select count(*)::integer as changes, count(distinct transaction)::integer as transactions
from stripe_sync.unnumbered_changes`;

export interface Unnumbered {
  readonly changes: number;
  readonly transactions: number;
}

/** Changes that were committed and that the change feed lacks. */
export async function countUnnumbered(pool: Pick<Pool, 'query'>): Promise<Unnumbered> {
  const { rows } = await pool.query<Unnumbered>(COUNT_UNNUMBERED);
  return rows[0] ?? { changes: 0, transactions: 0 };
}
