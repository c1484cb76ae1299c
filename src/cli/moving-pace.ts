/** How fast rows come now, as opposed to how fast they came since the beginning. */
import type { ListingProgress } from '../postgres/listings.js';

/** Rows a second are those of the last so many milliseconds. */
const WINDOW_MS = 5_000;

/** Rows a second. */
export interface MovingPace {
  /** Takes in a look at all types of one backfill; times are PostgreSQL's. */
  take(listings: readonly ListingProgress[]): void;
  of(listing: ListingProgress): number;
  all(): number;
}

interface Look {
  readonly at: number;
  readonly rows: ReadonlyMap<string, number>;
  readonly startedAt: number;
}

export function createMovingPace(): MovingPace {
  const looks: Look[] = [];

  /** Between the oldest look of the window and the newest; since the beginning where there is one look only. */
  function pace(rowsOf: (look: Look) => number | undefined, startedAt: number | undefined): number {
    const [first] = looks;
    const last = looks.at(-1);
    if (first === undefined || last === undefined) return 0;
    const before = last.at > first.at ? rowsOf(first) : undefined;
    const from = before === undefined ? (startedAt ?? last.startedAt) : first.at;
    const milliseconds = last.at - from;
    return milliseconds <= 0 ? 0 : (Math.max(0, (rowsOf(last) ?? 0) - (before ?? 0)) * 1000) / milliseconds;
  }

  return {
    take(listings) {
      const [some] = listings;
      if (some === undefined) return;
      looks.push({
        at: some.at,
        rows: new Map(listings.map(({ object, rows }) => [object, rows])),
        startedAt: Math.min(...listings.map((listing) => listing.startedAt)),
      });
      while (looks.length > 2 && (looks[1]?.at ?? some.at) <= some.at - WINDOW_MS) looks.shift();
    },
    of: ({ object, startedAt }) => pace(({ rows }) => rows.get(object), startedAt),
    all: () => pace(({ rows }) => [...rows.values()].reduce((sum, each) => sum + each, 0), undefined),
  };
}
