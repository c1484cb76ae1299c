import { escapeIdentifier, type PoolClient } from 'pg';
import type { Version } from '../domain/version.js';
import { changedOf, changeKind } from './changed-keys.js';

export interface RowWrite extends Version {
  readonly account: string;
  /** Stripe's `object` name. */
  readonly object: string;
  readonly id: string;
  readonly deleted: boolean;
  readonly source: string;
  /** The event that the state comes from; null where it was read. */
  readonly eventId: string | null;
  /** The version that the decision was made on: the write fails where the row has changed since. */
  readonly replaces: (Version & { readonly source: string }) | null;
}

/**
 * Guard of every write: the row is still the very row that the decision was made on. That one is locked; but where
 * there was none, a page of a backfill may have brought one meanwhile, since it takes no entity's lock. Such a row
 * does not give way even where it is older: `before` cannot see it, and the feed would tell it as created twice.
 */
const GUARD = `extract(epoch from r.as_of)::bigint = $7 and extract(epoch from r.as_of_until)::bigint = $8
  and r.source = $9`;

/**
 * The write, and its line in the change feed where the state is another one than before; the line gets its number
 * at the end of the transaction (number-changes.ts). Parameter 10 is the object's name, 11 the id of the event that
 * the state comes from, or null.
 */
const upsert = (table: string, data: string, from = '') => `
with before as (
  select data, deleted from stripe.${escapeIdentifier(table)} where account = $1 and id = $2
), written as (
  insert into stripe.${escapeIdentifier(table)} as r
    (account, id, data, as_of, as_of_until, deleted, source)
  select $1, $2, ${data}, to_timestamp($3), to_timestamp($4), $5, $6
  ${from}
  on conflict (account, id) do update set
    data = excluded.data, as_of = excluded.as_of, as_of_until = excluded.as_of_until,
    deleted = excluded.deleted, source = excluded.source
  where ${GUARD}
  returning r.data, r.deleted, r.as_of
), change as (
  insert into stripe_sync.unnumbered_changes (account, object, id, event_id, kind, as_of, changed)
  select $1, $10, $2, $11,
    ${changeKind('b.deleted', 'w.deleted')},
    w.as_of, ${changedOf('b.data is null', 'b.data', 'w.data')}
  from written w left join before b on true
  where b.data is null or b.data <> w.data or b.deleted <> w.deleted
)
select count(*)::int as written from written`;

function parameters(write: RowWrite): unknown[] {
  const { account, object, id, asOf, asOfUntil, deleted, source, replaces, eventId } = write;
  return [
    account,
    id,
    asOf,
    asOfUntil,
    deleted,
    source,
    replaces?.asOf ?? null,
    replaces?.asOfUntil ?? null,
    replaces?.source ?? null,
    object,
    eventId,
  ];
}

async function run(client: PoolClient, sql: string, values: readonly unknown[]): Promise<boolean> {
  const { rows } = await client.query<{ written: number }>(sql, [...values]);
  return rows[0]?.written === 1;
}

/** Writes the state that an event of the ledger carries. False where the guard held the write back. */
export function writeEventRow(
  client: PoolClient,
  table: string,
  write: RowWrite & { readonly eventId: string },
): Promise<boolean> {
  const data = `(select event->'data'->'object' from stripe_sync.events where account = $1 and id = $11)`;
  return run(client, upsert(table, data), parameters(write));
}

/** Writes the state that a read returned, as its own JSON text. False where the guard held the write back. */
export function writeReadRow(
  client: PoolClient,
  table: string,
  write: RowWrite & { readonly data: string },
): Promise<boolean> {
  return run(client, upsert(table, '$12::jsonb'), [...parameters(write), write.data]);
}

/**
 * Marks a row as deleted because a read found the object gone; its last state stays. Where there is no row,
 * the newest event of the entity gives the state. False where the guard held it back or no state is known.
 */
export function writeTombstone(client: PoolClient, table: string, write: RowWrite): Promise<boolean> {
  const data = `coalesce(
    (select data from stripe.${escapeIdentifier(table)} where account = $1 and id = $2),
    (select event->'data'->'object' from stripe_sync.events
     where account = $1 and object = $10 and object_id = $2 and event->'data'->'object' is not null
     order by created desc, id desc limit 1))`;
  const known = `from (select ${data} as data) as known where known.data is not null`;
  return run(client, upsert(table, 'known.data', known), parameters(write));
}
