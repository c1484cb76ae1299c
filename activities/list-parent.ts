import { StripeFailure } from '../src/domain/failures.js';
import { afterLostCursor, afterPage, LISTING_START } from '../src/domain/listing.js';
import { readInterval } from '../src/domain/read-interval.js';
import { type NumberedListing, noteReads } from '../src/postgres/listings.js';
import type { WalkedSoFar } from '../src/postgres/parent-walks.js';
import { entityKeyOf, type PageResult, type RefusedObject, upsertPage } from '../src/postgres/upsert-page.js';
import { entityKeyFields, tableOf } from '../src/stripe/catalog.js';
import type { StripeResponse } from '../src/stripe/client.js';
import { cutOnPage } from '../src/stripe/embedded-lists.js';
import { itemTexts } from '../src/stripe/json-text.js';
import type { ParentWalk } from '../src/stripe/listings.js';
import { storableJson } from '../src/stripe/storable-json.js';
import { type WalkedParent, walkRequest } from '../src/stripe/walk-request.js';
import type { RunningActivity } from './activity-context.js';
import { askAgain } from './ask-again.js';
import type { ActivityDeps } from './deps.js';
import { mayRevive, traitsOf } from './entity-traits.js';
import { readList } from './event-pages.js';

export interface ListedParent extends WalkedSoFar {
  readonly ambiguous: readonly { readonly objectId: string; readonly after: number }[];
  readonly refusedObjects: readonly RefusedObject[];
  /** Whether Stripe says that there is no such parent, or not the one object that it may have. */
  readonly isGone: boolean;
}

export interface ParentListing {
  readonly listing: NumberedListing;
  readonly walk: ParentWalk;
  readonly apiVersion: string | null;
  readonly activity: Pick<RunningActivity, 'signal' | 'sleep'>;
  readonly onRequest: () => void;
}

/** How often a page that fails is asked for again, before the walk gives up. */
const TIMES = 4;
/** How often what only its list shows is listed again, and the seconds after which a read lies past this one. */
const MOST_TIMES = 4;
const SECONDS_PAST = 3;

/**
 * Lists what one parent has, to its end, and upserts it page by page. Objects that a page does not settle are noted
 * for a read; those that have no path of their own are settled by listing the parent once more.
 *
 * @returns null where the worker is stopping: the parent is to be listed again
 * @throws StripeFailure; a parent that is gone meanwhile has nothing, which is no failure
 */
export async function listParent(
  deps: ActivityDeps,
  parent: WalkedParent,
  input: ParentListing,
): Promise<ListedParent | null> {
  const isReadable = traitsOf(input.listing.object).retrievable;
  for (let time = 1; ; time += 1) {
    const listed = await listOnce(deps, parent, input);
    if (listed === null || listed.ambiguous.length === 0) return listed;
    if (isReadable || time === MOST_TIMES) {
      await noteReads(
        deps.pool,
        input.listing,
        listed.ambiguous.map(({ objectId, after }) => ({ id: objectId, after })),
      );
      return listed;
    }
    await input.activity.sleep((SECONDS_PAST + 0.5) * 1000, deps.stopping);
  }
}

async function listOnce(
  deps: ActivityDeps,
  parent: WalkedParent,
  input: ParentListing,
): Promise<ListedParent | null> {
  const ambiguous: ListedParent['ambiguous'][number][] = [];
  const refusedObjects: RefusedObject[] = [];
  let requests = 0;
  let position = LISTING_START;
  let isGone = false;
  while (position.pass === 0) {
    if (deps.stopping.aborted) return null;
    const path = walkRequest(input.walk, parent, position.startingAfter);
    if (path === null) break;
    requests += 1;
    let response: StripeResponse;
    try {
      response = await request(deps, path, input);
    } catch (error) {
      if (!(error instanceof StripeFailure)) throw error;
      if (error.kind === 'gone') {
        isGone = true;
        break;
      }
      if (error.kind !== 'cursor-lost' || position.startingAfter === null) throw error;
      position = afterLostCursor(position);
      continue;
    }
    const page = await store(deps, response, input);
    ambiguous.push(...page.ambiguous);
    refusedObjects.push(...page.refused);
    position = afterPage(position, page.ids, page.listed, page.hasMore);
  }
  const { rows } = position;
  return { parents: 1, rows, requests, refused: refusedObjects.length, ambiguous, refusedObjects, isGone };
}

function request(deps: ActivityDeps, path: string, input: ParentListing): Promise<StripeResponse> {
  const { activity, apiVersion, listing } = input;
  const ask = () => {
    input.onRequest();
    return deps.stripe(listing.account).get(path, {
      signal: activity.signal,
      ...(apiVersion === null ? {} : { apiVersion }),
    });
  };
  return askAgain(ask, {
    times: TIMES,
    async wait(ms) {
      await activity.sleep(ms, deps.stopping);
      return !deps.stopping.aborted;
    },
  });
}

async function store(
  deps: ActivityDeps,
  response: StripeResponse,
  { listing, walk }: ParentListing,
): Promise<Pick<PageResult, 'listed' | 'ambiguous' | 'refused'> & { ids: string[]; hasMore: boolean }> {
  const { account, object, number } = listing;
  const { entries, hasMore } = walk.single
    ? { entries: [response.body], hasMore: false }
    : readList(response);
  const version = readInterval(response);
  const ids = entries.flatMap((entry) => {
    const id = fieldOf(entry, 'id');
    return typeof id === 'string' ? [id] : [];
  });
  if (version === null || (hasMore && ids.length === 0)) {
    throw new StripeFailure('malformed', {
      message: `A page of ${object} has no Date or no way on (request ${response.requestId ?? 'without id'}); it is asked again.`,
    });
  }
  // A customer's sources are cards, bank accounts and sources on one list, and each kind has a table of its own.
  const own = entries.filter((entry) => fieldOf(entry, 'object') === object);
  const text =
    own.length === entries.length && !walk.single
      ? response.text
      : `{"data":[${ownTexts(response, entries, object, walk.single).join(',')}]}`;
  const keyFields = entityKeyFields(object);
  const page = await upsertPage(deps.pool, {
    account,
    object,
    table: tableOf(object),
    page: storableJson(text),
    source: `backfill:${number}`,
    keyFields,
    leaveOut: cutOnPage(text, hasMore && text === response.text).flatMap(
      (at) => entityKeyOf(own[at], keyFields) ?? [],
    ),
    recreatable: mayRevive(object),
    ...version,
  });
  for (const { objectId, reason } of page.refused) {
    deps.log.warn(
      { account, object, objectId, reason, requestId: response.requestId },
      'PostgreSQL cannot hold this object; the listing goes on without it',
    );
  }
  return { ...page, ids, hasMore };
}

function ownTexts(
  response: StripeResponse,
  entries: readonly unknown[],
  object: string,
  isSingle: boolean,
): string[] {
  const texts = isSingle ? [response.text] : itemTexts(response.text, 'data');
  return texts.filter((_, index) => fieldOf(entries[index], 'object') === object);
}

function fieldOf(entry: unknown, field: string): unknown {
  return ((entry ?? {}) as Record<string, unknown>)[field];
}
