/** A backfill for people: one line in all, a bar for each type that is under way, a line for each that ended. */
import type { BackfillProgress, BackfillTypeProgress } from '../domain/account-state.js';
import { listingPace } from '../domain/listing-pace.js';
import type { ListingProgress } from '../postgres/listings.js';
import { span } from './duration.js';
import type { MovingPace } from './moving-pace.js';

const BAR_WIDTH = 20;
/** What moves in a bar of which nobody knows how long it is. */
const SLIDER_WIDTH = 4;
const COUNT = new Intl.NumberFormat('en-US');

export const count = (rows: number): string => COUNT.format(Math.round(rows));

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
    const { rows, refused, unswept, share, endedAt, state, reason } = listing;
    const done = type.done || endedAt !== null;
    const skipped = type.skipped ?? (state === 'skipped' || state === 'failed' ? reason : null);
    const moreRefused = Math.max(type.refused ?? 0, refused);
    return {
      object: type.object,
      rows: Math.max(type.rows, rows),
      done,
      ...(skipped === null ? {} : { skipped }),
      ...(moreRefused === 0 ? {} : { refused: moreRefused }),
      ...(done ? {} : { share }),
      ...(unswept > 0 ? { unswept } : {}),
    };
  });
}

/** Such as "12 of 104 types, 123,456 rows". */
export function backfillTotals(types: readonly BackfillTypeProgress[]): string {
  const done = types.filter((type) => type.done).length;
  const rows = types.reduce((sum, type) => sum + type.rows, 0);
  return `${count(done)} of ${count(types.length)} types, ${count(rows)} rows`;
}

export interface TotalPace {
  /** Rows; null where nobody measured. */
  readonly perSecond: number | null;
  /** A guess; null where there is nothing to guess by. */
  readonly secondsLeft: number | null;
  /** Whether the guess leaves nothing out: every type has begun, and those under way are measured. */
  readonly isWhole: boolean;
}

/** Types are listed at the same time, so the slowest of them says how long it takes. */
export function totalPace(
  types: readonly MergedType[],
  listings: readonly ListingProgress[],
  pace: MovingPace,
): TotalPace {
  const left = underWay(listings).map((listing) => secondsLeftOf(listing, pace));
  const known = left.filter((seconds) => seconds !== null);
  const open = types.filter((type) => !type.done).length;
  return {
    perSecond: listings.length === 0 ? null : pace.all(),
    secondsLeft: known.length === 0 ? null : Math.max(...known),
    isWhole: known.length === open,
  };
}

/** Such as "12 of 104 types, 123,456 rows, 2,250 rows/s, about 40 s left". */
export function summaryText(types: readonly BackfillTypeProgress[], pace: TotalPace): string {
  const { perSecond, secondsLeft, isWhole } = pace;
  return [
    backfillTotals(types),
    ...(perSecond === null ? [] : [`${count(perSecond)} rows/s`]),
    ...(secondsLeft === null ? [] : [`${isWhole ? 'about' : 'at least'} ${span(secondsLeft)} left`]),
  ].join(', ');
}

export function backfillName({ number, reason }: Pick<BackfillProgress, 'number' | 'reason'>): string {
  return `Backfill ${number} (${reason})`;
}

/** The line in all, while it runs. */
export function progressLine(
  backfill: Pick<BackfillProgress, 'number' | 'reason' | 'types'>,
  pace: TotalPace,
): string {
  if (backfill.types.length === 0) return `${backfillName(backfill)} begins`;
  return `${backfillName(backfill)}  ${summaryText(backfill.types, pace)}`;
}

/** The line in all, once it has ended. */
export function endedBackfillLine(backfill: BackfillProgress, listings: readonly ListingProgress[]): string {
  const { types, state } = backfill;
  const failed = listings.filter((listing) => listing.state === 'failed').length;
  const leftOut = types.filter((type) => type.skipped !== undefined).length - failed;
  const rows = types.reduce((sum, type) => sum + type.rows, 0);
  const from = Math.min(...listings.map((listing) => listing.startedAt));
  const to = Math.max(...listings.map((listing) => listing.endedAt ?? listing.at));
  return [
    `${backfillName(backfill)} ${state}: ${backfillTotals(types)}${listings.length === 0 ? '' : took(rows, to - from)}`,
    ...(leftOut > 0 ? [`${leftOut} left out`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ].join(', ');
}

function took(rows: number, milliseconds: number): string {
  const seconds = milliseconds / 1000;
  const time = seconds < 10 ? `${Math.max(0.1, seconds).toFixed(1)} s` : span(Math.round(seconds));
  return ` in ${time}${seconds < 1 || rows === 0 ? '' : ` (${count(rows / seconds)}/s)`}`;
}

function underWay(listings: readonly ListingProgress[]): ListingProgress[] {
  return listings.filter(({ endedAt }) => endedAt === null).toSorted((a, b) => b.rows - a.rows);
}

/** As fast as it is now; where it stands still, as fast as it was. */
function secondsLeftOf(listing: ListingProgress, pace: MovingPace): number | null {
  const { rows, share, startedAt, at } = listing;
  const perSecond = pace.of(listing);
  const elapsed = perSecond > 0 ? rows / perSecond : (at - startedAt) / 1000;
  return listingPace(rows, share, elapsed).secondsLeft;
}

/**
 * A line for each type that is under way, the largest first.
 *
 * @param room how many lines there may be
 * @param frame counts the looks: what is under way and cannot be measured moves
 */
export function typeLines(
  listings: readonly ListingProgress[],
  pace: MovingPace,
  { room, frame }: { readonly room: number; readonly frame: number },
): string[] {
  const all = underWay(listings);
  if (room < 1) return [];
  const shown = all.length <= room ? all : all.slice(0, room - 1);
  const nameWidth = Math.max(0, ...shown.map(({ object }) => object.length));
  const rowsWidth = Math.max(0, ...shown.map(({ rows }) => count(rows).length));
  const lines = shown.map((listing) => {
    const { object, rows, share, state } = listing;
    const left = secondsLeftOf(listing, pace);
    const percent = share === null ? '' : `${Math.floor(share * 100)} %`;
    const held = `${object.padEnd(nameWidth)}  ${bar(share, frame)} ${percent.padStart(5)}  ${count(rows).padStart(rowsWidth)} rows`;
    if (state === 'sweeping') return `  ${held}  sweeping: ${checked(listing)}`;
    return `  ${held}  ${count(pace.of(listing))}/s${left === null ? '' : `  about ${span(left)} left`}`;
  });
  return shown.length < all.length ? [...lines, `  and ${all.length - shown.length} more`] : lines;
}

function checked({ swept }: ListingProgress): string {
  return `checks what the listing did not show${swept > 0 ? ` (${count(swept)} so far)` : ''}`;
}

function bar(share: number | null, frame: number): string {
  if (share !== null) {
    const filled = Math.floor(Math.min(1, Math.max(0, share)) * BAR_WIDTH);
    return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
  }
  const before = (frame * 2) % (BAR_WIDTH - SLIDER_WIDTH + 1);
  return `${'░'.repeat(before)}${'▒'.repeat(SLIDER_WIDTH)}${'░'.repeat(BAR_WIDTH - SLIDER_WIDTH - before)}`;
}

/**
 * What became of a type, for a line that stays; null where it held nothing and nothing is to be said of it.
 *
 * @param listing what PostgreSQL knows of it, if anything
 */
export function endedTypeLine(type: MergedType, listing: ListingProgress | undefined): string | null {
  const { object, rows, skipped, refused = 0, unswept = 0 } = type;
  if (listing?.state === 'failed') return `${object}  failed: ${listing.reason ?? 'see the Temporal UI'}`;
  if (skipped !== undefined) return `${object}  left out: ${skipped}`;
  if (rows + refused + unswept === 0) return null;
  const time = listing === undefined ? '' : took(rows, (listing.endedAt ?? listing.at) - listing.startedAt);
  return [
    `${object}  ${count(rows)} rows${time}`,
    ...(refused > 0 ? [`${count(refused)} more cannot be held by PostgreSQL (the log names them)`] : []),
    ...(unswept > 0 ? [unsweptText(unswept)] : []),
  ].join('; ');
}

export function unsweptText(unswept: number): string {
  return `the listing left out ${count(unswept)} rows, which are too many to be looked for one by one`;
}
