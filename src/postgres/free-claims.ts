import type { Pool } from 'pg';

/**
 * Frees events that were claimed and not settled within `olderThanSeconds` of the database's clock, so that
 * they are delivered again. A delivery that is still under way then comes twice, which changes nothing.
 */
const FREE_CLAIMS = `
update stripe_sync.events
set claimed_by = null, claimed_at = null
where account = $1 and outcome is null and claimed_by is not null
  and claimed_at <= clock_timestamp() - make_interval(secs => $2)`;

export async function freeClaims(pool: Pool, account: string, olderThanSeconds: number): Promise<number> {
  const { rowCount } = await pool.query(FREE_CLAIMS, [account, olderThanSeconds]);
  return rowCount ?? 0;
}
