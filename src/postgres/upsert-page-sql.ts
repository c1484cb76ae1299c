/**
 * The statements that upsert pages of a listing. Their parameters: the account, the pages (an array of jsonb), when each
 * was read (two arrays of seconds), keys to leave out, the steps that the pages are (an array of jsonb) and the object;
 * the upsert's also whether an object may follow its tombstone, and what the rows name as their source.
 */
import { escapeIdentifier, escapeLiteral } from 'pg';
import { changedOf, changeKind } from './changed-keys.js';
import { takingSteps } from './listing-step.js';

/** Of a page's objects, those that lie in a range that begins at `from`. */
const listedFrom = (place: string, from: string) => `(
    select count(*) from listed
    where page = ${place}
      and not coalesce(jsonb_typeof(e->'created') = 'number' and e->'created' < to_jsonb(${from}), false))`;
const TAKEN = 'select place from moved union all select place from ended';

/** SQL for the key of the object `e`: null where a part of it is missing, or where `e` is no object. */
function keyOf(keyFields: readonly string[]): string {
  return keyFields.map((field) => `(e->>${escapeLiteral(field)})`).join(" || ':' || ");
}

/** The pages' objects by key, without those that lack a part of it. Parameter 2 are the pages, an array. */
const listedOf = (keyFields: readonly string[]) => `
  select distinct on (key) key, e, page
  from (
    select ${keyOf(keyFields)} as key, e, page
    from jsonb_array_elements($2::jsonb) with ordinality as p(body, page),
      jsonb_array_elements(p.body->'data') as e
  ) as objects
  where key is not null
  order by key`;

/** The change feed, or where its rows wait for their numbers until the end of the transaction. */
export type Feed = 'changes' | 'unnumbered_changes';

/**
 * Upserts pages of a listing, which have no object in common, in one statement, under the same guard as every write: a
 * row gives way only where its state is wholly older than the page's read. One that came or changed while the statement
 * ran stays all the same, since `before` cannot see it, and the feed would tell a change from another state than the
 * last one told.
 *
 * What changes goes into the change feed, which locks out all others until the commit: so `change` is what the
 * statement asks for last, when it has everything else that may wait for another transaction.
 *
 * A table that is being filled has no statistics yet, so nothing here is left to them: `before` looks up one row per
 * key. As a join it is planned to compare each key with each, or to read all rows of the account. Its plan is as good
 * later, so it is kept: parsing and planning are a quarter of what a page costs.
 */
export const upsertPagesSql = (table: string, keyFields: readonly string[], feed: Feed) => `
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
  select $1, key, e, to_timestamp(($3::float8[])[page]), to_timestamp(($4::float8[])[page]),
    e->'deleted' is not distinct from 'true', $9
  from listed
  where key <> all($5::text[])
  order by key
  on conflict (account, id) do update set
    data = excluded.data, as_of = excluded.as_of, as_of_until = excluded.as_of_until,
    deleted = excluded.deleted, source = excluded.source
  where r.as_of_until < excluded.as_of and (not r.deleted or excluded.deleted or $8::boolean)
    and (r.id, r.xmin::text) in (select id, version from before)
  returning r.id, r.deleted, r.as_of
), paged as materialized (
  select place, step, (select count(*) from listed where page = place) as listed,
    (select count(*) from listed where page = place and key in (select id from written)) as written
  from jsonb_array_elements($6::jsonb) with ordinality as s(step, place)
), ${takingSteps({ object: '$7', steps: '(select * from paged where listed = written)', rows: listedFrom })}, change as (
  insert into stripe_sync.${feed} (account, object, id, kind, as_of, changed)
  select $1, $7, w.id, ${changeKind('b.deleted', 'w.deleted')}, w.as_of, ${changedOf('b.id is null', 'b.data', 'l.e')}
  from written w join listed l on l.key = w.id left join before b on b.id = w.id
  where b.id is null or b.data <> l.e or b.deleted <> w.deleted
  order by w.id
  returning ${feed === 'changes' ? 'sequence' : 'null::bigint as sequence'}
)
select listed, written, place in (${TAKEN}) as taken, (select count(*) from counted) as counted,
  (select pg_notify('stripe_sync_changes', max(sequence)::text) from change having max(sequence) is not null) as notified
from paged
order by place`;

/**
 * Rows that the clock cannot order against the page and whose states differ, those that are older and were held back
 * all the same, and what was left out unless its row is newer than the page. A statement of its own, so that it sees
 * rows that were committed while the upsert ran.
 * Where the page is a step of a listing, they are noted for a read in the transaction that takes the step.
 */
export const ambiguousSql = (table: string, keyFields: readonly string[]) => `
with listed as materialized (${listedOf(keyFields)}
), ambiguous as (
  select listed.key as id, extract(epoch from greatest(r.as_of_until, until))::bigint as after
  from (select *, to_timestamp(($3::float8[])[page]) as since, to_timestamp(($4::float8[])[page]) as until from listed)
    as listed left join lateral (
    select o.as_of, o.as_of_until, o.data, o.deleted from stripe.${escapeIdentifier(table)} o
    where o.account = $1 and o.id = listed.key
    limit 1
  ) as r on true
  where coalesce(r.as_of <= until, true)
    and (
      listed.key = any($5::text[])
      or (r.as_of_until >= since and (r.data is distinct from listed.e or r.deleted))
      or r.as_of_until < since
    )
), one as (
  select $6::jsonb->0 as step, 1::bigint as place
), noted as (
  insert into stripe_sync.listing_reads as l (account, number, object, id, after)
  select $1, (step->>'number')::integer, $7, id, after from ambiguous, one
  where jsonb_typeof(step) = 'object'
  order by id
  on conflict (account, number, object, id) do update set after = greatest(l.after, excluded.after)
), ${takingSteps({ object: '$7', steps: 'one', rows: listedFrom })}
select id, after, exists (${TAKEN}) as taken
from ambiguous right join (values (1)) as always on true`;
