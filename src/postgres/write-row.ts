import { escapeIdentifier, type PoolClient } from 'pg';
import type { Version } from '../domain/version.js';

export interface RowWrite extends Version {
  readonly account: string;
  readonly id: string;
  readonly deleted: boolean;
  readonly source: string;
  /** The version that the decision was made on: the write fails where the row has changed since. */
  readonly replaces: (Version & { readonly source: string }) | null;
}

/**
 * Guard of every write: the row is wholly older than what is written, or it is still the very row that the
 * decision was made on. A page of a backfill may have come between, since it takes no entity's lock.
 */
const GUARD = `r.as_of_until < excluded.as_of
  or (r.as_of = to_timestamp($7) and r.as_of_until = to_timestamp($8) and r.source = $9)`;

const upsert = (table: string, data: string, from = '') => `
insert into stripe.${escapeIdentifier(table)} as r
  (account, id, data, as_of, as_of_until, deleted, source)
select $1, $2, ${data}, to_timestamp($3), to_timestamp($4), $5, $6
${from}
on conflict (account, id) do update set
  data = excluded.data, as_of = excluded.as_of, as_of_until = excluded.as_of_until,
  deleted = excluded.deleted, source = excluded.source
where ${GUARD}`;

const parameters = (write: RowWrite) => [
  write.account,
  write.id,
  write.asOf,
  write.asOfUntil,
  write.deleted,
  write.source,
  write.replaces?.asOf ?? null,
  write.replaces?.asOfUntil ?? null,
  write.replaces?.source ?? null,
];

/** Writes the state that an event of the ledger carries. False where the guard held the write back. */
export async function writeEventRow(client: PoolClient, table: string, write: RowWrite): Promise<boolean> {
  const data = `(select event->'data'->'object' from stripe_sync.events where account = $1 and id = $6)`;
  const { rowCount } = await client.query(upsert(table, data), parameters(write));
  return rowCount === 1;
}

/** Writes the state that a read returned, as its own JSON text. False where the guard held the write back. */
export async function writeReadRow(
  client: PoolClient,
  table: string,
  write: RowWrite & { readonly data: string },
): Promise<boolean> {
  const { rowCount } = await client.query(upsert(table, '$10::jsonb'), [...parameters(write), write.data]);
  return rowCount === 1;
}

/**
 * Marks a row as deleted because a read found the object gone; its last state stays. Where there is no row,
 * the newest event of the entity gives the state. False where the guard held it back or no state is known.
 */
export async function writeTombstone(
  client: PoolClient,
  table: string,
  object: string,
  write: RowWrite,
): Promise<boolean> {
  const data = `coalesce(
    (select data from stripe.${escapeIdentifier(table)} where account = $1 and id = $2),
    (select event->'data'->'object' from stripe_sync.events
     where account = $1 and object = $10 and object_id = $2
     order by created desc, id desc limit 1))`;
  const sql = upsert(
    table,
    'known.data',
    `from (select ${data} as data) as known where known.data is not null`,
  );
  const { rowCount } = await client.query(sql, [...parameters(write), object]);
  return rowCount === 1;
}
