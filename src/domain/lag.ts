/**
 * How many seconds behind Stripe's clock the cursor stays, so that an event which surfaces late is still
 * ahead of it. The lag widens at once with the worst lateness seen, and narrows slowly.
 */

export interface LagLimits {
  readonly floorSeconds: number;
  readonly maxSeconds: number;
}

export interface LagState {
  readonly seconds: number;
  /** Worst lateness per slice of `SLICE_SECONDS`, newest last, at most `SLICES` of them. */
  readonly worst: readonly { readonly slice: number; readonly seconds: number }[];
  /** Stripe's clock at the last step down, in seconds. */
  readonly steppedDownAt: number | null;
}

export const DEFAULT_LAG: LagLimits = { floorSeconds: 5, maxSeconds: 300 };

/** The window of lateness that the lag follows: an hour in slices of ten minutes. */
export const SLICE_SECONDS = 600;
export const SLICES = 6;
/** What has been seen is not the worst that can be. */
export const SAFETY_FACTOR = 1.5;
/** The lag narrows by at most one second in this many. */
export const STEP_DOWN_SECONDS = 60;

export function initialLag(limits: LagLimits): LagState {
  return { seconds: limits.floorSeconds, worst: [], steppedDownAt: null };
}

/** The lag that the worst lateness of the window calls for, in seconds, within the limits. */
export function targetLag(worstSeconds: number, limits: LagLimits): number {
  const wanted = worstSeconds === 0 ? 0 : Math.ceil(worstSeconds * SAFETY_FACTOR) + 1;
  return Math.min(limits.maxSeconds, Math.max(limits.floorSeconds, wanted));
}

/**
 * The lag after a pass.
 *
 * @param observed lateness of the pass's late events and leaks, in seconds
 * @param stripeNow Stripe's clock in seconds; null leaves the window as it is, but still widens
 */
export function nextLag(
  lag: LagState,
  observed: readonly number[],
  stripeNow: number | null,
  limits: LagLimits,
): LagState {
  const slice = stripeNow === null ? (lag.worst.at(-1)?.slice ?? 0) : Math.floor(stripeNow / SLICE_SECONDS);
  const worst = lag.worst.filter((entry) => entry.slice > slice - SLICES && entry.slice !== slice);
  const current = lag.worst.find((entry) => entry.slice === slice)?.seconds ?? 0;
  const seen = Math.max(current, ...observed);
  const window = seen > 0 ? [...worst, { slice, seconds: seen }] : worst;
  const target = targetLag(Math.max(0, ...window.map((entry) => entry.seconds)), limits);

  if (target >= lag.seconds)
    return { seconds: target, worst: window, steppedDownAt: stripeNow ?? lag.steppedDownAt };
  if (stripeNow === null) return { ...lag, worst: window };
  // A clock that was ahead once must not keep the lag from narrowing.
  const since = Math.min(lag.steppedDownAt ?? stripeNow, stripeNow);
  if (stripeNow - since < STEP_DOWN_SECONDS) {
    return { seconds: Math.min(lag.seconds, limits.maxSeconds), worst: window, steppedDownAt: since };
  }
  return { seconds: Math.max(target, lag.seconds - 1), worst: window, steppedDownAt: stripeNow };
}
