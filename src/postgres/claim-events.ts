import type { Pool } from 'pg';
import type { EventReference } from '../domain/references.js';

/**
 * What one claim returns at most, in bytes: it goes to Temporal, which takes 2 MB at a time and warns from 512 kB on.
 * An id may hold thousands of letters (a coupon's is chosen by the user). The rest of a reference is short.
 */
const MOST_BYTES = 512_000;
const BYTES_BESIDE_ID = 200;

/**
 * Marks unclaimed events with the fetch's id and returns all that carry it, oldest first. A retried fetch has
 * the same id, so it returns the same events again. Only the holder of the fence claims.
 */
const CLAIM_EVENTS = `
with fence as (
  select 1 from stripe_sync.accounts where account = $1 and fetch_id = $2 for share
), mine as (
  select e.id, e.created, octet_length(to_json(e.object_id)::text) + ${BYTES_BESIDE_ID} as bytes
  from stripe_sync.events e, fence
  where e.account = $1 and e.outcome is null and (e.claimed_by is null or e.claimed_by = $3)
  order by e.created, e.id
  limit $4
  for update of e skip locked
), fitting as (
  select id, sum(bytes) over up_to_it as bytes, row_number() over up_to_it as place
  from mine
  window up_to_it as (order by created, id)
), claimed as (
  update stripe_sync.events e
  set claimed_by = $3, claimed_at = clock_timestamp()
  from fitting f
  where e.account = $1 and e.id = f.id and (f.bytes <= ${MOST_BYTES} or f.place = 1)
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
