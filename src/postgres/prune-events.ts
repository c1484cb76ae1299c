import type { Pool } from 'pg';

/** Where a walk over the ledger is: the next batch begins after this event. */
export interface LedgerPosition {
  /** Seconds of Stripe's clock. */
  readonly created: number;
  readonly id: string;
}

export interface PruneEvents {
  readonly account: string;
  /** An event goes when it was created so long ago, in seconds, ... */
  readonly leastAge: number;
  /** ... and has had its outcome for so long. */
  readonly keepSeconds: number;
  /** How far behind the account's cursor an event has to be at least, in seconds. */
  readonly behindCursor: number;
  readonly after: LedgerPosition | null;
  readonly atMost: number;
}

export interface PrunedEvents {
  readonly deleted: number;
  /** Null once there is nothing left that is old enough. */
  readonly next: LedgerPosition | null;
}

/**
 * Looks at the oldest events, at most so many, and deletes those that are settled and past their age.
 *
 * Whatever is open stays, and so does the rest of its object: how a pending or a parked change stands to its row is
 * read off the other changes of its second, and off the event that wrote the row. A change that is not known yet
 * cannot miss them, since Stripe no longer has one so old. What the cursor has not passed for long stays too: a walk
 * from there, after a stop of weeks, would bring it once more.
 *
 * Each part walks an index of its own (events_created, events_pending, events_outcome), so that neither what was
 * looked at before nor what is open makes it slower.
 */
const PRUNE_EVENTS = `
with scanned as materialized (
  select e.id, e.created, e.outcome, e.applied_at, e.object, e.object_id
  from stripe_sync.events e
  where e.account = $1
    and e.created < least(
      now() - make_interval(secs => $2),
      (select a.cursor_created - make_interval(secs => $4) from stripe_sync.accounts a where a.account = $1))
    and exists (select from stripe_sync.accounts a where a.account = $1 and a.cursor_created is not null)
    and e.created >= to_timestamp($5) and (e.created, e.id) > (to_timestamp($5), $6)
  order by e.created, e.id
  limit $7
), open as materialized (
  select object, object_id from stripe_sync.events where account = $1 and outcome is null
  union
  select object, object_id from stripe_sync.events where account = $1 and outcome = 'parked'
), old as materialized (
  select s.id from scanned s
  where s.outcome <> 'parked' and s.applied_at < now() - make_interval(secs => $3)
    and not exists (select from open o where o.object = s.object and o.object_id = s.object_id)
), gone as (
  delete from stripe_sync.events e using old
  where e.account = $1 and e.id = old.id and e.outcome is not null and e.outcome <> 'parked'
  returning 1
)
select count(*) as scanned, (select count(*) from gone) as deleted,
  extract(epoch from max(created))::bigint as created,
  (select id from scanned order by created desc, id desc limit 1) as id
from scanned`;

/** One short transaction. An account that was never opened loses nothing. */
export async function pruneEvents(pool: Pool, input: PruneEvents): Promise<PrunedEvents> {
  const { account, leastAge, keepSeconds, behindCursor, after, atMost } = input;
  const { rows } = await pool.query<{
    scanned: string | number;
    deleted: string | number;
    created: string | number | null;
    id: string | null;
  }>(PRUNE_EVENTS, [
    account,
    leastAge,
    keepSeconds,
    behindCursor,
    after?.created ?? 0,
    after?.id ?? '',
    atMost,
  ]);
  const [row] = rows;
  if (row === undefined) throw new Error('an aggregate without groups has one row');
  const { created, id } = row;
  const isLast = Number(row.scanned) < atMost || created === null || id === null;
  return { deleted: Number(row.deleted), next: isLast ? null : { created: Number(created), id } };
}
