import type { Pool } from 'pg';

/**
 * A top-level string field of an entity's newest known state, from its newest event: the parent's id that the
 * path of a sub-resource needs. Null where the event does not carry it.
 */
const READ_FIELDS = `
select event->'data'->'object' as state
from stripe_sync.events
where account = $1 and object = $2 and object_id = $3
order by created desc, id desc
limit 1`;

export async function readFields(
  pool: Pool,
  entity: { readonly account: string; readonly object: string; readonly objectId: string },
  fields: readonly string[],
): Promise<Record<string, string>> {
  const { rows } = await pool.query<{ state: Record<string, unknown> | null }>(READ_FIELDS, [
    entity.account,
    entity.object,
    entity.objectId,
  ]);
  const state = rows[0]?.state ?? {};
  const found: Record<string, string> = {};
  for (const field of fields) {
    const value = state[field];
    if (typeof value === 'string') found[field] = value;
  }
  return found;
}
