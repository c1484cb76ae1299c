import { escapeIdentifier, type Pool } from 'pg';
import type { Version } from '../domain/version.js';

export interface PageUpsert extends Version {
  readonly account: string;
  readonly table: string;
  /** JSON text of the page as it came: an object whose `data` is an array of objects. */
  readonly page: string;
  readonly source: string;
  /** Fields that make the key, in order; `['id']` for nearly all objects. */
  readonly keyFields: readonly string[];
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
 * where its state is wholly older than the page's read.
 */
const upsertPageSql = (table: string) => `
with listed as (${LISTED}
), written as (
  insert into stripe.${escapeIdentifier(table)} as r
    (account, id, data, as_of, as_of_until, deleted, source)
  select $1, key, e, to_timestamp($4), to_timestamp($5), e->'deleted' is not distinct from 'true', $6
  from listed
  order by key
  on conflict (account, id) do update set
    data = excluded.data, as_of = excluded.as_of, as_of_until = excluded.as_of_until,
    deleted = excluded.deleted, source = excluded.source
  where r.as_of_until < excluded.as_of
  returning r.id
)
select (select count(*) from listed) as listed, (select count(*) from written) as written`;

/**
 * Rows that the clock cannot order against the page and whose states differ. A statement of its own, so that
 * it sees rows that were committed while the upsert ran.
 */
const ambiguousSql = (table: string) => `
with listed as (${LISTED}
)
select r.id, extract(epoch from greatest(r.as_of_until, to_timestamp($5)))::bigint as after
from listed join stripe.${escapeIdentifier(table)} r on r.account = $1 and r.id = listed.key
where r.as_of_until >= to_timestamp($4) and r.as_of <= to_timestamp($5)
  and (r.data is distinct from listed.e or r.deleted)`;

export interface PageResult {
  readonly listed: number;
  readonly written: number;
  /**
   * Rows whose state differs from the page's within overlapping intervals: each needs a read that lies wholly
   * after this second of Stripe's clock, with which both intervals are over.
   */
  readonly ambiguous: readonly { readonly objectId: string; readonly after: number }[];
}

export async function upsertPage(pool: Pool, input: PageUpsert): Promise<PageResult> {
  const parameters = [input.account, input.page, input.keyFields, input.asOf, input.asOfUntil];
  const { rows } = await pool.query<{ listed: string | number; written: string | number }>(
    upsertPageSql(input.table),
    [...parameters, input.source],
  );
  const listed = Number(rows[0]?.listed ?? 0);
  const written = Number(rows[0]?.written ?? 0);
  if (written === listed) return { listed, written, ambiguous: [] };
  const ambiguous = await pool.query<{ id: string; after: string | number }>(
    ambiguousSql(input.table),
    parameters,
  );
  return {
    listed,
    written,
    ambiguous: ambiguous.rows.map((row) => ({ objectId: row.id, after: Number(row.after) })),
  };
}
