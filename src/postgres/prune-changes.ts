import type { Pool } from 'pg';

export interface PruneChanges {
  readonly account: string;
  /** A change goes when it was recorded so long ago, on PostgreSQL's clock. */
  readonly keepSeconds: number;
  /** The walk goes on after this change; 0 to begin. */
  readonly after: number;
  readonly atMost: number;
}

export interface PrunedChanges {
  readonly deleted: number;
  /** Null once there is nothing left that is old enough. */
  readonly next: number | null;
}

/**
 * Looks at the oldest changes of the feed, at most so many, and deletes those of the account that are past their age.
 * The feed is one for all accounts, in the order of its numbers, which is nearly that of time: where all that was
 * looked at is young, so is what follows.
 */
const PRUNE_CHANGES = `
with scanned as materialized (
  select sequence, account, recorded_at < now() - make_interval(secs => $2) as old
  from stripe_sync.changes
  where sequence > $3
  order by sequence
  limit $4
), gone as (
  delete from stripe_sync.changes c using scanned s
  where c.sequence = s.sequence and s.old and s.account = $1
  returning 1
)
select count(*) as scanned, (select count(*) from gone) as deleted, max(sequence) as last,
  coalesce(bool_or(old), false) as old
from scanned`;

/** One short transaction. Rows that another pruner has taken are gone. */
export async function pruneChanges(pool: Pool, input: PruneChanges): Promise<PrunedChanges> {
  const { account, keepSeconds, after, atMost } = input;
  const { rows } = await pool.query<{
    scanned: string | number;
    deleted: string | number;
    last: string | number | null;
    old: boolean;
  }>(PRUNE_CHANGES, [account, keepSeconds, after, atMost]);
  const [row] = rows;
  if (row === undefined) throw new Error('an aggregate without groups has one row');
  const isLast = Number(row.scanned) < atMost || !row.old || row.last === null;
  return { deleted: Number(row.deleted), next: isLast ? null : Number(row.last) };
}
