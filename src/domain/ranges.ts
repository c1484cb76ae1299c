/**
 * Walking a list in several places at once. A type is divided into ranges of `created`; each is walked from its newest
 * object to its oldest, and whoever has nothing left to walk takes the older half of the largest range. Nobody knows
 * where the objects lie, and nobody has to: an empty half costs one request.
 */
import { afterLostCursor, afterPage, type ListingPosition } from './listing.js';

/** Part of a type that is left to be listed. Seconds are those of `created`. */
export interface Range {
  readonly range: number;
  /** Which of the list's passes. */
  readonly pass: number;
  /** Inclusive; null: no bound. */
  readonly from: number | null;
  /** Exclusive; null: no bound. */
  readonly to: number | null;
  /** `created` of the first and of the last object that was listed; null before, and where objects have none. */
  readonly newest: number | null;
  readonly reached: number | null;
  readonly startingAfter: string | null;
  readonly trail: readonly string[];
  readonly pages: number;
  readonly rows: number;
}

/** What a page of a list shows of itself. */
export interface ListedPage {
  /** In the list's order. */
  readonly ids: readonly string[];
  /** `created` of its objects where all of them have one, in the list's order. */
  readonly created: readonly number[] | null;
  readonly hasMore: boolean;
}

/** Where a range goes on after a page, or that it is done. */
export interface RangeStep extends Pick<Range, 'newest' | 'reached' | 'startingAfter' | 'trail'> {
  readonly ends: boolean;
}

/** Before Stripe there was nothing to charge for: 2009. Older objects are found all the same, but never split off. */
const EARLIEST = 1_230_768_000;
/** Most types have a page or three: nothing to divide. After one page it has to look like very many. */
const SPLIT_FROM_PAGES = 2;
const SPLIT_AT_ONCE_FROM_ROWS = 10_000;
/** A division costs a request or two, so what is left has to hold more than that. */
const SPLIT_FROM_ROWS = 400;

/** A range of which nothing was listed yet. */
export function rangeOf(range: number, from: number | null, to: number | null): Range {
  return {
    range,
    pass: 0,
    from,
    to,
    newest: null,
    reached: null,
    startingAfter: null,
    trail: [],
    pages: 0,
    rows: 0,
  };
}

/**
 * The query of a range's next page, without the limit.
 *
 * @param pass the filter of the range's pass
 */
export function rangeQuery(range: Range, pass: Readonly<Record<string, string>>): Record<string, string> {
  return {
    ...pass,
    ...(range.from === null ? {} : { 'created[gte]': String(range.from) }),
    ...(range.to === null ? {} : { 'created[lt]': String(range.to) }),
    ...(range.startingAfter === null ? {} : { starting_after: range.startingAfter }),
  };
}

/**
 * @param range as it is now: its older half may have been taken while the page was read
 */
export function afterRangePage(range: Range, page: ListedPage): RangeStep {
  const { pass, startingAfter, trail } = afterPage(
    listingPosition(range),
    page.ids,
    page.ids.length,
    page.hasMore,
  );
  const last = page.created?.at(-1) ?? null;
  const isPast = range.from !== null && last !== null && last < range.from;
  return {
    // Stripe lists the newest first. Should a list not, what is left of the range may come in any order.
    ends: pass !== range.pass || (isPast && isDescending(page.created ?? [])),
    newest: range.newest ?? page.created?.[0] ?? null,
    reached: last ?? range.reached,
    startingAfter,
    trail,
  };
}

/** Where a range goes on when Stripe no longer knows the object that its next page was to begin after. */
export function afterLostRangeCursor(range: Range): RangeStep {
  const { startingAfter, trail } = afterLostCursor(listingPosition(range));
  return { ends: false, newest: range.newest, reached: range.reached, startingAfter, trail };
}

function listingPosition({ pass, startingAfter, trail, rows }: Range): ListingPosition {
  return { pass, startingAfter, trail, rows };
}

function isDescending(created: readonly number[]): boolean {
  return created.every((second, index) => index === 0 || second <= (created[index - 1] ?? second));
}

export interface Split {
  readonly range: number;
  /** The range keeps what was created from this second on; what is older becomes a range of its own. */
  readonly at: number;
}

/** The division of the largest range that is left, or null where none is worth it. */
export function splitLargest(ranges: Iterable<Range>): Split | null {
  let largest: Range | null = null;
  for (const range of ranges) {
    if (isDivisible(range) && (largest === null || spanLeft(range) > spanLeft(largest))) largest = range;
  }
  if (largest === null) return null;
  const { low, high } = bounds(largest);
  return { range: largest.range, at: Math.ceil((low + high) / 2) };
}

function isDivisible(range: Range): boolean {
  if (range.reached === null || range.newest === null || range.pages < 1) return false;
  if (spanLeft(range) < 2) return false;
  const walked = Math.max(1, range.newest - range.reached);
  const rowsLeft = (range.rows / walked) * spanLeft(range);
  return rowsLeft >= (range.pages < SPLIT_FROM_PAGES ? SPLIT_AT_ONCE_FROM_ROWS : SPLIT_FROM_ROWS);
}

/** How far a range reaches, and how far it was walked. */
export type RangeExtent = Pick<Range, 'from' | 'to' | 'newest' | 'reached' | 'pages' | 'rows'>;

/** Seconds of `created` that are left of a range. */
export function spanLeft(range: RangeExtent): number {
  const { low, high } = bounds(range);
  return Math.max(0, high - low);
}

/** What is left lies from `low` on and before `high`, but for the rest of the second that was reached. */
function bounds({ from, to, reached }: RangeExtent): { readonly low: number; readonly high: number } {
  return { low: Math.max(from ?? 0, EARLIEST), high: reached ?? to ?? EARLIEST };
}

/**
 * The share of a type that is listed, 0 to 1: seconds that were walked and held something, against those that are
 * left. Null where nothing can be said yet.
 *
 * @param covered seconds that the ranges that are done held objects in
 */
export function shareListed(covered: number, ranges: readonly RangeExtent[]): number | null {
  if (ranges.length === 0) return null;
  if (ranges.some((range) => range.newest !== null && range.reached === null)) return null;
  const walked = ranges.reduce((sum, { newest, reached }) => sum + ((newest ?? 0) - (reached ?? 0)), covered);
  const left = ranges.reduce((sum, range) => sum + spanLeft(range), 0);
  return walked + left === 0 ? null : walked / (walked + left);
}
