/**
 * How late Stripe's events list is, as measured. Bounded in size, since it lives in workflow state.
 * Lateness is in whole seconds of Stripe's clock, from an event's `created` to the moment it was first seen.
 */

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

/**
 * The lateness of events that surfaced behind events of an earlier pass, in seconds.
 *
 * @param firstSeen the events that this pass saw first
 * @param frontier the newest `created` that earlier passes saw, or null before the first; an event in the
 *   frontier's own second is in time, since that second may still have been filling up
 * @param stripeNow Stripe's clock when the pass saw them
 */
export function latenessOf(
  firstSeen: readonly { readonly created: number }[],
  frontier: number | null,
  stripeNow: number | null,
): number[] {
  if (frontier === null || stripeNow === null) return [];
  return firstSeen
    .filter((event) => event.created < frontier)
    .map((event) => Math.max(0, Math.ceil(stripeNow - event.created)));
}
