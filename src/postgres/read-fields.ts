import { escapeIdentifier, type Pool } from 'pg';

export interface FieldsOf {
  readonly account: string;
  readonly object: string;
  readonly objectId: string;
  /** The object's table, without its schema. */
  readonly table: string;
}

/** Newest first: the entity's newest event that carries a state, then its row, which outlives the ledger's events. */
const readFieldsSql = (table: string) => `
(select event->'data'->'object' as state
 from stripe_sync.events
 where account = $1 and object = $2 and object_id = $3 and jsonb_typeof(event->'data'->'object') = 'object'
 order by created desc, id desc
 limit 1)
union all
(select data from stripe.${escapeIdentifier(table)} where account = $1 and id = $3)`;

/**
 * Ids in top-level fields of an entity's newest known state: the parent's id that the path of a sub-resource needs.
 * A field may hold an id, or an object with one (a source's mandate notification holds its source). A field
 * without an id is missing in the answer.
 */
export async function readFields(
  pool: Pool,
  entity: FieldsOf,
  fields: readonly string[],
): Promise<Record<string, string>> {
  const { rows } = await pool.query<{ state: Record<string, unknown> | null }>(readFieldsSql(entity.table), [
    entity.account,
    entity.object,
    entity.objectId,
  ]);
  const found: Record<string, string> = {};
  for (const field of fields) {
    // A state of another shape, or an older one, may say what the newest does not.
    const ids = rows.flatMap(({ state }) => idIn(state?.[field]) ?? []);
    if (ids[0] !== undefined) found[field] = ids[0];
  }
  return found;
}

function idIn(value: unknown): string | undefined {
  const id = typeof value === 'object' && value !== null ? (value as { id?: unknown }).id : value;
  return typeof id === 'string' && id !== '' ? id : undefined;
}
