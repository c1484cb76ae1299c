import type { Cursor } from '../src/domain/cursor.js';
import { StripeFailure } from '../src/domain/failures.js';
import type { EventSource } from '../src/postgres/insert-events.js';
import type { ActivityDeps } from './deps.js';
import { type EventPage, listEvents } from './event-pages.js';

/** What one walk over the events list saw, from a position to the newest event or to the page cap. */
export interface Walk {
  /** All events that it listed, newest first. */
  readonly newestFirst: readonly Cursor[];
  readonly inserted: readonly Cursor[];
  readonly malformed: number;
  readonly requests: number;
  /** Stripe's clock when the first page was listed, in seconds: what surfaced later is not accounted for. */
  readonly stripeNow: number | null;
  /** Stripe's clock when the walk was over, in seconds: what it saw had surfaced by then. */
  readonly overAt: number | null;
  readonly apiVersion: string | null;
  /** False where the page cap ended it. */
  readonly complete: boolean;
}

export interface WalkInput {
  readonly account: string;
  readonly source: EventSource;
  readonly signal: AbortSignal;
  readonly onPage?: () => void;
}

/**
 * Walks forward from the cursor: each page holds what comes next to it. The cap counts pages that held something
 * new: a burst that is longer than the cap and not settled yet would hide what comes behind it otherwise.
 */
export async function walkForward(
  deps: ActivityDeps,
  input: WalkInput & { readonly cursor: Cursor; readonly pageCap: number },
): Promise<Walk> {
  const pages: EventPage[] = [];
  let position = input.cursor.id;
  let complete = false;
  let fresh = 0;
  while (!complete && fresh < input.pageCap) {
    const page = await listEvents(deps, {
      ...input,
      query: `limit=100&ending_before=${encodeURIComponent(position)}`,
    });
    pages.unshift(page);
    if (page.inserted.length > 0) fresh += 1;
    input.onPage?.();
    complete = !page.hasMore;
    const newest = page.listed[0];
    if (newest !== undefined) position = newest.id;
    else if (page.hasMore) noWayOn('its newest entry');
  }
  return walkOf(pages, pages.at(-1) ?? null, complete);
}

/**
 * Walks backwards over a window of `created`, both ends included, in seconds of Stripe's clock. It has no
 * page cap, because only a whole window says that nothing in it was missed.
 */
export async function walkWindow(
  deps: ActivityDeps,
  input: WalkInput & { readonly from: number; readonly to: number | null },
): Promise<Walk> {
  const window = `limit=100&created[gte]=${input.from}${input.to === null ? '' : `&created[lte]=${input.to}`}`;
  const pages: EventPage[] = [];
  let position: string | null = null;
  for (;;) {
    const query: string =
      position === null ? window : `${window}&starting_after=${encodeURIComponent(position)}`;
    const page = await listEvents(deps, { ...input, query });
    pages.push(page);
    input.onPage?.();
    if (!page.hasMore) return walkOf(pages, pages[0] ?? null, true);
    position = page.listed.at(-1)?.id ?? noWayOn('its oldest entry');
  }
}

function noWayOn(what: string): never {
  throw new StripeFailure('malformed', {
    message: `A page of Stripe's events says that there is more, but ${what} has no id; it is asked again.`,
  });
}

/** @param pages newest first */
function walkOf(pages: readonly EventPage[], first: EventPage | null, complete: boolean): Walk {
  const dates = pages.flatMap(({ date }) => date ?? []);
  return {
    newestFirst: pages.flatMap((page) => page.listed),
    inserted: pages.flatMap((page) => page.inserted),
    malformed: pages.reduce((sum, page) => sum + page.malformed, 0),
    requests: pages.length,
    stripeNow: first?.readAt ?? null,
    overAt: dates.length === 0 ? null : dates.reduce((latest, date) => Math.max(latest, date)),
    apiVersion: pages[0]?.apiVersion ?? null,
    complete,
  };
}
