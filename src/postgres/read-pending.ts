import type { Pool, PoolClient } from 'pg';
import { partialPayload } from './partial-payload.js';

export interface PendingEvent {
  readonly id: string;
  readonly type: string;
  /** Seconds of Stripe's clock. */
  readonly created: number;
  readonly apiVersion: string | null;
  /** Digest of the state that the event carries; empty where the ledger has none of it. */
  readonly digest: string;
  /** Whether it carries less than the whole state: a list that is cut, or nothing at all. */
  readonly partial: boolean;
}

/**
 * The named events of an entity that have no outcome yet, locked. An attempt that lost its activity finds
 * none, because the attempt that won has settled them.
 */
const READ_PENDING = `
select id, type, extract(epoch from created)::bigint as created, api_version,
  coalesce(md5((event->'data'->'object')::text), '') as digest,
  ${partialPayload("event->'data'->'object'")} as partial
from stripe_sync.events
where account = $1 and id = any($2) and outcome is null
order by id
for update`;

export async function readPending(
  client: PoolClient,
  account: string,
  ids: readonly string[],
): Promise<PendingEvent[]> {
  const { rows } = await client.query<{
    id: string;
    type: string;
    created: string | number;
    api_version: string | null;
    digest: string;
    partial: boolean;
  }>(READ_PENDING, [account, ids]);
  return rows.map((row) => ({
    id: row.id,
    type: row.type,
    created: Number(row.created),
    apiVersion: row.api_version,
    digest: row.digest,
    partial: row.partial,
  }));
}

const READ_PENDING_TYPES = `
select distinct type from stripe_sync.events where account = $1 and id = any($2) and outcome is null`;

/** Types of those of the named events that have no outcome yet. Nothing is locked. */
export async function readPendingTypes(
  pool: Pool,
  account: string,
  ids: readonly string[],
): Promise<string[]> {
  const { rows } = await pool.query<{ type: string }>(READ_PENDING_TYPES, [account, ids]);
  return rows.map(({ type }) => type);
}
