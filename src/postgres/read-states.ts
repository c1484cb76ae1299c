import type { PoolClient } from 'pg';
import { type KnownChange, MOST_KNOWN } from '../domain/chain.js';

/** A change that the ledger has, with its event's type in place of its kind. */
export type StateOfSecond = Omit<KnownChange, 'kind'> & { readonly type: string };

/**
 * Every change of an entity in one second, whatever became of it: the state and `previous_attributes` as PostgreSQL's
 * own JSON text, which keeps each number as Stripe sent it. One more than evidence is drawn from, at most.
 */
const READ_STATES = `
select id, type, api_version as "apiVersion", coalesce(md5((event->'data'->'object')::text), '') as digest,
  coalesce((event->'data'->'object')::text, 'null') as state,
  (event->'data'->'previous_attributes')::text as "previousAttributes"
from stripe_sync.events
where account = $1 and object = $2 and object_id = $3 and created = to_timestamp($4)
order by id
limit ${MOST_KNOWN + 1}`;

/** @param second whole second of Stripe's clock */
export async function readStates(
  client: PoolClient,
  entity: { readonly account: string; readonly object: string; readonly objectId: string },
  second: number,
): Promise<StateOfSecond[]> {
  const { rows } = await client.query<StateOfSecond>(READ_STATES, [
    entity.account,
    entity.object,
    entity.objectId,
    second,
  ]);
  return rows;
}
