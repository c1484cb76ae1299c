import type { PoolClient } from 'pg';

/**
 * Takes the entity's advisory lock for the rest of the transaction. It also covers the time before its row
 * exists, which no row lock could.
 */
const LOCK_ENTITY = `select pg_advisory_xact_lock(hashtextextended($1, 0))`;

export async function lockEntity(
  client: PoolClient,
  entity: { readonly account: string; readonly object: string; readonly objectId: string },
): Promise<void> {
  await client.query(LOCK_ENTITY, [`${entity.account}/${entity.object}/${entity.objectId}`]);
}
