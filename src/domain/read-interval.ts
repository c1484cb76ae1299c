import type { Version } from './version.js';

/**
 * The interval of Stripe's clock, in whole seconds, in which what a response shows was current (design.md,
 * section 4), or null where the response had no `Date` header and so nothing can be said.
 *
 * `date` is the response's `Date` in seconds since the epoch; `durationMs` is our own monotonic clock from
 * before the request was sent until its whole body was read. No wall clock of ours takes part.
 *
 * Stripe read the object after we sent the request and before it wrote `Date`. `Date` is cut to whole seconds,
 * and servers may cache it for a second, so it can only be too early:
 * - `asOf` = floor(`Date` - duration) - 1. The duration takes us back to before the request was sent, and a
 *   `Date` that is too early makes this earlier still, which is safe. The further second is for a change that
 *   was stamped with its `created` a moment before it could be read: an event may count as contained in what
 *   was read only if it lies before `asOf`.
 * - `asOfUntil` = `Date` + 1. A `Date` that was cached may be of the second before the one in which Stripe looked, and
 *   what then happened within that second is in the answer: taken for newer, it would put the row back.
 */
export function readInterval(response: {
  readonly date: number | null;
  readonly durationMs: number;
}): Version | null {
  if (response.date === null) return null;
  return {
    asOf: Math.floor(response.date - response.durationMs / 1000) - 1,
    asOfUntil: response.date + 1,
  };
}
