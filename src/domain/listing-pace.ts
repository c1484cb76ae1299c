/** How fast a listing is, and how long it will still take. */
export interface ListingPace {
  readonly perSecond: number;
  /** A guess; null where there is nothing to guess by. */
  readonly secondsLeft: number | null;
}

/** Guesses from less would jump about. */
const LEAST_SHARE = 0.02;

/**
 * @param share of what there is that is listed, 0 to 1; null where nothing is known
 * @param elapsedSeconds since it began
 */
export function listingPace(rows: number, share: number | null, elapsedSeconds: number): ListingPace {
  const elapsed = Math.max(0.001, elapsedSeconds);
  const isTelling = share !== null && share >= LEAST_SHARE && share < 1;
  return {
    perSecond: rows / elapsed,
    secondsLeft: isTelling ? Math.ceil((elapsed * (1 - share)) / share) : null,
  };
}
