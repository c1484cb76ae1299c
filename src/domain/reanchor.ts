/** A cursor that Stripe no longer knows. Times are whole seconds of Stripe's clock. */
import type { ListAnswer } from './list-request.js';
import type { LostSeconds, PassStep, Reading } from './pass.js';

/** Stripe lists events for 30 days. */
export const RETENTION_SECONDS = 30 * 24 * 3600;
const DOUBT_SECONDS = 24 * 3600;

/**
 * Finds a place by time, at or before `cursor.created - lagSeconds`. Where Stripe lists nothing that old, the list
 * is read from that time on instead, or from the time up to which it is known to have been read.
 */
export function* reanchor(
  reading: Reading,
  options: { readonly lagSeconds: number; readonly ourNow: number },
): Generator<PassStep, Reading, ListAnswer> {
  const from = reading.cursor?.created ?? reading.anchor;
  const anchor = Math.max(0, from - options.lagSeconds);
  const answer = yield {
    request: { kind: 'window', from: null, to: anchor - 1, below: null, limit: 1 },
    reading,
  };
  const page = answer === 'lost' ? null : answer;
  const [older] = page?.listed ?? [];
  const found = { ...reading, trail: [], reanchored: reading.reanchored ?? { gap: null } };
  if (older !== undefined) return { ...found, anchor, cursor: older };
  return withGap({ ...found, anchor, cursor: null }, page?.saidAt ?? null, options);
}

/**
 * The reading without a cursor, told of a gap where Stripe may have dropped events that nobody has read: from the
 * time up to which the list was read, to the end of retention. What was read needs not be read again.
 *
 * @param now as the last answer says it, or null where it says nothing. Our own clock, which may be wrong, then has
 *   to do: a gap that is none costs a listing, one that is missed costs data.
 */
export function withGap(
  reading: Reading,
  now: number | null,
  options: { readonly lagSeconds: number; readonly ourNow: number },
): Reading {
  const read = reading.lookedAt === null ? 0 : reading.lookedAt - options.lagSeconds - 1;
  const anchor = Math.max(reading.anchor, read);
  const kept = (now ?? options.ourNow + DOUBT_SECONDS) - RETENTION_SECONDS;
  if (anchor >= kept) return { ...reading, anchor };
  const gap: LostSeconds = { from: anchor, to: kept };
  return { ...reading, anchor: kept, reanchored: { gap: reading.reanchored?.gap ?? gap } };
}
