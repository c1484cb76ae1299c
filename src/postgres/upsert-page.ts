import { escapeIdentifier, escapeLiteral, type Pool, type PoolClient } from 'pg';
import type { Version } from '../domain/version.js';
import { itemTexts } from '../stripe/json-text.js';
import { changedOf, changeKind } from './changed-keys.js';
import { embeddings } from './embedded-rows.js';
import { isRefusedData, postgresErrorSummary } from './errors.js';
import { type ListingStep, noteRefused, stepParameter, takeStep, takingStep } from './listing-step.js';
import { changingTransaction } from './number-changes.js';
import { withPrepared } from './prepared-statements.js';

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
  /**
   * Whether an object may follow the tombstone of its id. Elsewhere a listed one contradicts the tombstone, so it is
   * not written, and named as ambiguous. False unless told.
   */
  readonly recreatable?: boolean;
  /** The step of a listing that the page is: it is taken in the same transaction, or not at all. */
  readonly step?: ListingStep;
  /**
   * Whether more such pages follow, so that the statement is worth keeping on its connection, where it takes some
   * 250 kB of the server's memory. False unless told.
   */
  readonly isOneOfMany?: boolean;
}

const LISTED_COUNT = '(select count(*) from listed)';
const listedFrom = (from: string) => `(
  select count(*) from listed
  where not coalesce(jsonb_typeof(e->'created') = 'number' and e->'created' < to_jsonb(${from}), false))`;
const TAKEN = '(select count(*) from moved) + (select count(*) from ended)';

/** SQL for the key of the object `e`: null where a part of it is missing, or where `e` is no object. */
function keyOf(keyFields: readonly string[]): string {
  return keyFields.map((field) => `(e->>${escapeLiteral(field)})`).join(" || ':' || ");
}

/** The page's objects by key, without those that lack a part of it. Parameter 2 is the page. */
const listedOf = (keyFields: readonly string[]) => `
  select distinct on (key) key, e
  from (select ${keyOf(keyFields)} as key, e from jsonb_array_elements($2::jsonb->'data') as e) as page
  where key is not null
  order by key`;

/** The change feed, or where its rows wait for their numbers until the end of the transaction. */
type Feed = 'changes' | 'unnumbered_changes';

/**
 * Upserts a page of a listing in one statement, under the same guard as every write: a row gives way only
 * where its state is wholly older than the page's read. One that came or changed while the statement ran stays all the
 * same, since `before` cannot see it, and the feed would tell a change from another state than the last one told.
 *
 * What changes goes into the change feed, which locks out all others until the commit: so `change` is what the
 * statement asks for last, when it has everything else that may wait for another transaction.
 *
 * A table that is being filled has no statistics yet, so nothing here is left to them: `before` looks up one row per
 * key. As a join it is planned to compare each key with each, or to read all rows of the account. Its plan is as good
 * later, so it is kept: parsing and planning are a quarter of what a page costs.
 */
const upsertPageSql = (table: string, keyFields: readonly string[], feed: Feed) => `
with listed as materialized (${listedOf(keyFields)}
), before as materialized (
  select r.id, r.data, r.deleted, r.version
  from listed, lateral (
    select o.id, o.data, o.deleted, o.xmin::text as version from stripe.${escapeIdentifier(table)} o
    where o.account = $1 and o.id = listed.key
    limit 1
  ) as r
), written as (
  insert into stripe.${escapeIdentifier(table)} as r
    (account, id, data, as_of, as_of_until, deleted, source)
  select $1, key, e, to_timestamp($3), to_timestamp($4), e->'deleted' is not distinct from 'true', $9
  from listed
  where key <> all($5::text[])
  order by key
  on conflict (account, id) do update set
    data = excluded.data, as_of = excluded.as_of, as_of_until = excluded.as_of_until,
    deleted = excluded.deleted, source = excluded.source
  where r.as_of_until < excluded.as_of and (not r.deleted or excluded.deleted or $8::boolean)
    and (r.id, r.xmin::text) in (select id, version from before)
  returning r.id, r.deleted, r.as_of
), ${takingStep({ object: '$7', step: '$6', rows: listedFrom, when: `${LISTED_COUNT} = (select count(*) from written)` })}, change as (
  insert into stripe_sync.${feed} (account, object, id, kind, as_of, changed)
  select $1, $7, w.id, ${changeKind('b.deleted', 'w.deleted')}, w.as_of, ${changedOf('b.id is null', 'b.data', 'l.e')}
  from written w join listed l on l.key = w.id left join before b on b.id = w.id
  where b.id is null or b.data <> l.e or b.deleted <> w.deleted
  order by w.id
  returning ${feed === 'changes' ? 'sequence' : 'null::bigint as sequence'}
)
select ${LISTED_COUNT} as listed, (select count(*) from written) as written, ${TAKEN} as taken,
  (select count(*) from counted) as counted,
  (select pg_notify('stripe_sync_changes', max(sequence)::text) from change having max(sequence) is not null) as notified`;

/**
 * Rows that the clock cannot order against the page and whose states differ, those that are older and were held back
 * all the same, and what was left out unless its row is newer than the page. A statement of its own, so that it sees
 * rows that were committed while the upsert ran.
 * Where the page is a step of a listing, they are noted for a read in the transaction that takes the step.
 */
const ambiguousSql = (table: string, keyFields: readonly string[]) => `
with listed as materialized (${listedOf(keyFields)}
), ambiguous as (
  select listed.key as id, extract(epoch from greatest(r.as_of_until, to_timestamp($4)))::bigint as after
  from listed left join lateral (
    select o.as_of, o.as_of_until, o.data, o.deleted from stripe.${escapeIdentifier(table)} o
    where o.account = $1 and o.id = listed.key
    limit 1
  ) as r on true
  where coalesce(r.as_of <= to_timestamp($4), true)
    and (
      listed.key = any($5::text[])
      or (r.as_of_until >= to_timestamp($3) and (r.data is distinct from listed.e or r.deleted))
      or r.as_of_until < to_timestamp($3)
    )
), noted as (
  insert into stripe_sync.listing_reads as l (account, number, object, id, after)
  select $1, ($6::jsonb->>'number')::integer, $7, id, after from ambiguous
  where $6::jsonb is not null
  order by id
  on conflict (account, number, object, id) do update set after = greatest(l.after, excluded.after)
), ${takingStep({ object: '$7', step: '$6', rows: listedFrom, when: 'true' })}
select id, after, ${TAKEN} as taken
from ambiguous right join (values (1)) as always on true`;

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
   * Rows whose state differs from the page's within overlapping intervals, tombstones that the page contradicts, rows
   * that changed while it was written, and objects that were left out: each needs a read that lies wholly after this
   * second of Stripe's clock, with which both intervals are over.
   */
  readonly ambiguous: readonly { readonly objectId: string; readonly after: number }[];
  /** Objects that PostgreSQL cannot hold; their rows, where they have one, stay as they are. */
  readonly refused: readonly RefusedObject[];
  /** Whether the step was taken; false where somebody else took it before. */
  readonly taken: boolean;
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
  const { step, ...page } = input;
  const refused: RefusedObject[] = [];
  const results: PageResult[] = [];
  for (const item of itemTexts(input.page, 'data')) {
    try {
      const noting = step === undefined ? {} : { step: { ...step, next: 'stay' as const } };
      results.push(await upsertWhole(pool, { ...page, ...noting, page: `{"data":[${item}]}` }));
    } catch (error) {
      const reason = postgresErrorSummary(error);
      if (!isRefusedData(error) || reason === null) throw error;
      const objectId = entityKeyOf(JSON.parse(item), input.keyFields) ?? 'without id';
      refused.push({ objectId: objectId.slice(0, 255), reason });
    }
  }
  const listed = results.reduce((sum, result) => sum + result.listed, 0);
  const taken = step === undefined || (await takeStep(pool, input, step, listed));
  if (step !== undefined && taken) await noteRefused(pool, input, step.number, refused.length);
  return {
    listed,
    written: results.reduce((sum, { written }) => sum + written, 0),
    ambiguous: results.flatMap(({ ambiguous }) => ambiguous),
    refused,
    taken,
  };
}

/** The key of an object's row, or null where it lacks a part of it. */
export function entityKeyOf(entry: unknown, keyFields: readonly string[]): string | null {
  if (typeof entry !== 'object' || entry === null) return null;
  const parts = keyFields.map((field) => (entry as Record<string, unknown>)[field]);
  return parts.every((part) => typeof part === 'string') ? parts.join(':') : null;
}

let withEmbedded: ReadonlySet<string> | undefined;

/** Whether rows of other tables follow the object's rows, by a trigger, which fires after the statement. */
function hasEmbeddedRows(object: string): boolean {
  withEmbedded ??= new Set(embeddings().map(({ parent }) => parent));
  return withEmbedded.has(object);
}

interface Upserted {
  readonly listed: string | number;
  readonly written: string | number;
  readonly taken: string | number;
}

async function upsertWhole(pool: Pool, input: PageUpsert): Promise<PageResult> {
  const { account, object, table, keyFields, page, asOf, asOfUntil, source } = input;
  const { leaveOut = [], recreatable = false, isOneOfMany = false } = input;
  const step = stepParameter(input.step);
  const parameters = [account, page, asOf, asOfUntil, leaveOut, step, object];
  const { rows } = await withPrepared(pool, isOneOfMany, (prepare) => {
    const upsert = (client: Pool | PoolClient, feed: Feed) =>
      client.query<Upserted>({
        ...prepare(upsertPageSql(table, keyFields, feed)),
        values: [...parameters, recreatable, source],
      });
    return hasEmbeddedRows(object)
      ? changingTransaction(pool, (client) => upsert(client, 'unnumbered_changes'))
      : upsert(pool, 'changes');
  });
  const listed = Number(rows[0]?.listed ?? 0);
  const written = Number(rows[0]?.written ?? 0);
  if (written === listed) {
    const taken = step === null || Number(rows[0]?.taken) > 0;
    return { listed, written, ambiguous: [], refused: [], taken };
  }
  const ambiguous = await pool.query<{ id: string | null; after: string | number; taken: string | number }>(
    ambiguousSql(table, keyFields),
    parameters,
  );
  return {
    listed,
    written,
    ambiguous: ambiguous.rows.flatMap(({ id, after }) =>
      id === null ? [] : [{ objectId: id, after: Number(after) }],
    ),
    refused: [],
    taken: step === null || Number(ambiguous.rows[0]?.taken) > 0,
  };
}
