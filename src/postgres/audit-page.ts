import { escapeIdentifier, type Pool } from 'pg';
import type { Version } from '../domain/version.js';
import { itemTexts } from '../stripe/json-text.js';
import type { AuditKey } from './audit-row.js';
import { changedKeys } from './changed-keys.js';
import { isRefusedData, postgresErrorSummary } from './errors.js';
import { entityKeyOf } from './upsert-page.js';

export interface PageComparison extends AuditKey, Version {
  /** Stripe's `object` name, and its table. */
  readonly object: string;
  readonly table: string;
  /** JSON text of the page as it came: an object whose `data` is an array of objects. */
  readonly page: string;
  /** Fields that make the key, in order. */
  readonly keyFields: readonly string[];
  /** Keys of objects that the page does not show in full, because a list in them is cut. */
  readonly cut: readonly string[];
  /** How many more differences may be kept. */
  readonly room: number;
}

export interface PageDifferences {
  /** Objects on the page. */
  readonly listed: number;
  /** Differences that were kept. */
  readonly stored: number;
  /** Differences beyond the room. */
  readonly overflow: number;
}

/** Keys that one difference names at most. Stripe's objects have fewer. */
export const MOST_KEYS = 50;

/** A row that somebody wrote by hand may hold any JSON. */
const asObject = (value: string) => `case when jsonb_typeof(${value}) = 'object' then ${value} end`;

/** The top-level keys in which a row's state differs from what Stripe shows, both given as SQL. */
export const keysBetween = (row: string, shown: string): string =>
  `(${changedKeys(asObject(row), shown)})[1:${MOST_KEYS}]`;

/**
 * Compares a page with the rows: one statement, within PostgreSQL, where the page's own text is parsed. A list may mix
 * kinds (a customer's cards, bank accounts and sources), of which each has a table of its own.
 */
const compareSql = (table: string) => `
with listed as (
  select distinct on (key) key, e, e->'deleted' is not distinct from 'true' as gone, key = any($8::text[]) as cut
  from jsonb_array_elements($2::jsonb->'data') as e,
    lateral (
      select string_agg(e->>field, ':' order by n) as key, count(e->>field) as parts
      from unnest($3::text[]) with ordinality as f(field, n)
    ) as k
  where jsonb_typeof(e) = 'object' and parts = cardinality($3::text[]) and coalesce(e->>'object', $5) = $5
  order by key
), shown as (
  insert into stripe_sync.audit_pages (account, number, object, ids)
  select $1, $4, $5, array_agg(key) from listed having count(*) > 0
), different as (
  select l.key, l.e, l.gone, l.cut, r.data,
    case when l.cut then 'cut' when l.gone then 'extra' when r.id is null then 'missing' else 'stale' end as kind,
    row_number() over (order by l.key) as place
  from listed l left join stripe.${escapeIdentifier(table)} r on r.account = $1 and r.id = l.key
  where l.cut
    or (l.gone and not r.deleted)
    or (not l.gone and (r.id is null or r.deleted or r.data <> l.e))
), noted as (
  insert into stripe_sync.audit_differences
    (account, number, object, id, kind, found, digest, read_as_of, read_until, keys)
  select $1, $4, $5, key, kind,
    case when not cut then case when gone then 'gone' else 'object' end end,
    case when not cut and not gone then md5(e::text) end,
    to_timestamp($6), to_timestamp($7),
    case when kind = 'stale' then ${keysBetween('data', 'e')} else '{}' end
  from different where place <= $9
  on conflict do nothing
)
select (select count(*) from listed) as listed,
  count(*) filter (where place <= $9) as stored, count(*) filter (where place > $9) as overflow
from different`;

/**
 * Compares a page of a listing with the rows, keeps what differs, and notes what was shown. Should PostgreSQL refuse
 * the page for what one of its objects holds, they are compared one by one; what it refuses even so cannot be compared.
 */
export async function comparePage(pool: Pool, input: PageComparison): Promise<PageDifferences> {
  try {
    return await compareWhole(pool, input);
  } catch (error) {
    if (!isRefusedData(error)) throw error;
  }
  let sum: PageDifferences = { listed: 0, stored: 0, overflow: 0 };
  for (const item of itemTexts(input.page, 'data')) {
    try {
      const page = { ...input, page: `{"data":[${item}]}`, room: input.room - sum.stored };
      sum = added(sum, await compareWhole(pool, page));
    } catch (error) {
      const reason = postgresErrorSummary(error);
      if (!isRefusedData(error) || reason === null) throw error;
      const id = entityKeyOf(JSON.parse(item), input.keyFields);
      if (id !== null) await noteUnheld(pool, input, id, reason);
      sum = added(sum, { listed: 1, stored: 1, overflow: 0 });
    }
  }
  return sum;
}

function added(a: PageDifferences, b: PageDifferences): PageDifferences {
  return { listed: a.listed + b.listed, stored: a.stored + b.stored, overflow: a.overflow + b.overflow };
}

async function compareWhole(pool: Pool, input: PageComparison): Promise<PageDifferences> {
  const { account, page, keyFields, number, object, asOf, asOfUntil, cut, room } = input;
  const { rows } = await pool.query<Record<keyof PageDifferences, string | number>>(compareSql(input.table), [
    account,
    page,
    keyFields,
    number,
    object,
    asOf,
    asOfUntil,
    cut,
    Math.max(0, room),
  ]);
  const [row] = rows;
  return {
    listed: Number(row?.listed ?? 0),
    stored: Number(row?.stored ?? 0),
    overflow: Number(row?.overflow ?? 0),
  };
}

const NOTE_UNHELD = `
with shown as (
  insert into stripe_sync.audit_pages (account, number, object, ids) values ($1, $2, $3, array[$4::text])
)
insert into stripe_sync.audit_differences (account, number, object, id, kind, state, read_until, note)
values ($1, $2, $3, left($4, 255), 'missing', 'unverified', to_timestamp($5), $6)
on conflict do nothing`;

async function noteUnheld(pool: Pool, input: PageComparison, id: string, reason: string): Promise<void> {
  const { account, number, object, asOfUntil } = input;
  await pool.query(NOTE_UNHELD, [account, number, object, id, asOfUntil, reason]);
}

/**
 * Rows that a complete listing did not show. A row that was written since it began is no evidence, where an event of
 * the ledger or a read of ours wrote it; one that is ahead of Stripe's clock was written by neither.
 */
const unseenSql = (table: string) => `
with shown as (
  select distinct unnest(ids) as id from stripe_sync.audit_pages
  where account = $1 and number = $2 and object = $3
), unseen as (
  select r.id, row_number() over (order by r.id) as place
  from stripe.${escapeIdentifier(table)} r
  where r.account = $1 and not r.deleted
    and not exists (select from shown s where s.id = r.id)
    and (
      r.as_of_until < to_timestamp($4)
      or r.as_of_until > to_timestamp($5)
      or not (
        position(':' in r.source) > 0
        or exists (select from stripe_sync.events e where e.account = r.account and e.id = r.source)
      )
    )
), noted as (
  insert into stripe_sync.audit_differences (account, number, object, id, kind, read_until)
  select $1, $2, $3, id, 'extra', to_timestamp($6) from unseen where place <= $7
  on conflict do nothing
)
select count(*) filter (where place <= $7) as stored, count(*) filter (where place > $7) as overflow
from unseen`;

export interface UnseenRows extends AuditKey {
  readonly object: string;
  readonly table: string;
  /** The listing's first page was read no earlier, and what is of later than `ahead` lies ahead of Stripe's clock. */
  readonly began: number;
  readonly ahead: number;
  /** Stripe's clock at the end of the listing, in seconds. */
  readonly shownAt: number;
  readonly room: number;
}

/** Keeps the rows that the listing did not show, to be read one by one: lists leave things out. */
export async function noteUnseen(
  pool: Pool,
  { account, number, object, table, began, ahead, shownAt, room }: UnseenRows,
): Promise<{ readonly stored: number; readonly overflow: number }> {
  const { rows } = await pool.query<{ stored: string | number; overflow: string | number }>(
    unseenSql(table),
    [account, number, object, began, ahead, shownAt, Math.max(0, room)],
  );
  return { stored: Number(rows[0]?.stored ?? 0), overflow: Number(rows[0]?.overflow ?? 0) };
}
