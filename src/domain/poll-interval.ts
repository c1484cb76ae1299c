/**
 * How long to wait between two looks at Stripe's list of events. Stripe grants an account a number of reads over 30
 * days, by its transactions; each look is one. Events come in bursts, so the wait is short while they flow and grows
 * with the time that nothing came; and it grows with the part of the allowance that is used up, so that what is left
 * lasts. A webhook or an event shortens it again at once. All times are seconds.
 */

export interface PollRhythm {
  /** While events flow. */
  readonly fastestSeconds: number;
  /** The wait never grows beyond this; the same as `fastestSeconds` where somebody fixed it. */
  readonly slowestSeconds: number;
}

/** Reads of all kinds, and how many Stripe allows for in 30 days. */
export interface ReadUse {
  readonly used30d: number;
  readonly used7d: number;
  readonly allowance: number;
}

/** The wait is this part of the quiet time: an event that ends a long silence is seen soon, by its measure. */
const PART_OF_QUIET = 1 / 60;
/** Up to here of the allowance the wait is as short as the events ask for; from here on it grows. */
const FREE_SHARE = 0.5;

/**
 * @param quietSeconds since the last event or webhook
 * @param use null where nobody counts
 */
export function pollInterval(rhythm: PollRhythm, quietSeconds: number, use: ReadUse | null): number {
  const { fastestSeconds, slowestSeconds } = rhythm;
  const byQuiet = quietSeconds * PART_OF_QUIET;
  const wanted = Math.max(byQuiet, use === null ? 0 : byUse(rhythm, use));
  return Math.min(Math.max(wanted, fastestSeconds), Math.max(slowestSeconds, fastestSeconds));
}

/**
 * From the shortest wait to the longest, by equal factors for equal parts of the allowance. By the month alone, a busy
 * first day would use all of it, and the slowest wait comes close to the least allowance as it is: so a week has its
 * part as well, which leaves room for a burst.
 */
function byUse({ fastestSeconds, slowestSeconds }: PollRhythm, use: ReadUse): number {
  const used = Math.max(use.used30d, (use.used7d * 30) / 7) / Math.max(1, use.allowance);
  const pressure = Math.min(1, Math.max(0, (used - FREE_SHARE) / (1 - FREE_SHARE)));
  if (pressure === 0) return fastestSeconds;
  return fastestSeconds * (slowestSeconds / fastestSeconds) ** pressure;
}
