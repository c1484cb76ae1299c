/** Where the listing of a type stands, kept in PostgreSQL beside what it lists. */
import type { Pool } from 'pg';
import { type Range, type RangeExtent, type Split, shareListed } from '../domain/ranges.js';
import type { ListingKey } from './listing-step.js';

/** One type of one backfill. */
export interface NumberedListing extends ListingKey {
  /** Number of the backfill. */
  readonly number: number;
}

export interface ListingState {
  /** Stripe's clock in seconds: the first page was read no earlier. Null before it. */
  readonly beganAt: number | null;
  readonly sweeping: boolean;
  readonly outcome: 'done' | 'skipped' | 'failed' | null;
  readonly reason: string | null;
  readonly rows: number;
  readonly requests: number;
  readonly refused: number;
  readonly covered: number;
}

const OPEN = `
with opened as (
  insert into stripe_sync.listings (account, number, object, since)
  values ($1, $2, $3, to_timestamp($4))
  on conflict do nothing
  returning account, number, object
)
insert into stripe_sync.listing_ranges (account, number, object, pass, created_from)
select account, number, object, pass, case when $6 then $4::bigint end
from opened, generate_series(0, $5::integer - 1) as pass`;

/**
 * Notes a listing that begins, with one range per pass; one that has begun stays as it is.
 *
 * @param since seconds of `created`, or null for all
 * @param passes how many queries list the type; 0 where it is not listed by ranges
 * @param filtered whether the list takes `created`
 */
export async function openListing(
  pool: Pool,
  { account, number, object }: NumberedListing,
  listing: { readonly since: number | null; readonly passes: number; readonly filtered: boolean },
): Promise<ListingState> {
  const { since, passes, filtered } = listing;
  await pool.query(OPEN, [account, number, object, since, passes, filtered]);
  const state = await readListing(pool, { account, number, object });
  if (state === null) throw new Error(`the listing of ${object} vanished while it was opened`);
  return state;
}

const STATE = `
select extract(epoch from began_at)::float8 as "beganAt", sweeping, outcome, reason, rows::float8, requests::float8,
  refused::float8, covered::float8
from stripe_sync.listings where account = $1 and number = $2 and object = $3`;

export async function readListing(
  pool: Pool,
  { account, number, object }: NumberedListing,
): Promise<ListingState | null> {
  const { rows } = await pool.query<ListingState>(STATE, [account, number, object]);
  return rows[0] ?? null;
}

/** Notes when the first page was read: the earliest that anybody tells. */
export async function noteBeginning(
  pool: Pool,
  { account, number, object }: NumberedListing,
  beganAt: number,
): Promise<void> {
  await pool.query(
    `update stripe_sync.listings set began_at = least(began_at, to_timestamp($4))
     where account = $1 and number = $2 and object = $3`,
    [account, number, object, beganAt],
  );
}

/** Whatever the pool makes of a bigint: seconds and counts are numbers. */
const RANGE = `range, pass, created_from::float8 as "from", created_to::float8 as "to", newest::float8, reached::float8,
  starting_after as "startingAfter", trail, pages::float8, rows::float8`;

const RANGES = `
select ${RANGE}
from stripe_sync.listing_ranges
where account = $1 and number = $2 and object = $3
order by range`;

export async function readRanges(
  pool: Pool,
  { account, number, object }: NumberedListing,
): Promise<readonly Range[]> {
  const { rows } = await pool.query<Range>(RANGES, [account, number, object]);
  return rows;
}

const SPLIT = `
with kept as (
  update stripe_sync.listing_ranges r set created_from = $5
  where account = $1 and number = $2 and object = $3 and range = $4
    and created_from is not distinct from $6 and coalesce(reached, created_to) > $5
  returning r.account, r.number, r.object, r.pass
)
insert into stripe_sync.listing_ranges (account, number, object, pass, created_from, created_to)
select account, number, object, pass, $6::bigint, $5::bigint from kept
returning ${RANGE}`;

/** Makes the older half of a range a range of its own. Null where the range is no longer as it was. */
export async function splitRange(
  pool: Pool,
  { account, number, object }: NumberedListing,
  split: Split,
  from: number | null,
): Promise<Range | null> {
  const { rows } = await pool.query<Range>(SPLIT, [account, number, object, split.range, split.at, from]);
  return rows[0] ?? null;
}

/** An object that a page does not settle. */
export interface ListingRead {
  readonly id: string;
  /** The read has to lie past this second of Stripe's clock. */
  readonly after: number;
}

export async function readsLeft(
  pool: Pool,
  { account, number, object }: NumberedListing,
  most: number,
): Promise<readonly ListingRead[]> {
  const { rows } = await pool.query<ListingRead>(
    `select id, after::float8 from stripe_sync.listing_reads
     where account = $1 and number = $2 and object = $3 order by after, id limit $4`,
    [account, number, object, most],
  );
  return rows;
}

/** Notes objects that a page does not settle. */
export async function noteReads(
  pool: Pool,
  { account, number, object }: NumberedListing,
  reads: readonly ListingRead[],
): Promise<void> {
  if (reads.length === 0) return;
  await pool.query(
    `insert into stripe_sync.listing_reads as l (account, number, object, id, after)
     select $1, $2, $3, id, max(after) from unnest($4::text[], $5::bigint[]) as r(id, after) group by id order by id
     on conflict (account, number, object, id) do update set after = greatest(l.after, excluded.after)`,
    [account, number, object, reads.map(({ id }) => id), reads.map(({ after }) => after)],
  );
}

export async function dropRead(
  pool: Pool,
  { account, number, object }: NumberedListing,
  id: string,
): Promise<void> {
  await pool.query(
    `delete from stripe_sync.listing_reads where account = $1 and number = $2 and object = $3 and id = $4`,
    [account, number, object, id],
  );
}

/** Notes that everything is listed, and what was not shown is being checked. */
export async function beginSweep(
  pool: Pool,
  { account, number, object }: NumberedListing,
  sweep: { readonly swept: number; readonly unswept: number },
): Promise<void> {
  await pool.query(
    `update stripe_sync.listings set sweeping = true, swept = swept + $4, unswept = $5
     where account = $1 and number = $2 and object = $3`,
    [account, number, object, sweep.swept, sweep.unswept],
  );
}

const END = `
with ended as (
  update stripe_sync.listings l
  set ended_at = clock_timestamp(), outcome = $4, reason = $5, sweeping = false,
    rows = l.rows + coalesce(r.rows, 0), requests = l.requests + coalesce(r.pages, 0),
    complete_to = case when $4 = 'done' and (l.since is null or l.since <= (
      select max(p.complete_to) from stripe_sync.listings p
      where p.account = l.account and p.object = l.object and p.number < l.number
    )) then l.began_at end
  from (
    select sum(rows) as rows, sum(pages) as pages from stripe_sync.listing_ranges
    where account = $1 and number = $2 and object = $3
  ) as r
  where l.account = $1 and l.number = $2 and l.object = $3 and l.outcome is null
), gone as (
  delete from stripe_sync.listing_ranges where account = $1 and number = $2 and object = $3
)
delete from stripe_sync.listing_reads where account = $1 and number = $2 and object = $3`;

/** Notes how a listing ended; the first to tell is believed. */
export async function endListing(
  pool: Pool,
  { account, number, object }: NumberedListing,
  outcome: 'done' | 'skipped' | 'failed',
  reason: string | null,
): Promise<void> {
  await pool.query(END, [account, number, object, outcome, reason]);
}

export interface ListingProgress {
  readonly object: string;
  readonly state: 'listing' | 'sweeping' | 'done' | 'skipped' | 'failed';
  readonly rows: number;
  readonly requests: number;
  /** Objects that PostgreSQL cannot hold. */
  readonly refused: number;
  /** Rows that the listing did not show: read one by one, and left unread since they are too many. */
  readonly swept: number;
  readonly unswept: number;
  /** 0 to 1, of the time range that is listed, or of the parents that are walked; null where nothing is known yet. */
  readonly share: number | null;
  /** PostgreSQL's clock, in milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** When this was read. */
  readonly at: number;
  readonly reason: string | null;
}

const PROGRESS = `
select object, outcome, sweeping, rows::float8, requests::float8, refused::float8, swept::float8, unswept::float8,
  covered::float8, parents_done::float8 as "parentsDone", parents_total::float8 as "parentsTotal", reason,
  (extract(epoch from started_at) * 1000)::float8 as "startedAt",
  (extract(epoch from ended_at) * 1000)::float8 as "endedAt",
  (extract(epoch from clock_timestamp()) * 1000)::float8 as at,
  (
    select coalesce(json_agg(json_build_object(
      'from', created_from, 'to', created_to, 'newest', newest, 'reached', reached, 'pages', pages, 'rows', r.rows
    )), '[]')
    from stripe_sync.listing_ranges r
    where r.account = l.account and r.number = l.number and r.object = l.object
  ) as ranges
from stripe_sync.listings l
where account = $1 and number = $2 and ($3::text is null or object = $3)
order by started_at, object`;

interface ProgressRow extends Omit<ListingProgress, 'state' | 'share'> {
  readonly outcome: 'done' | 'skipped' | 'failed' | null;
  readonly sweeping: boolean;
  readonly covered: number;
  readonly parentsDone: number;
  readonly parentsTotal: number | null;
  readonly ranges: readonly RangeExtent[];
}

/**
 * How far a backfill is, type by type, in the order in which they began. Types that have not begun are not there.
 *
 * @param object only this one
 */
export async function readListings(
  pool: Pool,
  account: string,
  number: number,
  object: string | null = null,
): Promise<readonly ListingProgress[]> {
  const { rows } = await pool.query<ProgressRow>(PROGRESS, [account, number, object]);
  return rows.map(({ outcome, sweeping, covered, parentsDone, parentsTotal, ranges, ...listing }) => {
    const walked = parentsTotal === null ? null : parentsDone / Math.max(1, parentsTotal);
    return {
      ...listing,
      state: outcome ?? (sweeping ? ('sweeping' as const) : ('listing' as const)),
      rows: listing.rows + ranges.reduce((sum, range) => sum + range.rows, 0),
      requests: listing.requests + ranges.reduce((sum, range) => sum + range.pages, 0),
      share: outcome !== null || sweeping ? 1 : (walked ?? shareListed(covered, ranges)),
    };
  });
}
