import type { Pool } from 'pg';

/**
 * Deletes the oldest changes of the feed that are past their age, at most so many at a time, so that no statement
 * runs for long. Rows that another pruner has taken are left to it.
 */
const PRUNE_CHANGES = `
delete from stripe_sync.changes
where sequence in (
  select sequence from stripe_sync.changes
  where recorded_at < now() - make_interval(days => $1)
  order by sequence
  limit $2
  for update skip locked
)`;

export async function pruneChanges(pool: Pool, keepDays: number, atMost: number): Promise<number> {
  const { rowCount } = await pool.query(PRUNE_CHANGES, [keepDays, atMost]);
  return rowCount ?? 0;
}
