import type { Pool } from 'pg';
import { partialPayload } from './partial-payload.js';

/** A change that nobody is about to hand on, and that nobody has tried yet. */
export interface WaitingEvent {
  readonly id: string;
  /** Where the row was (`ctid`). */
  readonly place: string;
  readonly type: string;
  /** Seconds of Stripe's clock. */
  readonly created: number;
  readonly object: string;
  readonly objectId: string;
  readonly apiVersion: string | null;
  /** Whether it carries less than the whole state. */
  readonly partial: boolean;
  /** What it says of its second where others of its row share that; null where none does. */
  readonly digest: string | null;
  readonly state: string | null;
  readonly previousAttributes: string | null;
}

const OPEN = 'account = $1 and outcome is null and claimed_by is null';

const COUNT_WAITING = `
select count(*) as waiting from (select from stripe_sync.events where ${OPEN} limit $2) as open`;

/** How many wait, counted up to `most`. Served by the index of what is pending. */
export async function countWaiting(pool: Pool, account: string, most: number): Promise<number> {
  const { rows } = await pool.query<{ waiting: string | number }>(COUNT_WAITING, [account, most]);
  return Number(rows[0]?.waiting);
}

/** The oldest ones after a place, in the order in which they are claimed. */
const READ_WAITING = `
with open as materialized (
  select id, place, type, created, object, object_id, api_version, event->'data' as data,
    count(*) over (partition by object, object_id, created) > 1 as tied
  from (
    select *, ctid::text as place from stripe_sync.events
    where ${OPEN} and attempts = 0 and (created, id) > (to_timestamp($2), $3)
    order by created, id
    limit $4
  ) as oldest
)
select id, place, type, extract(epoch from created)::bigint as created, object, object_id as "objectId",
  api_version as "apiVersion", ${partialPayload("data->'object'")} as partial,
  case when tied then md5((data->'object')::text) end as digest,
  case when tied then (data->'object')::text end as state,
  case when tied then (data->'previous_attributes')::text end as "previousAttributes"
from open
order by open.created, id`;

/** @param after where to go on; null for the oldest */
export async function readWaiting(
  pool: Pool,
  account: string,
  after: { readonly created: number; readonly id: string } | null,
  most: number,
): Promise<WaitingEvent[]> {
  const { rows } = await pool.query<Omit<WaitingEvent, 'created'> & { readonly created: string | number }>(
    READ_WAITING,
    [account, after?.created ?? 0, after?.id ?? '', most],
  );
  return rows.map((row) => ({ ...row, created: Number(row.created) }));
}
