/**
 * What an account workflow knows, and how each step changes it. All of it survives continue-as-new in one
 * object, so it is bounded in size and holds no payload.
 */
import type { Backlog } from './backlog.js';
import { advanceCursor, type Cursor, type Position } from './cursor.js';
import { initialLag, type LagLimits, type LagState, nextLag } from './lag.js';
import { evidentLateness, type LatenessStats, NO_LATENESS, recordLateness } from './lateness.js';
import type { LostSeconds } from './pass.js';
import { RETENTION_SECONDS } from './reanchor.js';
import type { Trail } from './trail.js';
import type { Window } from './window.js';

/** Seconds of Stripe's clock whose events may be gone for good, and what became of it. */
export interface Gap extends LostSeconds {
  /** When it was noticed, and when the list had been read before that, as far as it is known. */
  readonly noticedAt?: number | null;
  readonly lastReadAt?: number | null;
  /** The backfill that fills the tables again; null until it begins. */
  readonly backfill?: number | null;
  /** Whether that one is done. */
  readonly filled?: boolean;
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
  /** Objects that PostgreSQL cannot hold; the log names them. */
  readonly refused?: number;
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
  /** What was read past the cursor, when the list's end was last reached, and how much news there was. */
  readonly trail?: Trail;
  readonly lookedAt?: number | null;
  readonly news?: number;
  /** The API version that payloads are taken in, and that objects are read in. */
  readonly apiVersion: string | null;
  readonly lateness: LatenessStats;
  /** Newest `created` that any pass saw. */
  readonly frontier: number | null;
  /** Stripe's clock at the last pass, in seconds. */
  readonly stripeNow: number | null;
  /** Whether the last walk reached the end of the list. */
  readonly caughtUp: boolean;
  /** What is being caught up with; not set by 0.4.0. */
  readonly backlog?: Backlog | null;
  readonly leaks: number;
  readonly counters: AccountCounters;
  readonly gap: Gap | null;
  readonly backfill: BackfillProgress | null;
  /** Up to which `created` everything was listed again, in seconds of Stripe's clock. */
  readonly rescannedTo: number;
  /** The same by deep rescans; and from where on events are taken at all. Null where an older version opened it. */
  readonly deepRescannedTo?: number | null;
  readonly deepRescannedAt?: number | null;
  readonly beganAt?: number | null;
  /** Stripe's seconds of the last rescan, and of the last time that stray claims were freed. */
  readonly rescannedAt: number | null;
  readonly freedAt: number | null;
  /** What the loop cannot do at present, in words, such as a refused key. */
  readonly trouble: string | null;
}

/** What one fetch reports. References are handed on by the workflow and are no part of the state. */
export interface FetchReport {
  readonly trail?: Trail;
  /** In place of the trail in results of 0.1.0: an event of each second that one walk saw past the cursor. */
  readonly marks?: readonly Position[];
  readonly lookedAt?: number | null;
  readonly news?: number;
  readonly anchor?: number;
  readonly stripeNow: number | null;
  readonly frontier: number | null;
  /** Whether the last walk reached the end of the list. */
  readonly caughtUp: boolean;
  readonly inserted: number;
  readonly malformed: number;
  readonly failedPasses: number;
  readonly requests: number;
  readonly passes: number;
  /** How late each late event was at most, in seconds. */
  readonly lateness: readonly number[];
  /** The lateness that the lag is to follow, in seconds; without it, the worst of `lateness`. */
  readonly lagEvidence?: number;
  /** API version of the newest event that it saw. */
  readonly apiVersion: string | null;
  /** Changes that were applied together, and those that were older than their rows; not told by 0.4.0. */
  readonly applied?: number;
  readonly stale?: number;
  /** Set where Stripe no longer knew the cursor: where the walk went on from. */
  readonly reanchored: {
    readonly cursor: Cursor | null;
    readonly anchor: number;
    readonly gap: LostSeconds | null;
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
    readonly beganAt?: number | null;
    readonly deepRescannedTo?: number | null;
    readonly lookedAt?: number | null;
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
    trail: [],
    lookedAt: start.lookedAt ?? null,
    news: 0,
    frontier: null,
    stripeNow: null,
    caughtUp: false,
    leaks: 0,
    counters: NO_COUNTERS,
    gap: null,
    backfill: null,
    rescannedTo: start.cursor?.created ?? start.anchor,
    deepRescannedTo: start.deepRescannedTo ?? null,
    beganAt: start.beganAt ?? null,
    rescannedAt: null,
    freedAt: null,
    trouble: null,
  };
}

export function afterFetch(state: AccountState, report: FetchReport, limits: LagLimits): AccountState {
  const from = report.reanchored ?? state;
  const observed = report.lagEvidence === undefined ? report.lateness : [report.lagEvidence];
  const lag = nextLag(state.lag, observed, report.stripeNow, limits);
  return {
    ...state,
    ...advanceCursor(from.cursor, report.trail ?? trailOf(report), lag.seconds),
    anchor: report.anchor ?? from.anchor,
    lag,
    lookedAt: report.lookedAt ?? null,
    news: report.news ?? 0,
    apiVersion: state.apiVersion ?? report.apiVersion,
    lateness: recordLateness(state.lateness, report.lateness),
    frontier: maxOf(state.frontier, report.frontier),
    stripeNow: maxOf(state.stripeNow, report.stripeNow),
    caughtUp: report.caughtUp,
    gap: gapAfter(state, report),
    counters: {
      ...state.counters,
      received: state.counters.received + report.inserted,
      applied: state.counters.applied + (report.applied ?? 0),
      stale: state.counters.stale + (report.stale ?? 0),
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

/** The trail that the marks of one walk stand for. */
function trailOf({ marks = [], stripeNow }: FetchReport): Trail {
  if (stripeNow === null) return [];
  return marks
    .toSorted((a, b) => a.created - b.created)
    .map((mark) => ({ ...mark, events: 1, readAt: stripeNow }));
}

/** A gap that is not filled yet takes in the next one. */
function gapAfter(state: AccountState, report: FetchReport): Gap | null {
  const lost = report.reanchored?.gap;
  if (!lost) return state.gap;
  const open = state.gap === null || state.gap.filled ? null : state.gap;
  return {
    from: Math.min(lost.from, open?.from ?? lost.from),
    to: Math.max(lost.to, open?.to ?? lost.to),
    noticedAt: report.stripeNow,
    lastReadAt: open?.lastReadAt ?? state.stripeNow,
    backfill: null,
    filled: false,
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
    deepRescannedTo: window.deep
      ? maxOf(state.deepRescannedTo ?? null, window.to)
      : (state.deepRescannedTo ?? null),
    leaks: state.leaks + report.leaked,
    lag: nextLag(state.lag, report.leaks.map(leakEvidence), report.stripeNow, limits),
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

/** Nobody had looked since the cursor passed, so a leak's delay is a bound and no measure: the lag just covers it. */
function leakEvidence(seconds: number): number {
  return evidentLateness({ atLeast: 0, atMost: seconds });
}

/**
 * Notes a new backfill, numbered after the last one.
 *
 * @param isWhole whether it lists all that the account is to hold, and so fills a gap
 */
export function beginBackfill(state: AccountState, reason: string, isWhole = false): AccountState {
  const number = (state.backfill?.number ?? 0) + 1;
  const fills = isWhole && state.gap !== null && !state.gap.filled;
  return {
    ...state,
    backfill: { number, state: 'running', reason, types: [] },
    gap: fills ? { ...state.gap, backfill: number } : state.gap,
  };
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
  const fillsGap = report.state === 'done' && state.gap?.backfill === report.number;
  return {
    ...state,
    gap: fillsGap ? { ...state.gap, filled: true } : state.gap,
    backfill: { ...backfill, state: report.state ?? backfill.state, types: [...known.values()] },
  };
}

/** Whether a rhythm of `everySeconds` is due at Stripe's second `now`. */
export function isDue(last: number | null, now: number | null, everySeconds: number): boolean {
  return last !== null && now !== null && now - last >= everySeconds;
}

export interface RescanWindow extends Window {
  /** Whether it is a deep one, over everything since the last deep one. */
  readonly deep?: boolean;
}

/**
 * The window of the next rescan: what the cursor has passed since the last one that succeeded, and
 * `windowSeconds` before it, so that no pause and no outage leaves a hole. Null while the cursor has passed nothing.
 */
export function rescanWindow(state: AccountState, windowSeconds: number): RescanWindow | null {
  const to = newestToRescan(state);
  return to === null ? null : windowOf(state, Math.min(state.rescannedTo, to) - windowSeconds, to, false);
}

/**
 * Whether a rescan would list what the last one listed: the cursor has stood still since, and for so long that whatever
 * belongs into its window came late enough for a deep rescan.
 */
export function isRescanned({ cursor, rescannedTo, stripeNow }: AccountState, forSeconds: number): boolean {
  if (cursor === null || stripeNow === null) return false;
  return rescannedTo >= cursor.created && stripeNow - cursor.created > forSeconds;
}

/** An account that 0.1.0 opened does not know where it began: what it has rescanned so far is done with. */
export function withBeginning(state: AccountState): AccountState {
  return { ...state, beganAt: state.beganAt ?? state.rescannedTo + 1 };
}

/**
 * The window of the next deep rescan, or null while none is due: back to where the one before the last ended, so
 * that each event is listed twice more, and found whenever it surfaces within `everySeconds`.
 */
export function deepRescanWindow(state: AccountState, everySeconds: number): RescanWindow | null {
  const to = newestToRescan(state);
  const last = state.deepRescannedTo ?? state.beganAt ?? null;
  if (to === null || last === null) return null;
  // By the clock: where nothing new comes, what is late still does.
  const now = Math.max(to, state.stripeNow ?? to);
  if (now - (state.deepRescannedAt ?? last) < everySeconds) return null;
  return windowOf(state, last - everySeconds, to, true);
}

/** While the loop catches up, a pass may end in the middle of the cursor's second, so that one is left out. */
function newestToRescan({ cursor, caughtUp }: AccountState): number | null {
  if (cursor === null) return null;
  return caughtUp ? cursor.created : cursor.created - 1;
}

/** Nothing before the account's beginning (the first backfill brought it), nor what Stripe no longer keeps. */
function windowOf(state: AccountState, back: number, to: number, deep: boolean): RescanWindow | null {
  const kept = (state.stripeNow ?? to) - RETENTION_SECONDS;
  const from = Math.max(0, state.beganAt ?? 0, kept, back);
  return from > to ? null : { from, to, deep };
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
