import type { Pool } from 'pg';
import type { EventReference } from '../domain/references.js';

/**
 * Marks unclaimed events with the fetch's id and returns all that carry it, oldest first. A retried fetch has
 * the same id, so it returns the same events again. Only the holder of the fence claims.
 */
const CLAIM_EVENTS = `
with fence as (
  select 1 from stripe_sync.accounts where account = $1 and fetch_id = $2 for share
), mine as (
  select e.id
  from stripe_sync.events e, fence
  where e.account = $1 and e.outcome is null and (e.claimed_by is null or e.claimed_by = $3)
  order by e.created, e.id
  limit $4
  for update of e skip locked
), claimed as (
  update stripe_sync.events e
  set claimed_by = $3, claimed_at = clock_timestamp()
  from mine
  where e.account = $1 and e.id = mine.id
  returning e.id, e.type, e.created, e.object, e.object_id
)
select id, type, extract(epoch from created)::bigint as created, object, object_id
from claimed
order by claimed.created, id`;

export interface Claim {
  readonly account: string;
  /** The fence as it was taken: one per attempt. */
  readonly fence: string;
  /** The fetch: one over all its attempts. */
  readonly claimedBy: string;
  readonly limit: number;
}

export async function claimEvents(pool: Pool, claim: Claim): Promise<EventReference[]> {
  const { rows } = await pool.query<{
    id: string;
    type: string;
    created: string | number;
    object: string;
    object_id: string;
  }>(CLAIM_EVENTS, [claim.account, claim.fence, claim.claimedBy, claim.limit]);
  return rows.map((row) => ({
    id: row.id,
    type: row.type,
    created: Number(row.created),
    object: row.object,
    objectId: row.object_id,
  }));
}
