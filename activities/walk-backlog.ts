import { setTimeout as sleep } from 'node:timers/promises';
import type { Backlog } from '../src/domain/backlog.js';
import { rangeOf } from '../src/domain/backlog.js';
import type { Position } from '../src/domain/cursor.js';
import { StripeFailure } from '../src/domain/failures.js';
import { afterLostRangeCursor, afterRangePage, type Range, splitLargest } from '../src/domain/ranges.js';
import { PAGE } from '../src/domain/trail.js';
import type { ActivityDeps } from './deps.js';
import { askForEvents, readList } from './event-pages.js';
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

/** A page that fails is asked again after so many milliseconds, before the walk gives up. */
const AGAIN_AFTER_MS = [500, 1_000, 2_000];
const WORTH_ANOTHER = new Set(['transient', 'malformed', 'rate-limited']);

/**
 * Walks a backlog of events in several places at once, until nothing is left of it or the time is over. Whoever has
 * nothing left to walk takes the older half of the largest range.
 *
 * @throws StripeFailure, once the pages that were under way are written
 */
export async function walkBacklog(deps: ActivityDeps, walk: BacklogWalk): Promise<void> {
  const left = new Map(walk.backlog.ranges.map((range) => [range.range, range]));
  const busy = new Set<number>();
  const waiting = new Set<() => void>();
  let { newest, listed } = walk.backlog;
  let nextNumber = Math.max(-1, ...left.keys()) + 1;
  let failure: unknown;

  await Promise.all(Array.from({ length: walk.walkers }, walker));
  if (failure !== undefined) throw failure;

  function tellOthers(): void {
    for (const wake of waiting) wake();
    waiting.clear();
  }

  function isEnding(): boolean {
    return failure !== undefined || walk.isOver();
  }

  async function walker(): Promise<void> {
    try {
      for (let range = await next(); range !== null; range = await next()) {
        while (!isEnding() && left.has(range)) await listPage(range);
        busy.delete(range);
        tellOthers();
      }
    } catch (error) {
      failure ??= error;
    } finally {
      tellOthers();
    }
  }

  async function next(): Promise<number | null> {
    while (!isEnding()) {
      const found = take();
      if (found !== null) {
        busy.add(found);
        return found;
      }
      if (busy.size === 0) return null;
      await new Promise<void>((resolve) => waiting.add(resolve));
    }
    return null;
  }

  /** A range that nobody walks, or the older half of the largest. Null where there is none. */
  function take(): number | null {
    const idle = [...left.keys()].find((range) => !busy.has(range));
    if (idle !== undefined) return idle;
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

  async function listPage(id: number): Promise<void> {
    const range = left.get(id);
    if (range === undefined) return;
    const page = await request(range);
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
    tellOthers();
  }

  async function request(range: Range): Promise<Awaited<ReturnType<typeof askForEvents>> | 'lost cursor'> {
    const { account, signal } = walk;
    const { from, to, startingAfter: below } = range;
    const window = { kind: 'window', from, to: to === null ? null : to - 1, below, limit: PAGE } as const;
    for (let attempt = 0; ; attempt += 1) {
      try {
        walk.onRequest();
        const page = await askForEvents(deps, { account, request: window, signal });
        if (!page.hasMore || page.listed.length > 0) return page;
        throw new StripeFailure('malformed', {
          message: 'A page of events says that there is more and shows no way on; it is asked again.',
        });
      } catch (error) {
        if (!(error instanceof StripeFailure)) throw error;
        if (error.kind === 'cursor-lost' && below !== null) return 'lost cursor';
        const pause = AGAIN_AFTER_MS[attempt];
        if (pause === undefined || !WORTH_ANOTHER.has(error.kind) || isEnding()) throw error;
        await sleep(Math.max(pause, error.retryAfterMs ?? 0), undefined, { signal });
      }
    }
  }
}

/** The first of a page, as Stripe lists the newest first. */
function newestOf([first]: readonly Position[]): Position | null {
  return first === undefined ? null : { id: first.id, created: first.created };
}
