/** Where the listing of a type stands, and how it goes on. */

export interface ListingPosition {
  /** Which of the type's passes; each lists it with another filter. */
  readonly pass: number;
  /** The object after which the next page begins; null at the beginning of a pass. */
  readonly startingAfter: string | null;
  /** Objects listed before it, nearest last: where to go on should that object be deleted meanwhile. */
  readonly trail: readonly string[];
  /** Objects listed so far, over all passes. */
  readonly rows: number;
}

export const LISTING_START: ListingPosition = { pass: 0, startingAfter: null, trail: [], rows: 0 };

/** Every so many objects of a page one is kept on the trail. */
const TRAIL_STEP = 25;
/** Enough to reach back over two pages, and small enough to travel with each report. */
const TRAIL_LENGTH = 8;

/**
 * The position after a page.
 *
 * @param ids the page's objects in the list's order; the last one is where the next page begins
 * @param rows how many of them were taken
 */
export function afterPage(
  position: ListingPosition,
  ids: readonly string[],
  rows: number,
  hasMore: boolean,
): ListingPosition {
  const counted = position.rows + rows;
  const last = ids.at(-1);
  if (!hasMore || last === undefined) {
    return { pass: position.pass + 1, startingAfter: null, trail: [], rows: counted };
  }
  const steps = ids.slice(0, -1).filter((_, index) => index % TRAIL_STEP === 0);
  return {
    pass: position.pass,
    startingAfter: last,
    trail: [...position.trail, ...steps].slice(-TRAIL_LENGTH),
    rows: counted,
  };
}

/**
 * The position after Stripe no longer knew the object that the next page was to begin after: one listed before
 * it, or the beginning of the pass. What is then listed twice is written once.
 */
export function afterLostCursor(position: ListingPosition): ListingPosition {
  return { ...position, startingAfter: position.trail.at(-1) ?? null, trail: position.trail.slice(0, -1) };
}
