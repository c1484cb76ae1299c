/**
 * Where an account stands in Stripe's events list, and how far it may move.
 *
 * All times are whole seconds of Stripe's clock: an event's `created`, and the `Date` header of a response.
 */
import type { Trail } from './trail.js';

/** An event as a place in the list. */
export interface Position {
  readonly id: string;
  readonly created: number;
}

/** The newest event behind which the list is taken to be complete. `ending_before` starts from its id. */
export type Cursor = Position;

/**
 * The first second that is not settled yet. An event created at the end of second `s` may surface up to
 * `lagSeconds` later and still be in time, so `s` is settled once `s + 1 + lagSeconds` has passed on Stripe's
 * clock. `Date` is floored to the second, so comparing whole seconds errs on the late side.
 *
 * @param readAt the earliest second of Stripe's clock in which the list may have been read
 */
export function firstUnsettledSecond(readAt: number, lagSeconds: number): number {
  return Math.floor(readAt - lagSeconds);
}

/**
 * Moves the cursor over the stretches that were read when they had settled, up to the first that was not, or
 * leaves it where it is. It never goes back and never enters a second that is not settled.
 *
 * @param trail what lies past `cursor`, oldest first
 * @returns the cursor, and the trail that is left past it
 */
export function advanceCursor(
  cursor: Cursor | null,
  trail: Trail,
  lagSeconds: number,
): { readonly cursor: Cursor | null; readonly trail: Trail } {
  let passed = 0;
  let moved = cursor;
  for (const { id, created, readAt } of trail) {
    if (created >= firstUnsettledSecond(readAt, lagSeconds)) break;
    if (moved !== null && created < moved.created) break;
    moved = { id, created };
    passed += 1;
  }
  return { cursor: moved, trail: passed === 0 ? trail : trail.slice(passed) };
}
