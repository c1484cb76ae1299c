/** A cursor that Stripe no longer knows. Times are whole seconds of Stripe's clock. */
import type { ListAnswer } from './list-request.js';
import type { LostSeconds, PassStep, Reading } from './pass.js';

/** Stripe lists events for 30 days. */
export const RETENTION_SECONDS = 30 * 24 * 3600;
const DOUBT_SECONDS = 24 * 3600;

/**
 * Finds a place by time, at or before `cursor.created - lagSeconds`. Where Stripe lists nothing that old, the
 * list is read from that time on instead; and where that time is past Stripe's retention, the seconds up to the
 * end of retention are a gap.
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
  const known = reading.reanchored?.gap ?? null;
  const found = { ...reading, trail: [], anchor };
  if (older !== undefined) return { ...found, cursor: older, reanchored: { gap: known } };
  // Without a time our own clock has to do, which may be wrong: a gap that is none costs a listing, one that is
  // missed costs data.
  const kept = (page?.readAt ?? options.ourNow + DOUBT_SECONDS) - RETENTION_SECONDS;
  const gap: LostSeconds | null = anchor < kept ? { from: anchor, to: kept } : null;
  return { ...found, cursor: null, reanchored: { gap: known ?? gap } };
}
