/** A backfill on a terminal: one line in all, and a bar for each type that is under way. */
import type { BackfillTypeProgress } from '../domain/account-state.js';
import { listingPace } from '../domain/listing-pace.js';
import type { ListingProgress } from '../postgres/listings.js';
import { span } from './duration.js';

const BAR_WIDTH = 20;
/** Rows a second are those of the last so many milliseconds. */
const WINDOW_MS = 5_000;
const COUNT = new Intl.NumberFormat('en-US');

export const count = (rows: number): string => COUNT.format(rows);

/** @param share 0 to 1; null where nothing is known */
export function bar(share: number | null, width = BAR_WIDTH): string {
  if (share === null) return '·'.repeat(width);
  const filled = Math.floor(Math.min(1, Math.max(0, share)) * width);
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)}`;
}

export interface Bars {
  /** Takes in how far the types are, and gives a line for each that is under way, the largest first. */
  lines(listings: readonly ListingProgress[]): string[];
  /** Over all types. */
  rowsPerSecond(): number;
}

interface Look {
  readonly at: number;
  readonly rows: ReadonlyMap<string, number>;
}

export function createBars(): Bars {
  const looks: Look[] = [];

  /** Rows a second between the oldest look of the window and the newest. */
  const speed = (rowsOf: (look: Look) => number): number => {
    const [first] = looks;
    const last = looks.at(-1);
    if (first === undefined || last === undefined || last.at <= first.at) return 0;
    return Math.max(0, ((rowsOf(last) - rowsOf(first)) * 1000) / (last.at - first.at));
  };

  return {
    lines(listings) {
      const at = listings[0]?.at ?? 0;
      looks.push({ at, rows: new Map(listings.map(({ object, rows }) => [object, rows])) });
      while (looks.length > 2 && (looks[1]?.at ?? at) <= at - WINDOW_MS) looks.shift();
      const underWay = listings.filter(({ state }) => state === 'listing' || state === 'sweeping');
      const name = Math.max(0, ...underWay.map(({ object }) => object.length));
      return underWay
        .toSorted((a, b) => b.rows - a.rows)
        .map((listing) => {
          const perSecond = speed(({ rows }) => rows.get(listing.object) ?? 0);
          return `  ${listing.object.padEnd(name)}  ${typeLine(listing, perSecond)}`;
        });
    },
    rowsPerSecond: () => speed(({ rows }) => [...rows.values()].reduce((sum, each) => sum + each, 0)),
  };
}

function typeLine({ state, share, rows, startedAt, at }: ListingProgress, perSecond: number): string {
  if (state === 'sweeping') return `${bar(1)} 100 %  ${count(rows)} rows, looking for what it did not show`;
  const { secondsLeft } = listingPace(rows, share, (at - startedAt) / 1000);
  const percent = share === null ? '  ? %' : `${String(Math.floor(share * 100)).padStart(3)} %`;
  const left = secondsLeft === null ? '' : `, about ${span(secondsLeft)} left`;
  return `${bar(share)} ${percent}  ${count(rows)} rows, ${count(Math.round(perSecond))}/s${left}`;
}

/** What became of a type, for a line that stays; null where it held nothing and nothing is to be said of it. */
export function endedLine(listing: ListingProgress): string | null {
  const { object, state, rows, startedAt, endedAt, at, reason, refused, unswept } = listing;
  if (state === 'skipped') return `${object} is left out: ${reason}`;
  if (state === 'failed') return `${object} could not be listed to its end: ${reason}`;
  if (state !== 'done' || rows === 0) return null;
  const seconds = ((endedAt ?? at) - startedAt) / 1000;
  const speed = seconds < 1 ? '' : ` (${count(Math.round(rows / seconds))}/s)`;
  const more = [
    ...(refused > 0 ? [`${count(refused)} cannot be held by PostgreSQL`] : []),
    ...(unswept > 0 ? [`${count(unswept)} rows that it did not show were not looked for`] : []),
  ];
  return [`${object}: ${count(rows)} rows in ${seconds.toFixed(1)} s${speed}`, ...more].join('; ');
}

/** A type as its workflow knows it, with what PostgreSQL knows better. */
export interface MergedType extends BackfillTypeProgress {
  /** Of a type that is under way: 0 to 1, or null where nothing is known yet. */
  readonly share?: number | null;
  /** Rows that the listing left out, and that were too many to be looked for. */
  readonly unswept?: number;
}

/** What the workflow says of its types, with the rows that PostgreSQL knows of already. */
export function mergedTypes(
  types: readonly BackfillTypeProgress[],
  listings: readonly ListingProgress[],
): readonly MergedType[] {
  const known = new Map(listings.map((listing) => [listing.object, listing]));
  return types.map((type) => {
    const listing = known.get(type.object);
    if (listing === undefined) return type;
    return {
      ...type,
      rows: Math.max(type.rows, listing.rows),
      ...(type.done ? {} : { share: listing.share }),
      ...(listing.unswept > 0 ? { unswept: listing.unswept } : {}),
    };
  });
}
