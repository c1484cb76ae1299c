/**
 * One pass over Stripe's list of events: what is new, and, where it is due, what lies between that and the cursor.
 * It decides what to ask for; it asks nobody. All times are whole seconds of Stripe's clock.
 */
import type { Cursor, Position } from './cursor.js';
import { StripeFailure } from './failures.js';
import type { ListAnswer, ListPage, ListRequest } from './list-request.js';
import { reanchor, withGap } from './reanchor.js';
import { afterRead, dueStart, newsStart, PAGE, type Trail, thinned } from './trail.js';

/** How far the list was read. It travels with the workflow's state. */
export interface Reading {
  readonly cursor: Cursor | null;
  /** Where the list is read from while there is no cursor. */
  readonly anchor: number;
  readonly trail: Trail;
  /** When the last read that reached the list's end began. */
  readonly lookedAt: number | null;
  /** How many events the last pass listed for the first time. */
  readonly news: number;
  /** Set once Stripe no longer knew the cursor, and a place was found by time. */
  readonly reanchored: { readonly gap: LostSeconds | null } | null;
}

export interface PassOptions {
  /** Pages with news that one pass reads at most. */
  readonly pageCap: number;
  readonly lagSeconds: number;
  readonly maxLagSeconds: number;
  /**
   * A page with more behind it that ends so many seconds before what has settled ends the read for news: a backlog is
   * for another kind of walk. Null, or nothing: it is read like any other news.
   */
  readonly backlogSeconds?: number | null;
  /** For a gap's end where Stripe's answers carry no time: our own clock, in seconds. */
  readonly ourNow: number;
}

/** A request, and how far the list has been read before it. */
export interface PassStep {
  readonly request: ListRequest;
  readonly reading: Reading;
}

/** Seconds whose events may be gone for good. */
export interface LostSeconds {
  readonly from: number;
  readonly to: number;
}

export interface PassResult {
  readonly reading: Reading;
  /** Whether the read for news reached the list's end. */
  readonly complete: boolean;
  /** When it began; what surfaced later is not accounted for. Null where nothing tells it. */
  readonly readAt: number | null;
  /** Whether Stripe did not know a position either that it had just listed. */
  readonly nowhere: boolean;
  /** Whether it left a backlog to another walk. */
  readonly isBacklog: boolean;
}

/** Reads behind the news in one pass, at most, and two more for each page of news: the next pass must not wait. */
const LEAST_DUE_READS = 4;

/**
 * Reads from a place near the newest event to the list's end, or until `pageCap` pages held something new: a burst
 * that is longer than the cap would hide what comes behind it otherwise. Then reads what is due behind that.
 *
 * @throws StripeFailure of kind `malformed` where a page says that there is more and shows no way on
 */
export function* pass(before: Reading, options: PassOptions): Generator<PassStep, PassResult, ListAnswer> {
  let reading = before;
  let isReanchored = false;
  let readAt: number | null = null;
  let complete = false;
  let losses = 0;
  let next = newsStart(before.trail, before.news);
  let fresh = 0;
  let news = 0;
  let isBacklog = false;

  const take = (start: number, page: ListPage): void => {
    if (page.news > 0) fresh += 1;
    news += page.news;
    readAt ??= page.readAt;
    complete = !page.hasMore;
    isBacklog = !complete && isFarBehind(page, options);
    reading = withRead(reading, start, page, options);
    const newest = page.listed[0]?.id;
    const reached = reading.trail.findIndex(({ id }) => id === newest);
    next = reached === -1 ? reading.trail.length : reached + 1;
  };

  while (!complete && !isBacklog && fresh < options.pageCap) {
    const start = next;
    const after = placeBefore(reading, start);
    if (after === null) {
      const first = yield* oldestPage(reading);
      reading = withGap(reading, first.saidAt, options);
      take(0, first);
    } else {
      const answer = yield { request: { kind: 'after', id: after.id }, reading };
      if (answer === 'lost') {
        losses += 1;
        if (isReanchored || (start > 0 && losses > 1))
          return { reading, complete: false, readAt: null, nowhere: true, isBacklog: false };
        if (start > 0) {
          // What was listed a moment ago is not to be found. The cursor has stood for longer.
          reading = { ...reading, trail: [] };
        } else {
          reading = yield* reanchor(reading, options);
          isReanchored = true;
        }
        next = 0;
        continue;
      }
      if (answer.hasMore && answer.listed.length === 0) throw noWayOn('newest');
      take(start, answer);
    }
  }

  if (complete && readAt !== null) {
    for (let reads = 0; reads < LEAST_DUE_READS + 2 * fresh; reads += 1) {
      const due = dueStart(reading.trail, readAt, options.lagSeconds);
      if (due === null) break;
      const page = yield* readBehind(reading, due);
      if (page === null) {
        reading = { ...reading, trail: [] };
        break;
      }
      reading = withRead(reading, due, page, options);
    }
  }
  reading = { ...reading, news };
  if (complete && readAt !== null) {
    reading = { ...reading, lookedAt: readAt };
    // Nothing that was settled then is left to be read, so a quiet beginning does not age out.
    if (reading.cursor === null && reading.trail.length === 0)
      reading = { ...reading, anchor: Math.max(reading.anchor, readAt - options.lagSeconds - 1) };
  }
  return { reading, complete, readAt, nowhere: false, isBacklog };
}

function isFarBehind({ listed: [newest], readAt }: ListPage, options: PassOptions): boolean {
  const { backlogSeconds = null, lagSeconds } = options;
  if (backlogSeconds === null || newest === undefined || readAt === null) return false;
  return readAt - newest.created >= backlogSeconds + lagSeconds;
}

/** The event after which stretch `start` begins; null for the list's beginning at the anchor. */
function placeBefore({ cursor, trail }: Reading, start: number): Position | null {
  return start === 0 ? cursor : (trail[start - 1] ?? null);
}

function withRead(reading: Reading, start: number, page: ListPage, options: PassOptions): Reading {
  // Without a time, nothing can be told about what has settled.
  if (page.readAt === null) return reading;
  const read = { listed: page.listed, toTheEnd: !page.hasMore, readAt: page.readAt };
  return { ...reading, trail: thinned(afterRead(reading.trail, start, read), options.maxLagSeconds) };
}

/** One page behind the news. Null where Stripe does not know the place any more. */
function* readBehind(reading: Reading, start: number): Generator<PassStep, ListPage | null, ListAnswer> {
  const after = placeBefore(reading, start);
  if (after !== null) {
    const answer = yield { request: { kind: 'after', id: after.id }, reading };
    return answer === 'lost' || (answer.hasMore && answer.listed.length === 0) ? null : answer;
  }
  const to = reading.trail[0]?.created ?? reading.anchor;
  const whole = yield* wholeWindow(reading, reading.anchor, to);
  return { ...whole, hasMore: true };
}

/**
 * Everything since the anchor if one page holds it, otherwise its oldest page: found by halving the time, since the
 * list's order is newest first. A single second is read as a whole, however much it holds.
 */
function* oldestPage(reading: Reading): Generator<PassStep, ListPage, ListAnswer> {
  const { anchor } = reading;
  const newest = (yield* windowPage(reading, anchor, null, null)) ?? NOTHING;
  if (!newest.hasMore) return newest;
  let { news } = newest;
  let from = anchor;
  let to = oldestOf(newest).created;
  while (from < to) {
    const middle = Math.floor((from + to) / 2);
    const page = (yield* windowPage(reading, from, middle, null)) ?? NOTHING;
    news += page.news;
    if (page.hasMore) to = Math.min(middle, oldestOf(page).created);
    else if (page.listed.length === 0) from = middle + 1;
    else
      return {
        ...page,
        hasMore: true,
        news,
        readAt: earlier(newest.readAt, page.readAt),
        saidAt: newest.saidAt,
      };
  }
  const whole = yield* wholeWindow(reading, from, to);
  if (whole.listed.length === 0) throw noWayOn('oldest');
  return {
    ...whole,
    hasMore: true,
    news: news + whole.news,
    readAt: earlier(newest.readAt, whole.readAt),
    saidAt: newest.saidAt,
  };
}

/** All pages of a window as if they were one. */
function* wholeWindow(reading: Reading, from: number, to: number): Generator<PassStep, ListPage, ListAnswer> {
  let whole = (yield* windowPage(reading, from, to, null)) ?? NOTHING;
  while (whole.hasMore) {
    const next = yield* windowPage(reading, from, to, oldestOf(whole).id);
    // Its rest has aged out meanwhile.
    if (next === null) return { ...whole, hasMore: false };
    whole = {
      listed: [...whole.listed, ...next.listed],
      hasMore: next.hasMore,
      news: whole.news + next.news,
      readAt: earlier(whole.readAt, next.readAt),
      saidAt: next.saidAt,
    };
  }
  return whole;
}

function* windowPage(
  reading: Reading,
  from: number,
  to: number | null,
  below: string | null,
): Generator<PassStep, ListPage | null, ListAnswer> {
  const answer = yield { request: { kind: 'window', from, to, below, limit: PAGE }, reading };
  if (answer === 'lost') return null;
  if (answer.hasMore && answer.listed.length === 0) throw noWayOn('oldest');
  return answer;
}

const NOTHING: ListPage = { listed: [], hasMore: false, readAt: null, saidAt: null, news: 0 };

function oldestOf(page: ListPage): Position {
  const oldest = page.listed.at(-1);
  if (oldest === undefined) throw noWayOn('oldest');
  return oldest;
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.min(a, b);
}

export function noWayOn(which: 'newest' | 'oldest'): StripeFailure {
  return new StripeFailure('malformed', {
    message: `A page of Stripe's events says that there is more, but its ${which} entry has no id; it is asked again.`,
  });
}
