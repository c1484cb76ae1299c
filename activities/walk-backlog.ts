import { setTimeout as sleep } from 'node:timers/promises';
import type { Backlog } from '../src/domain/backlog.js';
import type { Position } from '../src/domain/cursor.js';
import { StripeFailure } from '../src/domain/failures.js';
import {
  afterLostRangeCursor,
  afterRangePage,
  type Range,
  rangeOf,
  splitLargest,
} from '../src/domain/ranges.js';
import { PAGE } from '../src/domain/trail.js';
import { askBelow } from './ask-again.js';
import type { ActivityDeps } from './deps.js';
import { askForEvents, readList } from './event-pages.js';
import { walkRanges } from './walk-ranges.js';
import type { ListedPage } from './write-events.js';

export interface BacklogWalk {
  readonly account: string;
  readonly backlog: Backlog;
  /** Pages that are under way at a time, at most. */
  readonly walkers: number;
  readonly signal: AbortSignal;
  readonly isOver: () => boolean;
  /** Resolves once the page is committed. */
  readonly write: (page: ListedPage) => Promise<void>;
  readonly onRequest: () => void;
  readonly onPage: (page: { readonly readAt: number | null; readonly malformed: number }) => void;
  /** What is left, after each page that was committed. */
  readonly onProgress: (backlog: Backlog) => void;
}

/** How often a page that fails is asked for again, before the walk gives up. */
const TIMES = 3;

/**
 * Walks a backlog of events in several places at once, until nothing is left of it or the time is over.
 *
 * @throws StripeFailure, once the pages that were under way are written
 */
export async function walkBacklog(deps: ActivityDeps, walk: BacklogWalk): Promise<void> {
  const left = new Map(walk.backlog.ranges.map((range) => [range.range, range]));
  let { newest, listed } = walk.backlog;
  let nextNumber = Math.max(-1, ...left.keys()) + 1;

  await walkRanges({ left, walkers: walk.walkers, isOver: walk.isOver, divide, listPage });

  /** The older half of the largest range. */
  function divide(): number | null {
    const split = splitLargest(left.values());
    const whole = split === null ? undefined : left.get(split.range);
    if (split === null || whole === undefined) return null;
    const older = rangeOf(nextNumber, whole.from ?? walk.backlog.from, split.at);
    nextNumber += 1;
    // A page that is under way may still reach into the older half, which is harmless.
    left.set(whole.range, { ...whole, from: split.at });
    left.set(older.range, older);
    return older.range;
  }

  async function listPage(id: number, isEnding: () => boolean): Promise<void> {
    const range = left.get(id);
    if (range === undefined) return;
    const page = await request(range, isEnding);
    if (page === 'lost cursor') {
      advance(id, afterLostRangeCursor(range), 0);
      return;
    }
    const { answer, listed: events, hasMore, seenAt } = page;
    walk.onPage(page);
    await walk.write({
      text: answer.response.text,
      entries: readList(answer.response).entries,
      requestId: answer.response.requestId,
      seenAt,
    });
    if (range.to === walk.backlog.to && range.newest === null) newest ??= newestOf(events);
    const shown = { ids: events.map((event) => event.id), created: events.map((e) => e.created), hasMore };
    advance(id, afterRangePage(left.get(id) ?? range, shown), events.length);
  }

  function advance(id: number, { ends, ...step }: ReturnType<typeof afterRangePage>, rows: number): void {
    listed += rows;
    const now = left.get(id);
    if (ends) left.delete(id);
    else if (now !== undefined)
      left.set(id, { ...now, ...step, pages: now.pages + 1, rows: now.rows + rows });
    walk.onProgress({ ...walk.backlog, ranges: [...left.values()], newest, listed });
  }

  function request(range: Range, isEnding: () => boolean) {
    const { account, signal } = walk;
    const { from, to, startingAfter: below } = range;
    const window = { kind: 'window', from, to: to === null ? null : to - 1, below, limit: PAGE } as const;
    const ask = async () => {
      walk.onRequest();
      const page = await askForEvents(deps, { account, request: window, signal });
      if (!page.hasMore || page.listed.length > 0) return page;
      throw new StripeFailure('malformed', {
        message: 'A page of events says that there is more and shows no way on; it is asked again.',
      });
    };
    return askBelow(below, ask, {
      times: TIMES,
      wait: async (ms) => !isEnding() && sleep(ms, true, { signal }),
    });
  }
}

/** The first of a page, as Stripe lists the newest first. */
function newestOf([first]: readonly Position[]): Position | null {
  return first === undefined ? null : { id: first.id, created: first.created };
}
