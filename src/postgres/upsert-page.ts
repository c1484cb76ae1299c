import { escapeIdentifier, type Pool } from 'pg';
import type { Version } from '../domain/version.js';
import { itemTexts } from '../stripe/json-text.js';
import { changedKeys, changeKind } from './changed-keys.js';
import { isRefusedData, postgresErrorSummary } from './errors.js';

export interface PageUpsert extends Version {
  readonly account: string;
  /** Stripe's `object` name, and its table. */
  readonly object: string;
  readonly table: string;
  /** JSON text of the page as it came: an object whose `data` is an array of objects. */
  readonly page: string;
  readonly source: string;
  /** Fields that make the key, in order; `['id']` for nearly all objects. */
  readonly keyFields: readonly string[];
  /**
   * Keys of objects that the page does not show in full, because a list in them is cut: they are not written, and
   * named as ambiguous instead.
   */
  readonly leaveOut?: readonly string[];
}

/** The page's objects by key, without those that lack a part of it. */
const LISTED = `
  select distinct on (key) key, e
  from jsonb_array_elements($2::jsonb->'data') as e,
    lateral (
      select string_agg(e->>field, ':' order by n) as key, count(e->>field) as parts
      from unnest($3::text[]) with ordinality as f(field, n)
    ) as k
  where jsonb_typeof(e) = 'object' and parts = cardinality($3::text[])
  order by key`;

/**
 * Upserts a page of a listing in one statement, under the same guard as every write: a row gives way only
 * where its state is wholly older than the page's read. What it changes goes into the change feed.
 */
const upsertPageSql = (table: string) => `
with listed as (${LISTED}
), before as (
  select r.id, r.data, r.deleted
  from listed join stripe.${escapeIdentifier(table)} r on r.account = $1 and r.id = listed.key
), written as (
  insert into stripe.${escapeIdentifier(table)} as r
    (account, id, data, as_of, as_of_until, deleted, source)
  select $1, key, e, to_timestamp($4), to_timestamp($5), e->'deleted' is not distinct from 'true', $6
  from listed
  where key <> all($7::text[])
  order by key
  on conflict (account, id) do update set
    data = excluded.data, as_of = excluded.as_of, as_of_until = excluded.as_of_until,
    deleted = excluded.deleted, source = excluded.source
  where r.as_of_until < excluded.as_of
  returning r.id, r.data, r.deleted, r.as_of
), change as (
  insert into stripe_sync.changes (account, object, id, kind, as_of, changed)
  select $1, $8, w.id, ${changeKind('b.deleted', 'w.deleted')}, w.as_of, ${changedKeys('b.data', 'w.data')}
  from written w left join before b on b.id = w.id
  where b.id is null or b.data <> w.data or b.deleted <> w.deleted
  order by w.id
  returning sequence
)
select (select count(*) from listed) as listed, (select count(*) from written) as written,
  (select pg_notify('stripe_sync_changes', max(sequence)::text) from change having count(*) > 0) as notified`;

/**
 * Rows that the clock cannot order against the page and whose states differ, and what was left out unless its row
 * is newer than the page. A statement of its own, so that it sees rows that were committed while the upsert ran.
 */
const ambiguousSql = (table: string) => `
with listed as (${LISTED}
)
select listed.key as id, extract(epoch from greatest(r.as_of_until, to_timestamp($5)))::bigint as after
from listed left join stripe.${escapeIdentifier(table)} r on r.account = $1 and r.id = listed.key
where coalesce(r.as_of <= to_timestamp($5), true)
  and (
    listed.key = any($6::text[])
    or (r.as_of_until >= to_timestamp($4) and (r.data is distinct from listed.e or r.deleted))
  )`;

export interface RefusedObject {
  /** Its first 255 characters: one that is too long may be what PostgreSQL refuses. */
  readonly objectId: string;
  /** PostgreSQL's code, without its words: they may quote the object. */
  readonly reason: string;
}

export interface PageResult {
  /** Objects on the page, without those that PostgreSQL refused. */
  readonly listed: number;
  readonly written: number;
  /**
   * Rows whose state differs from the page's within overlapping intervals, and objects that were left out: each
   * needs a read that lies wholly after this second of Stripe's clock, with which both intervals are over.
   */
  readonly ambiguous: readonly { readonly objectId: string; readonly after: number }[];
  /** Objects that PostgreSQL cannot hold; their rows, where they have one, stay as they are. */
  readonly refused: readonly RefusedObject[];
}

/**
 * Upserts a page. Should PostgreSQL refuse it for what one of its objects holds, they go in one by one, each as its
 * own text, so that none holds up the others.
 */
export async function upsertPage(pool: Pool, input: PageUpsert): Promise<PageResult> {
  try {
    return await upsertWhole(pool, input);
  } catch (error) {
    if (!isRefusedData(error)) throw error;
  }
  const refused: RefusedObject[] = [];
  const results: PageResult[] = [];
  for (const item of itemTexts(input.page, 'data')) {
    try {
      results.push(await upsertWhole(pool, { ...input, page: `{"data":[${item}]}` }));
    } catch (error) {
      const reason = postgresErrorSummary(error);
      if (!isRefusedData(error) || reason === null) throw error;
      const objectId = entityKeyOf(JSON.parse(item), input.keyFields) ?? 'without id';
      refused.push({ objectId: objectId.slice(0, 255), reason });
    }
  }
  return {
    listed: results.reduce((sum, { listed }) => sum + listed, 0),
    written: results.reduce((sum, { written }) => sum + written, 0),
    ambiguous: results.flatMap(({ ambiguous }) => ambiguous),
    refused,
  };
}

/** The key of an object's row, or null where it lacks a part of it. */
export function entityKeyOf(entry: unknown, keyFields: readonly string[]): string | null {
  if (typeof entry !== 'object' || entry === null) return null;
  const parts = keyFields.map((field) => (entry as Record<string, unknown>)[field]);
  return parts.every((part) => typeof part === 'string') ? parts.join(':') : null;
}

async function upsertWhole(pool: Pool, input: PageUpsert): Promise<PageResult> {
  const leaveOut = input.leaveOut ?? [];
  const parameters = [input.account, input.page, input.keyFields, input.asOf, input.asOfUntil];
  const { rows } = await pool.query<{ listed: string | number; written: string | number }>(
    upsertPageSql(input.table),
    [...parameters, input.source, leaveOut, input.object],
  );
  const listed = Number(rows[0]?.listed ?? 0);
  const written = Number(rows[0]?.written ?? 0);
  if (written === listed) return { listed, written, ambiguous: [], refused: [] };
  const ambiguous = await pool.query<{ id: string; after: string | number }>(ambiguousSql(input.table), [
    ...parameters,
    leaveOut,
  ]);
  return {
    listed,
    written,
    ambiguous: ambiguous.rows.map((row) => ({ objectId: row.id, after: Number(row.after) })),
    refused: [],
  };
}
