import { setTimeout as sleep } from 'node:timers/promises';
import type { LimitFunction } from 'p-limit';
import { StripeFailure } from '../src/domain/failures.js';
import {
  afterLostRangeCursor,
  afterRangePage,
  type ListedPage,
  type Range,
  rangeQuery,
  splitLargest,
} from '../src/domain/ranges.js';
import { readInterval } from '../src/domain/read-interval.js';
import { takeStep } from '../src/postgres/listing-step.js';
import {
  type ListingState,
  type NumberedListing,
  noteBeginning,
  readRanges,
  splitRange,
} from '../src/postgres/listings.js';
import type { ListedType } from '../src/postgres/upsert-page.js';
import { entityKeyFields, tableOf } from '../src/stripe/catalog.js';
import type { StripeResponse } from '../src/stripe/client.js';
import type { Listing } from '../src/stripe/listings.js';
import { askBelow } from './ask-again.js';
import type { ActivityDeps } from './deps.js';
import { mayRevive } from './entity-traits.js';
import { readList } from './event-pages.js';
import { walkRanges } from './walk-ranges.js';
import { createPageWriter } from './write-pages.js';

export interface RangeWalk {
  readonly listing: NumberedListing;
  readonly state: ListingState;
  readonly list: Extract<Listing, { how: 'list' }>;
  readonly apiVersion: string | null;
  /** Pages that are asked for at a time, at most. */
  readonly walkers: number;
  readonly isOver: () => boolean;
  readonly signal: AbortSignal;
  /** Bounds what writes to PostgreSQL at a time, over all types. */
  readonly writing: LimitFunction;
  readonly onRequest: () => void;
  readonly onPage: () => void;
}

/** How often a page that fails is asked for again, before its walk gives up. */
const TIMES = 4;

/**
 * Walks a type's ranges, several at a time, until nothing is left of them or the time is over. Each page and the
 * position after it are one transaction, so whoever goes on lists nothing twice but what was under way.
 *
 * @returns whether everything is listed
 * @throws StripeFailure, after the pages that were under way are written
 */
export async function listRanges(deps: ActivityDeps, walk: RangeWalk): Promise<boolean> {
  const { listing } = walk;
  const left = new Map<number, Range>();
  const writer = createPageWriter(deps, typeOf(listing), walk.writing);
  let began = walk.state.beganAt !== null;

  await reload();
  await walkRanges({ left, walkers: walk.walkers, isOver: walk.isOver, divide, listPage });
  return left.size === 0;

  async function reload(): Promise<void> {
    const ranges = await readRanges(deps.pool, listing);
    left.clear();
    for (const range of ranges) left.set(range.range, range);
  }

  /** The older half of the largest range. */
  async function divide(): Promise<number | null> {
    const split = walk.list.createdFilter ? splitLargest(left.values()) : null;
    const whole = split === null ? undefined : left.get(split.range);
    if (split === null || whole === undefined) return null;
    const older = await splitRange(deps.pool, listing, split, whole.from);
    if (older === null) {
      await reload();
      return null;
    }
    // Only now: a page that ends the newer half must not do so before the older one is there. Until its walker learns of
    // it, a page may reach into the older half, which is harmless.
    const newer = left.get(whole.range);
    if (newer !== undefined) left.set(newer.range, { ...newer, from: split.at });
    left.set(older.range, older);
    return older.range;
  }

  async function listPage(id: number, isEnding: () => boolean): Promise<void> {
    const range = left.get(id);
    if (range === undefined) return;
    const { pages } = range;
    const response = await request(range, isEnding);
    if (response === 'lost cursor') {
      const lost = { number: listing.number, range: id, pages, next: afterLostRangeCursor(range) };
      await advance(id, await takeStep(deps.pool, listing, lost, 0), lost.next, 0);
      return;
    }
    const page = await understood(response);
    if (!began) {
      await noteBeginning(deps.pool, listing, page.version.asOf);
      began = true;
    }
    const step = afterRangePage(left.get(id) ?? range, page);
    const result = await writer.write({
      ...page,
      step: { number: listing.number, range: id, pages, next: step },
    });
    await advance(id, result.taken, step, result.listed);
    walk.onPage();
  }

  async function advance(
    id: number,
    taken: boolean,
    { ends, ...step }: ReturnType<typeof afterRangePage>,
    rows: number,
  ): Promise<void> {
    if (!taken) {
      // Another attempt is on its way as well; what it left is what there is.
      await reload();
    } else if (ends) {
      left.delete(id);
    } else {
      const now = left.get(id);
      if (now !== undefined) left.set(id, { ...now, ...step, pages: now.pages + 1, rows: now.rows + rows });
    }
  }

  function request(range: Range, isEnding: () => boolean): Promise<StripeResponse | 'lost cursor'> {
    const { path, passes, paged } = walk.list;
    const query = rangeQuery(range, passes[range.pass] ?? {});
    const search = new URLSearchParams({ ...(paged ? { limit: '100' } : {}), ...query }).toString();
    const { signal, apiVersion } = walk;
    const ask = () => {
      walk.onRequest();
      return deps.stripe(listing.account).get(search === '' ? path : `${path}?${search}`, {
        signal,
        ...(apiVersion === null ? {} : { apiVersion }),
      });
    };
    return askBelow(range.startingAfter, ask, {
      times: TIMES,
      wait: async (ms) => !isEnding() && sleep(ms, true, { signal }),
    });
  }

  async function understood(response: StripeResponse) {
    const { entries, hasMore } = readList(response);
    const version = readInterval(response);
    const ids = entries.flatMap((entry) => {
      const { id } = (entry ?? {}) as { id?: unknown };
      return typeof id === 'string' ? [id] : [];
    });
    if (version === null || (hasMore && ids.length === 0)) {
      throw new StripeFailure('malformed', {
        message: `A page of ${listing.object} has no Date or no way on (request ${response.requestId ?? 'without id'}); it is asked again.`,
      });
    }
    const page: ListedPage = { ids, created: secondsOf(entries), hasMore };
    return { ...page, version, entries, response };
  }
}

function typeOf({ account, object, number }: NumberedListing): ListedType {
  return {
    account,
    object,
    table: tableOf(object),
    source: `backfill:${number}`,
    keyFields: entityKeyFields(object),
    recreatable: mayRevive(object),
  };
}

/** `created` of each entry, or null where one has none. */
function secondsOf(entries: readonly unknown[]): number[] | null {
  const seconds = entries.map((entry) => ((entry ?? {}) as { created?: unknown }).created);
  return seconds.every((second) => typeof second === 'number') ? seconds : null;
}
