/**
 * A backlog of events: seconds behind Stripe's present that were not listed yet, and that have settled, so nothing has
 * to be looked at twice. It is walked like a listing, in several places at once (ranges.ts), and the cursor passes all
 * of it at the end.
 *
 * All times are whole seconds of Stripe's clock.
 */
import type { AccountState } from './account-state.js';
import { firstUnsettledSecond, type Position } from './cursor.js';
import { type Range, rangeOf, spanLeft } from './ranges.js';

/** What goes through entity children. */
export type Entities = 'auto' | 'always' | 'never';

export interface Backlog {
  /** Inclusive, and exclusive. */
  readonly from: number;
  readonly to: number;
  readonly ranges: readonly Range[];
  /** The newest event in it, once its newest page was listed. */
  readonly newest: Position | null;
  /** Events that were listed so far. */
  readonly listed: number;
}

/** What a walk over a backlog reports. */
export interface CatchUpReport {
  /** What is left of it; null once nothing is. */
  readonly left: Backlog | null;
  readonly newest: Position | null;
  readonly inserted: number;
  readonly applied: number;
  readonly stale: number;
  readonly malformed: number;
  readonly requests: number;
  readonly stripeNow: number | null;
  readonly trouble: string | null;
}

/** What is younger than that a pass reads just as soon. */
export const BACKLOG_FROM_SECONDS = 60;

/**
 * The backlog of an account whose last pass did not get to the list's end, or null where there is none that is worth
 * a walk of its own.
 */
export function backlogOf(state: AccountState): Backlog | null {
  const { cursor, caughtUp, stripeNow, lag, trouble } = state;
  if (caughtUp || cursor === null || stripeNow === null || trouble !== null) return null;
  const to = firstUnsettledSecond(stripeNow, lag.seconds);
  // The cursor's own second may hold more than the cursor has passed.
  if (to - cursor.created < BACKLOG_FROM_SECONDS) return null;
  const { created: from } = cursor;
  return { from, to, ranges: [rangeOf(0, from, to)], newest: null, listed: 0 };
}

export function afterCatchUp(state: AccountState, report: CatchUpReport): AccountState {
  const { counters } = state;
  const walked: AccountState = {
    ...state,
    backlog: report.left,
    stripeNow: Math.max(state.stripeNow ?? 0, report.stripeNow ?? 0) || null,
    trouble: report.trouble,
    counters: {
      ...counters,
      received: counters.received + report.inserted,
      applied: counters.applied + report.applied,
      stale: counters.stale + report.stale,
      malformed: counters.malformed + report.malformed,
      requests: counters.requests + report.requests,
    },
  };
  const { newest } = report;
  if (report.left !== null || newest === null) return walked;
  if (state.cursor !== null && newest.created < state.cursor.created) return walked;
  const frontier = Math.max(state.frontier ?? 0, newest.created);
  return { ...walked, cursor: newest, trail: [], news: 0, frontier };
}

/** The share that is listed, 0 to 1, by time. */
export function shareOf({ from, to, ranges }: Backlog): number {
  const left = ranges.reduce((sum, range) => sum + spanLeft(range), 0);
  return (to - from - left) / (to - from);
}
