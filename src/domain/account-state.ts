/**
 * What an account workflow knows, and how each step changes it. All of it survives continue-as-new in one
 * object, so it is bounded in size and holds no payload.
 */
import { advanceCursor, type Cursor, type Mark } from './cursor.js';
import { initialLag, type LagLimits, type LagState, nextLag } from './lag.js';
import { type LatenessStats, NO_LATENESS, recordLateness } from './lateness.js';

export interface Gap {
  /** Seconds of Stripe's clock between which events may be gone for good. */
  readonly from: number;
  readonly to: number;
}

export interface AccountCounters {
  readonly received: number;
  readonly applied: number;
  readonly stale: number;
  readonly fetched: number;
  readonly ignored: number;
  readonly parked: number;
  /** Listed entries that are no events. */
  readonly malformed: number;
  /** Passes that failed: Stripe was away, refused, or answered with no JSON. */
  readonly failedPasses: number;
  readonly requests: number;
  readonly passes: number;
}

export type OutcomeTally = Pick<AccountCounters, 'applied' | 'stale' | 'fetched' | 'ignored' | 'parked'>;

export interface BackfillTypeProgress {
  readonly object: string;
  readonly rows: number;
  readonly done: boolean;
  /** Why the type was left out, such as a permission that the key lacks. */
  readonly skipped?: string;
}

export interface BackfillProgress {
  readonly number: number;
  readonly state: 'running' | 'done' | 'failed';
  /** Why it runs: the first one, a request, or a gap in the events. */
  readonly reason: string;
  readonly types: readonly BackfillTypeProgress[];
}

export interface AccountState {
  readonly cursor: Cursor | null;
  /** Where a walk begins while there is no cursor: seconds of Stripe's clock. */
  readonly anchor: number;
  readonly lag: LagState;
  /** The API version that payloads are taken in, and that objects are read in. */
  readonly apiVersion: string | null;
  readonly lateness: LatenessStats;
  /** Newest `created` that any pass saw. */
  readonly frontier: number | null;
  /** Stripe's clock at the last pass, in seconds. */
  readonly stripeNow: number | null;
  /** Whether the last walk reached the end of the list. */
  readonly caughtUp: boolean;
  readonly leaks: number;
  readonly counters: AccountCounters;
  readonly gap: Gap | null;
  readonly backfill: BackfillProgress | null;
  /** Up to which `created` everything was listed again, in seconds of Stripe's clock. */
  readonly rescannedTo: number;
  /** Stripe's seconds of the last rescan, and of the last time that stray claims were freed. */
  readonly rescannedAt: number | null;
  readonly freedAt: number | null;
  /** What the loop cannot do at present, in words, such as a refused key. */
  readonly trouble: string | null;
}

/** What one fetch reports. References are handed on by the workflow and are no part of the state. */
export interface FetchReport {
  readonly marks: readonly Mark[];
  readonly stripeNow: number | null;
  readonly frontier: number | null;
  /** Whether the last walk reached the end of the list. */
  readonly caughtUp: boolean;
  readonly inserted: number;
  readonly claimed: number;
  readonly malformed: number;
  readonly failedPasses: number;
  readonly requests: number;
  readonly passes: number;
  readonly lateness: readonly number[];
  /** API version of the newest event that it saw. */
  readonly apiVersion: string | null;
  /** Set where Stripe no longer knew the cursor: where the walk went on from. */
  readonly reanchored: {
    readonly cursor: Cursor | null;
    readonly anchor: number;
    readonly gap: Gap | null;
  } | null;
  readonly trouble: string | null;
}

export interface RescanReport {
  readonly listed: number;
  readonly requests: number;
  /** How many events the cursor had missed. */
  readonly leaked: number;
  /** Their lateness in seconds, of as many as fit into a report. */
  readonly leaks: readonly number[];
  readonly stripeNow: number | null;
}

const NO_COUNTERS: AccountCounters = {
  received: 0,
  applied: 0,
  stale: 0,
  fetched: 0,
  ignored: 0,
  parked: 0,
  malformed: 0,
  failedPasses: 0,
  requests: 0,
  passes: 0,
};

export const NO_OUTCOMES: OutcomeTally = { applied: 0, stale: 0, fetched: 0, ignored: 0, parked: 0 };

export function addOutcomes(a: OutcomeTally, b: OutcomeTally): OutcomeTally {
  return {
    applied: a.applied + b.applied,
    stale: a.stale + b.stale,
    fetched: a.fetched + b.fetched,
    ignored: a.ignored + b.ignored,
    parked: a.parked + b.parked,
  };
}

/** The state of an account that begins at `start`, as found in the database or at Stripe. */
export function openedState(
  start: {
    readonly cursor: Cursor | null;
    readonly anchor: number;
    readonly lagSeconds: number | null;
    readonly apiVersion: string | null;
  },
  limits: LagLimits,
): AccountState {
  const lag = initialLag(limits);
  const seconds = Math.min(limits.maxSeconds, Math.max(lag.seconds, start.lagSeconds ?? 0));
  return {
    cursor: start.cursor,
    anchor: start.anchor,
    lag: { ...lag, seconds },
    apiVersion: start.apiVersion,
    lateness: NO_LATENESS,
    frontier: null,
    stripeNow: null,
    caughtUp: false,
    leaks: 0,
    counters: NO_COUNTERS,
    gap: null,
    backfill: null,
    rescannedTo: start.cursor?.created ?? start.anchor,
    rescannedAt: null,
    freedAt: null,
    trouble: null,
  };
}

export function afterFetch(state: AccountState, report: FetchReport, limits: LagLimits): AccountState {
  const from = report.reanchored ?? state;
  const lag = nextLag(state.lag, report.lateness, report.stripeNow, limits);
  return {
    ...state,
    cursor: advanceCursor(from.cursor, report.marks, report.stripeNow, lag.seconds),
    anchor: from.anchor,
    lag,
    apiVersion: state.apiVersion ?? report.apiVersion,
    lateness: recordLateness(state.lateness, report.lateness),
    frontier: maxOf(state.frontier, report.frontier),
    stripeNow: maxOf(state.stripeNow, report.stripeNow),
    caughtUp: report.caughtUp,
    gap: report.reanchored?.gap ?? state.gap,
    counters: {
      ...state.counters,
      received: state.counters.received + report.inserted,
      malformed: state.counters.malformed + report.malformed,
      failedPasses: state.counters.failedPasses + report.failedPasses,
      requests: state.counters.requests + report.requests,
      passes: state.counters.passes + report.passes,
    },
    rescannedAt: state.rescannedAt ?? report.stripeNow,
    freedAt: state.freedAt ?? report.stripeNow,
    trouble: report.trouble,
  };
}

export function afterRescan(
  state: AccountState,
  window: RescanWindow,
  report: RescanReport,
  limits: LagLimits,
): AccountState {
  return {
    ...state,
    rescannedTo: Math.max(state.rescannedTo, window.to),
    leaks: state.leaks + report.leaked,
    lag: nextLag(state.lag, report.leaks, report.stripeNow, limits),
    lateness: recordLateness(state.lateness, report.leaks),
    counters: {
      ...state.counters,
      received: state.counters.received + report.leaked,
      requests: state.counters.requests + report.requests,
    },
  };
}

export function afterOutcomes(state: AccountState, tally: OutcomeTally): AccountState {
  return { ...state, counters: { ...state.counters, ...addOutcomes(state.counters, tally) } };
}

/** Notes a new backfill, numbered after the last one. */
export function beginBackfill(state: AccountState, reason: string): AccountState {
  const number = (state.backfill?.number ?? 0) + 1;
  return { ...state, backfill: { number, state: 'running', reason, types: [] } };
}

/** Takes in what a backfill reports of some of its types. A report of an earlier backfill is ignored. */
export function afterBackfillReport(
  state: AccountState,
  report: Pick<BackfillProgress, 'number' | 'types'> & { readonly state?: BackfillProgress['state'] },
): AccountState {
  const { backfill } = state;
  if (backfill === null || backfill.number !== report.number) return state;
  const known = new Map(backfill.types.map((type) => [type.object, type]));
  for (const type of report.types) known.set(type.object, type);
  return {
    ...state,
    backfill: { ...backfill, state: report.state ?? backfill.state, types: [...known.values()] },
  };
}

/** Whether a rhythm of `everySeconds` is due at Stripe's second `now`. */
export function isDue(last: number | null, now: number | null, everySeconds: number): boolean {
  return last !== null && now !== null && now - last >= everySeconds;
}

/** A window of `created`, both ends included, in seconds of Stripe's clock. */
export interface RescanWindow {
  readonly from: number;
  readonly to: number;
}

/**
 * The window of the next rescan: what the cursor has passed since the last one that succeeded, and
 * `windowSeconds` before it, so that no pause and no outage leaves a hole. While the loop catches up, a pass may
 * end in the middle of the cursor's second, so that one is left out. Null while the cursor has passed nothing.
 */
export function rescanWindow(state: AccountState, windowSeconds: number): RescanWindow | null {
  if (state.cursor === null) return null;
  const to = state.caughtUp ? state.cursor.created : state.cursor.created - 1;
  const from = Math.max(0, Math.min(state.rescannedTo, to) - windowSeconds);
  return from > to ? null : { from, to };
}

/**
 * How far the inbox is behind Stripe's list, in seconds of Stripe's clock: nothing once a walk has reached its
 * end, otherwise the way from the newest event that was read to Stripe's present.
 */
export function behindSeconds(state: AccountState): number {
  if (state.caughtUp || state.stripeNow === null) return 0;
  return Math.max(0, state.stripeNow - (state.frontier ?? state.cursor?.created ?? state.anchor));
}

function maxOf(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.max(a, b);
}
