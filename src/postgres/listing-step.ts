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

/** The step as the parameter of a statement; null for none. */
export function stepParameter(step: ListingStep | undefined): string | null {
  if (step === undefined) return null;
  const { number, range, pages, next } = step;
  return JSON.stringify(next === 'stay' ? { number } : { number, range, pages, ...next });
}

/** SQL for what a statement knows: the parameters of the object and of the step, the page's rows, and a condition. */
interface Taking {
  readonly object: string;
  readonly step: string;
  /**
   * Of a range that begins at `from`. A page that was asked for before its range gave its older half away may reach
   * into that one, whose walker counts what lies there.
   */
  readonly rows: (from: string) => string;
  readonly when: string;
}

/** Common table expressions that take a step, `moved` or `ended` holding it then. The statement's `$1` is the account. */
export function takingStep({ object, step: parameter, rows, when }: Taking): string {
  const step = `${parameter}::jsonb`;
  const mine = `account = $1 and object = ${object} and number = (${step}->>'number')::integer
      and range = (${step}->>'range')::integer and pages = (${step}->>'pages')::bigint`;
  return `moved as (
  update stripe_sync.listing_ranges
  set newest = (${step}->>'newest')::bigint, reached = (${step}->>'reached')::bigint,
    starting_after = ${step}->>'startingAfter',
    trail = array(select jsonb_array_elements_text(${step}->'trail')),
    pages = pages + 1, rows = rows + ${rows('created_from')}
  where ${mine} and ${step}->'ends' = 'false' and ${when}
  returning range
), ended as (
  delete from stripe_sync.listing_ranges
  where ${mine} and ${step}->'ends' = 'true' and ${when}
  returning account, number, object, pages, rows, created_from
), counted as (
  update stripe_sync.listings l
  set rows = l.rows + e.rows + ${rows('e.created_from')}, requests = l.requests + e.pages + 1,
    covered = l.covered + coalesce((${step}->>'newest')::bigint - (${step}->>'reached')::bigint, 0)
  from ended e
  where l.account = e.account and l.number = e.number and l.object = e.object
  returning l.number
)`;
}

const TAKE_STEP = `
with ${takingStep({ object: '$2', step: '$3', rows: () => '$4::bigint', when: 'true' })}
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
    stepParameter(step),
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
