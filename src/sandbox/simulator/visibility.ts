/**
 * When an event shows up in `/v1/events`. Stripe's list is eventually consistent: an event can surface behind newer
 * ones that were listed before it, which is how a cursor that always moves to the newest event loses some for ever.
 */
import type { Random } from './random.js';

export type VisibilityProfile =
  | { readonly kind: 'none' }
  | {
      /** Seconds from the change until the event is listed: the median, the 99th percentile, and the most. */
      readonly p50: number;
      readonly p99: number;
      readonly max: number;
      /** A share of events that surfaces far later still. */
      readonly stragglers?: { readonly share: number; readonly minimum: number; readonly maximum: number };
    }
  /** Seconds, given a uniform draw from [0, 1). */
  | ((draw: number) => number);

export const defaultVisibility: VisibilityProfile = { p50: 0.4, p99: 2, max: 3 };

/** The 99th percentile of the standard normal distribution. */
const Z99 = 2.326;

/** How long one event stays hidden, in seconds. */
export function drawDelay(profile: VisibilityProfile, random: Random): number {
  if (typeof profile === 'function') return Math.max(0, profile(random.next()));
  if ('kind' in profile) return 0;
  const { p50, p99, max, stragglers } = profile;
  if (stragglers !== undefined && random.chance(stragglers.share)) {
    return stragglers.minimum + random.next() * (stragglers.maximum - stragglers.minimum);
  }
  if (p50 <= 0) return 0;
  const spread = Math.log(Math.max(p99, p50) / p50) / Z99;
  return Math.min(max, p50 * Math.exp(spread * random.normal()));
}
