/**
 * What lies past the cursor, as far as it was read: stretches of the events list, oldest first. They say from
 * where to read what is new in one request, which stretches are due to be read again, and which have settled.
 *
 * All times are whole seconds of Stripe's clock.
 */
import { firstUnsettledSecond, type Position } from './cursor.js';

/** All that was listed after the stretch before it (or after the cursor), up to its own newest event. */
export interface Stretch extends Position {
  /** How many events it held, about: it decides how much to ask for, never what has settled. */
  readonly events: number;
  /** The earliest second in which the whole of it may have been listed last. */
  readonly readAt: number;
}

export type Trail = readonly Stretch[];

/** The most that Stripe lists at a time. */
export const PAGE = 100;
/** How many events that are known already a read for news may list again. */
const MOST_KNOWN_AGAIN = 90;
/** What is late by x seconds is found within twice that: a place is read again whenever its age has doubled. */
const LOOK_AGAIN_AT = 2;
/** So long, in seconds, a settled stretch waits for others to fill a page with; and one that has not settled, less. */
const WAITS_FOR_A_FULL_PAGE = 10;
const LOOK_WAITS_SECONDS = 2;
const LOOK_AT_LAST_AT = 2.5;
/** A trail is no longer than this, so that it fits into a workflow's state. */
const MOST_STRETCHES = 96;

/**
 * From where to read for news: the index of the first stretch that is read again with it. As many stretches as
 * leave room on one page for twice the news of the last pass, so that what is a little late is found at once.
 */
export function newsStart(trail: Trail, news: number): number {
  const room = Math.max(0, Math.min(MOST_KNOWN_AGAIN, PAGE - 2 * news));
  let start = trail.length;
  let known = 0;
  for (; start > 0; start -= 1) {
    known += trail[start - 1]?.events ?? 0;
    if (known > room) break;
  }
  return start;
}

/**
 * The index of the stretch with which the next read behind the news begins, or null where none is due: the oldest
 * run of due stretches that fills a page, or that has waited for it long enough.
 */
export function dueStart(trail: Trail, now: number, lagSeconds: number): number | null {
  let start = 0;
  let events = 0;
  for (const [index, stretch] of trail.entries()) {
    if (!isDue(stretch, now, lagSeconds)) {
      start = index + 1;
      events = 0;
      continue;
    }
    events += stretch.events;
    if (events >= PAGE || isOverdue(stretch, now, lagSeconds)) return start;
  }
  return null;
}

function isDue({ created, readAt }: Stretch, now: number, lagSeconds: number): boolean {
  if (created < firstUnsettledSecond(readAt, lagSeconds)) return false;
  if (created < firstUnsettledSecond(now, lagSeconds)) return true;
  return now - created >= LOOK_AGAIN_AT * Math.max(1, readAt - created);
}

function isOverdue({ created, readAt }: Stretch, now: number, lagSeconds: number): boolean {
  const settledFor = firstUnsettledSecond(now, lagSeconds) - created;
  if (settledFor > 0) return settledFor > WAITS_FOR_A_FULL_PAGE;
  return now - created >= LOOK_AT_LAST_AT * Math.max(1, readAt - created) + LOOK_WAITS_SECONDS;
}

/**
 * The trail after a read that began with stretch `start` and listed everything from there up to the newest of
 * `listed`, or up to the list's end.
 *
 * @param listed in the list's order, newest first
 */
export function afterRead(
  trail: Trail,
  start: number,
  read: { readonly listed: readonly Position[]; readonly toTheEnd: boolean; readonly readAt: number },
): Trail {
  const oldestFirst = read.listed.toReversed();
  const stretches: Stretch[] = [];
  for (const { id, created } of oldestFirst) {
    const last = stretches.at(-1);
    const events = last?.created === created ? last.events + 1 : 1;
    if (last?.created === created) stretches.pop();
    stretches.push({ id, created, events, readAt: read.readAt });
  }
  const rest = read.toTheEnd ? [] : remainder(trail.slice(start), oldestFirst);
  return [...trail.slice(0, start), ...stretches, ...rest];
}

/** What a read that ended on its way leaves of the stretches that it began with. */
function remainder(stretches: Trail, oldestFirst: readonly Position[]): Trail {
  const newest = oldestFirst.at(-1);
  if (newest === undefined) return stretches;
  const places = new Map(oldestFirst.map(({ id }, place) => [id, place]));
  const covered = stretches.findLastIndex(({ id, created }) => places.has(id) || created < newest.created);
  const [partly, ...untouched] = stretches.slice(covered + 1);
  if (partly === undefined) return [];
  const reached = places.get(stretches[covered]?.id ?? '') ?? -1;
  const events = Math.max(1, partly.events - (oldestFirst.length - 1 - reached));
  return [{ ...partly, events }, ...untouched];
}

/**
 * When the place of an event that was created at `created` was last read, or null where nobody had.
 *
 * @param lookedAt when the last read that reached the list's end began
 */
export function lookedAt(trail: Trail, created: number, lookedAt: number | null): number | null {
  const candidates: (number | null)[] = [];
  for (const stretch of trail) {
    if (stretch.created < created) continue;
    candidates.push(stretch.readAt);
    if (stretch.created > created) break;
  }
  const newest = trail.at(-1);
  if (newest === undefined || newest.created <= created) candidates.push(lookedAt);
  return candidates.includes(null) ? null : Math.min(...candidates.map(Number));
}

/** The same trail in few enough stretches: neighbours become one, which is never taken to settle too early. */
export function thinned(trail: Trail, maxLagSeconds: number): Trail {
  const unsettled = trail.findIndex(
    ({ created, readAt }) => created >= firstUnsettledSecond(readAt, maxLagSeconds),
  );
  const settled = unsettled === -1 ? trail : trail.slice(0, unsettled);
  let rest = unsettled === -1 ? [] : trail.slice(unsettled);
  while (rest.length > MOST_STRETCHES) {
    rest = rest.flatMap((stretch, index) => {
      if (index % 2 === 0) return index === rest.length - 1 ? [stretch] : [];
      return [joined(rest[index - 1] ?? stretch, stretch)];
    });
  }
  const [first, ...others] = settled;
  return first === undefined ? rest : [others.reduce(joined, first), ...rest];
}

function joined(older: Stretch, newer: Stretch): Stretch {
  return {
    ...newer,
    events: older.events + newer.events,
    readAt: Math.min(older.readAt, newer.readAt),
  };
}
