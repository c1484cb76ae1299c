/**
 * How late Stripe's events list is, as measured. Bounded in size, since it lives in workflow state.
 * Lateness is in whole seconds of Stripe's clock, counted from an event's `created`.
 */
import { SAFETY_FACTOR } from './lag.js';

/** Upper bounds, in seconds, of the histogram's buckets; one more bucket holds what is later still. */
export const LATENESS_BUCKETS = [1, 2, 3, 5, 8, 13, 21, 34, 60, 120, 300] as const;

export interface LatenessStats {
  readonly count: number;
  readonly maxSeconds: number;
  /** One count per bucket of `LATENESS_BUCKETS`, and one for the rest. */
  readonly histogram: readonly number[];
}

export const NO_LATENESS: LatenessStats = {
  count: 0,
  maxSeconds: 0,
  histogram: new Array<number>(LATENESS_BUCKETS.length + 1).fill(0),
};

/** Adds observations, in seconds, to the statistics. */
export function recordLateness(stats: LatenessStats, observed: readonly number[]): LatenessStats {
  if (observed.length === 0) return stats;
  const histogram = [...stats.histogram];
  for (const seconds of observed) {
    const bucket = LATENESS_BUCKETS.findIndex((bound) => seconds <= bound);
    const index = bucket === -1 ? LATENESS_BUCKETS.length : bucket;
    histogram[index] = (histogram[index] ?? 0) + 1;
  }
  return {
    count: stats.count + observed.length,
    maxSeconds: Math.max(stats.maxSeconds, ...observed),
    histogram,
  };
}

/** Between what bounds an event's lateness lies: it was looked for in vain, and then it was there. */
export interface Lateness {
  readonly atLeast: number;
  readonly atMost: number;
}

export interface FirstListed {
  readonly created: number;
  /** When its place in the list was last read without it; null where nobody had looked. */
  readonly lookedAt: number | null;
  /** Whether a webhook had told of it before the list did. */
  readonly knownBefore: boolean;
}

/** An observation is of use while its bounds are no farther apart than this, in seconds. */
const WIDEST = 10;
/** Or than two polls in a row, about; or than a place is looked at again in (src/domain/trail.ts). */
const POLLS_APART = 1.5;
const LOOKS_APART = 2;

/**
 * The lateness of the events that a read listed late: behind an event that an earlier pass saw, or after a webhook
 * had told of them and the list had been read without them. What surfaced while nobody looked (a pause, an outage)
 * cannot be told from what was on time, so it is left out.
 *
 * @param firstListed the events that this read listed for the first time
 * @param frontier the newest `created` that earlier passes saw, or null before the first; an event in the
 *   frontier's own second is in time, since that second may still have been filling up
 * @param seenAt Stripe's clock when the read was over, in seconds
 * @param pollSeconds between two passes
 */
export function latenessOf(
  firstListed: readonly FirstListed[],
  frontier: number | null,
  seenAt: number,
  pollSeconds: number,
): Lateness[] {
  const late: Lateness[] = [];
  for (const { created, lookedAt, knownBefore } of firstListed) {
    if (lookedAt === null) continue;
    const isBehind = frontier !== null && created < frontier;
    if (!isBehind && !(knownBefore && lookedAt > created)) continue;
    const atMost = Math.max(0, Math.ceil(seenAt - created));
    const atLeast = Math.min(atMost, Math.max(0, lookedAt - created - 1));
    const widest = Math.max(WIDEST, POLLS_APART * pollSeconds, LOOKS_APART * atLeast);
    if (atMost - atLeast <= widest) late.push({ atLeast, atMost });
  }
  return late;
}

/**
 * The lateness that the lag is to follow, in seconds: a lag of `SAFETY_FACTOR` times this covers what may be, and
 * leaves a margin over what is proven.
 */
export function evidentLateness({ atLeast, atMost }: Lateness): number {
  return Math.max(atLeast, atMost / SAFETY_FACTOR);
}
