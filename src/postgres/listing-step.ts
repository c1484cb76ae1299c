/**
 * A step of a listing: one page, and where its range goes on. It is taken in the transaction that writes the page, by
 * whoever finds the range where the page began; anybody else has walked it twice, which is harmless, and takes none.
 */
import type { Pool } from 'pg';
import type { RangeStep } from '../domain/ranges.js';

export interface ListingStep {
  /** Number of the backfill. */
  readonly number: number;
  readonly range: number;
  /** Pages of the range that had been taken when this one was asked for. */
  readonly pages: number;
  /** Where the range goes on, or that it ends; `stay` leaves it where it is, for a part of the page. */
  readonly next: RangeStep | 'stay';
}

export interface ListingKey {
  readonly account: string;
  readonly object: string;
}

/** Steps of several pages as the parameter of a statement, one for each page: null where it is none. */
export function stepsParameter(steps: readonly (ListingStep | undefined)[]): string {
  return JSON.stringify(steps.map(partsOf));
}

function partsOf(step: ListingStep | undefined) {
  if (step === undefined) return null;
  const { number, range, pages, next } = step;
  return next === 'stay' ? { number } : { number, range, pages, ...next };
}

/** SQL for what a statement knows. */
interface Taking {
  readonly object: string;
  /** A relation of the steps to take: `step`, and in which `place` its page is. */
  readonly steps: string;
  /**
   * How many rows of a page lie in a range that begins at `from`. A page that was asked for before its range gave its
   * older half away may reach into that one, whose walker counts what lies there.
   */
  readonly rows: (place: string, from: string) => string;
}

/** Common table expressions that take steps: `moved` and `ended` hold the places of those that were taken. `$1` is the account. */
export function takingSteps({ object, steps, rows }: Taking): string {
  const mine = `r.account = $1 and r.object = ${object} and r.number = (s.step->>'number')::integer
    and r.range = (s.step->>'range')::integer and r.pages = (s.step->>'pages')::bigint`;
  return `moved as (
  update stripe_sync.listing_ranges r
  set newest = (s.step->>'newest')::bigint, reached = (s.step->>'reached')::bigint,
    starting_after = s.step->>'startingAfter',
    trail = array(select jsonb_array_elements_text(s.step->'trail')),
    pages = r.pages + 1, rows = r.rows + ${rows('s.place', 'r.created_from')}
  from ${steps} s
  where ${mine} and s.step->'ends' = 'false'
  returning s.place
), ended as (
  delete from stripe_sync.listing_ranges r
  using ${steps} s
  where ${mine} and s.step->'ends' = 'true'
  returning s.place, r.number, r.pages + 1 as pages, r.rows + ${rows('s.place', 'r.created_from')} as rows,
    coalesce((s.step->>'newest')::bigint - (s.step->>'reached')::bigint, 0) as covered
), counted as (
  update stripe_sync.listings l
  set rows = l.rows + e.rows, requests = l.requests + e.pages, covered = l.covered + e.covered
  from (
    select number, sum(rows) as rows, sum(pages) as pages, sum(covered) as covered from ended group by number
  ) as e
  where l.account = $1 and l.object = ${object} and l.number = e.number
  returning l.number
)`;
}

const TAKE_STEP = `
with one as (
  select $3::jsonb->0 as step, 1 as place
), ${takingSteps({ object: '$2', steps: 'one', rows: () => '$4::bigint' })}
select (select count(*) from moved) + (select count(*) from ended) as taken`;

/** Takes a step whose page was written in parts. @returns false where somebody else took it before */
export async function takeStep(
  pool: Pool,
  { account, object }: ListingKey,
  step: ListingStep,
  rows: number,
): Promise<boolean> {
  const found = await pool.query<{ taken: string | number }>(TAKE_STEP, [
    account,
    object,
    stepsParameter([step]),
    rows,
  ]);
  return Number(found.rows[0]?.taken) > 0;
}

/** Counts objects that PostgreSQL cannot hold. */
export async function noteRefused(
  pool: Pool,
  { account, object }: ListingKey,
  number: number,
  count: number,
): Promise<void> {
  await pool.query(
    `update stripe_sync.listings set refused = refused + $4 where account = $1 and number = $2 and object = $3`,
    [account, number, object, count],
  );
}
