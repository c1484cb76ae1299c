/**
 * Where an account stands in Stripe's events list, and how far it may move.
 *
 * All times are whole seconds of Stripe's clock: an event's `created`, and the `Date` header of a response.
 */

/** The newest event behind which the list is taken to be complete. `ending_before` starts from its id. */
export interface Cursor {
  readonly id: string;
  readonly created: number;
}

/** A position that a walk saw: the event listed newest among those of its second. */
export type Mark = Cursor;

/**
 * The first second that is not settled yet. An event created at the end of second `s` may surface up to
 * `lagSeconds` later and still be in time, so `s` is settled once `s + 1 + lagSeconds` has passed on Stripe's
 * clock. `Date` is floored to the second, so comparing whole seconds errs on the late side.
 */
export function firstUnsettledSecond(stripeNow: number, lagSeconds: number): number {
  return Math.floor(stripeNow - lagSeconds);
}

/**
 * Moves the cursor to the newest settled mark, or leaves it where it is. It never goes back and never enters
 * a second that is not settled. A mark in the cursor's own second is a step forward, because a walk lists
 * only what lies past the cursor.
 *
 * @param marks positions seen by walks that began at `cursor`, in any order
 * @param stripeNow Stripe's clock before the first page was listed, or null where it is unknown (no move)
 */
export function advanceCursor(
  cursor: Cursor | null,
  marks: readonly Mark[],
  stripeNow: number | null,
  lagSeconds: number,
): Cursor | null {
  if (stripeNow === null) return cursor;
  const unsettled = firstUnsettledSecond(stripeNow, lagSeconds);
  let newest = cursor;
  for (const mark of marks) {
    if (mark.created >= unsettled) continue;
    if (newest === null || mark.created > newest.created) newest = mark;
    else if (newest === cursor && mark.created === newest.created) newest = mark;
  }
  return newest;
}

/**
 * One mark per distinct second of a walk.
 *
 * @param newestFirst the walk's events in the list's own order, newest first
 */
export function marksOf(newestFirst: readonly Mark[]): Mark[] {
  const marks: Mark[] = [];
  for (const { id, created } of newestFirst) {
    if (marks.at(-1)?.created !== created) marks.push({ id, created });
  }
  return marks;
}

/**
 * Leaves out the marks that no cursor can need: those in seconds that even the smallest lag holds unsettled,
 * and all but the newest of those that even the largest lag holds settled. So what a walk of any length
 * reports stays below `maxLagSeconds + 1` marks.
 */
export function usefulMarks(
  marks: readonly Mark[],
  stripeNow: number,
  lag: { readonly floorSeconds: number; readonly maxSeconds: number },
): Mark[] {
  const unsettled = firstUnsettledSecond(stripeNow, lag.floorSeconds);
  const surelySettled = firstUnsettledSecond(stripeNow, lag.maxSeconds);
  const kept = marks.filter((mark) => mark.created < unsettled && mark.created >= surelySettled);
  const newestSettled = advanceCursor(null, marks, stripeNow, lag.maxSeconds);
  return newestSettled === null ? kept : [...kept, newestSettled];
}
