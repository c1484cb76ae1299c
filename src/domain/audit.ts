/**
 * What an audit makes of what it sees: whether changes that are on their way explain a difference, and what the
 * result means for whoever asked.
 */
import { standing, type Version } from './version.js';

/** A row as it is now, against what Stripe showed last. Times are whole seconds of Stripe's clock. */
export interface Comparison {
  /** What Stripe showed, and when; null where it has not shown the whole object yet. */
  readonly shown: (Version & { readonly found: 'object' | 'gone' }) | null;
  readonly row: (Version & { readonly deleted: boolean }) | null;
  /** Whether the row holds the very state that was shown. */
  readonly same: boolean;
  /** How often the object was read by itself. */
  readonly reads: number;
  readonly stripeNow: number;
}

/**
 * - `explained`: the row says what Stripe showed.
 * - `read`: only a further read of the object can tell.
 * - `keep`: the row is behind what Stripe showed. It may only be late, so it is looked at again.
 */
export type Judgement = 'explained' | 'read' | 'keep';

/** A clock that is off by so many seconds makes no row one of the future. */
export const CLOCK_SLACK = 10;

/** Whether nothing that Stripe shows at present could replace the row: its interval ends ahead of Stripe's clock. */
export function isAhead(row: Version, stripeNow: number): boolean {
  return row.asOfUntil > stripeNow + CLOCK_SLACK;
}

export function isEqual({ shown, row, same }: Comparison): boolean {
  if (shown === null) return false;
  if (shown.found === 'gone') return row === null || row.deleted;
  return row !== null && !row.deleted && same;
}

/**
 * One look at the row, made so long after Stripe showed the object that every change from before should have arrived.
 *
 * A row that is newer than what was shown, or overlaps it, has seen a change meanwhile, and is no evidence of anything.
 * A list alone is none either: it may be behind, and it leaves things out.
 */
export function judge(comparison: Comparison): Judgement {
  const { shown, row, reads, stripeNow } = comparison;
  if (isEqual(comparison)) return 'explained';
  if (shown === null || reads === 0) return 'read';
  if (row === null || isAhead(row, stripeNow)) return 'keep';
  return standing(shown, row) === 'newer' ? 'keep' : 'read';
}

/** The verdict after the last look: a row that keeps moving on is being written, and is not behind. */
export function isExplained(comparison: Comparison): boolean {
  if (isEqual(comparison)) return true;
  const { shown, row, stripeNow } = comparison;
  if (shown === null || row === null || isAhead(row, stripeNow)) return false;
  return standing(shown, row) !== 'newer';
}

/** Differences of one kind each. */
export interface DifferenceCounts {
  readonly missing: number;
  readonly stale: number;
  readonly extra: number;
}

export const NO_DIFFERENCES: DifferenceCounts = { missing: 0, stale: 0, extra: 0 };

export function totalOf({ missing, stale, extra }: DifferenceCounts): number {
  return missing + stale + extra;
}

/** What an audit found, in numbers. */
export interface AuditTotals extends DifferenceCounts {
  /** Objects that were compared with their rows. */
  readonly compared: number;
  /** Events that are missing in the ledger, or there and without an end. */
  readonly events: number;
  /** Of all these, what was repaired. */
  readonly healed: number;
  /** What looked different and could not be looked at again. */
  readonly unverified: number;
  /** Types that could not be compared, and that nobody can call equal therefore. */
  readonly notCompared: number;
}

/** What is left that differs, once what was healed is taken off. */
export function remainingOf({ events, healed, ...counts }: AuditTotals): number {
  return totalOf(counts) + events - healed;
}

/** Whether the tables are proven to equal Stripe, as far as they were to be compared. */
export function isClean(totals: AuditTotals): boolean {
  return remainingOf(totals) === 0 && totals.unverified === 0 && totals.notCompared === 0;
}

/** How long the next slice of a listing may take, in seconds: short ones first, for those who watch. */
export function nextSliceSeconds(seconds: number): number {
  return Math.min(seconds * 2, MOST_SLICE_SECONDS);
}

export const FIRST_SLICE_SECONDS = 2;
const MOST_SLICE_SECONDS = 120;
