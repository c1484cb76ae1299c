/** Whether the lag is enough for how late Stripe's events list was measured to be, and which one would be. */
import { DEFAULT_LAG, type LagLimits, targetLag } from './lag.js';

export interface Percentile {
  readonly percent: number;
  readonly seconds: number;
}

/** What was measured over some time; all in whole seconds. */
export interface LatenessFacts {
  readonly measured: number;
  readonly notMeasured: number;
  /** Those that the number of events supports, ascending. */
  readonly percentiles: readonly Percentile[];
  /** The longest from an event's second to the look that found it in the list. */
  readonly worstSeconds: number | null;
  /** The longest after its second that an event was seen to be missing. */
  readonly worstAtLeastSeconds: number | null;
  /** Events that surfaced behind the cursor. */
  readonly leaks: { readonly count: number; readonly worstSeconds: number | null };
  readonly lagSeconds: number | null;
  /** Between which the lag moves by itself, where known. */
  readonly limits: LagLimits | null;
}

/** A shorter lag is only advised on the evidence of so many. */
const MANY_EVENTS = 1_000;
/** A rescan comes every ten minutes in any case, so a lag of more than that finds little sooner, and keeps more open. */
export const LONGEST_SENSIBLE_LAG = 900;

/** `lag` and `maxLag` are what to start the account with, in seconds. */
export type LagVerdict =
  | { readonly kind: 'nothing measured' }
  | { readonly kind: 'no lag known'; readonly lag: number | null }
  | { readonly kind: 'enough' }
  /** Enough, because it widened: it will narrow again to a floor that is too short. */
  | { readonly kind: 'widened'; readonly lag: number }
  /** Enough, and so is the floor that it narrows to. */
  | { readonly kind: 'narrowing' }
  /** The floor is far above what was needed. */
  | { readonly kind: 'generous'; readonly lag: number }
  /** No event was seen to be missing for longer than the lag, but the next look came after it. */
  | { readonly kind: 'held'; readonly lag: number | null }
  | { readonly kind: 'too short'; readonly lag: number }
  /** Later than the lag may grow. */
  | { readonly kind: 'capped'; readonly maxLag: number }
  /** Possibly later than the lag may grow: seen to be missing before that, and looked for again only after it. */
  | { readonly kind: 'unclear' }
  /** Later than any lag should wait. */
  | { readonly kind: 'beyond' };

/**
 * Compares the lag with what it had to cover. While it is at least as long as an event is late, the cursor has
 * not passed the event's second when the event surfaces.
 */
export function judgeLag(facts: LatenessFacts): LagVerdict {
  const { measured, worstSeconds: worst, leaks, lagSeconds: lag, limits } = facts;
  if (measured === 0 || worst === null) return { kind: 'nothing measured' };
  const cap = limits?.maxSeconds ?? Math.max(DEFAULT_LAG.maxSeconds, lag ?? 0);
  if (lag === null) {
    return { kind: 'no lag known', lag: worst > DEFAULT_LAG.floorSeconds && worst <= cap ? worst : null };
  }
  if (worst <= lag) {
    if (limits === null) return { kind: 'enough' };
    const { floorSeconds } = limits;
    if (lag > floorSeconds)
      return worst <= floorSeconds ? { kind: 'narrowing' } : { kind: 'widened', lag: worst };
    const wanted = targetLag(worst, DEFAULT_LAG);
    const isFarAbove = floorSeconds >= 2 * wanted && floorSeconds - wanted >= 10;
    if (isFarAbove && leaks.count === 0 && measured >= MANY_EVENTS) return { kind: 'generous', lag: wanted };
    return { kind: 'enough' };
  }
  const atLeast = facts.worstAtLeastSeconds ?? 0;
  if (leaks.count === 0 && atLeast <= lag) {
    return { kind: 'held', lag: atLeast > 0 && worst <= cap ? worst : null };
  }
  if (worst <= cap) return { kind: 'too short', lag: worst };
  if (atLeast <= cap) return { kind: 'unclear' };
  return worst <= LONGEST_SENSIBLE_LAG ? { kind: 'capped', maxLag: worst } : { kind: 'beyond' };
}
