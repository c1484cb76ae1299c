import { StripeFailure } from '../src/domain/failures.js';
import { afterLostCursor, afterPage, LISTING_START, type ListingPosition } from '../src/domain/listing.js';
import { readInterval } from '../src/domain/read-interval.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { entityKeyOf, type PageResult, type RefusedObject, upsertPage } from '../src/postgres/upsert-page.js';
import { entityKeyFields, tableOf } from '../src/stripe/catalog.js';
import type { StripeResponse } from '../src/stripe/client.js';
import { cutOnPage } from '../src/stripe/embedded-lists.js';
import { storableJson } from '../src/stripe/storable-json.js';
import { listingOf } from '../src/stripe/stored-objects.js';
import { heartbeating } from './activity-context.js';
import type { ActivityDeps } from './deps.js';
import { mayRevive } from './entity-traits.js';
import { readList } from './event-pages.js';

export interface BackfillTypeInput {
  readonly account: string;
  readonly object: string;
  /** Number of the backfill; it names what wrote a row. */
  readonly number: number;
  readonly apiVersion: string | null;
  readonly from: ListingPosition | null;
  /** How long to list before reporting, in seconds. */
  readonly seconds: number;
}

export interface BackfillTypeResult {
  /** Where to go on, or null where the listing is complete. */
  readonly position: ListingPosition | null;
  readonly rows: number;
  /** Why the type was left out, if it was. */
  readonly skipped: string | null;
  /**
   * Objects whose rows the clock cannot order against the listing, and those that the listing shows with a cut
   * list, which are not stored: each with the second to read past.
   */
  readonly ambiguous: readonly { readonly objectId: string; readonly after: number }[];
  /** Objects that PostgreSQL cannot hold, in this slice: how many, and the first of them. */
  readonly refused: { readonly count: number; readonly first: readonly RefusedObject[] };
}

/** What an attempt leaves to the next one. */
interface Remembered {
  readonly position: ListingPosition;
  readonly ambiguous: BackfillTypeResult['ambiguous'];
  readonly refused?: BackfillTypeResult['refused'];
}

/** Keeps a result small: a slice ends with the page that brings it here, which holds 100 at most. */
const MOST_AMBIGUOUS = 200;
const MOST_REFUSED_NAMED = 10;
/** What a type that this account or key does not have answers with. */
const LEAVES_OUT = new Set(['permission', 'invalid', 'gone']);

/**
 * Lists a type page by page and upserts each page in one statement, for a while. Its position is in the
 * heartbeat, so an attempt goes on where the lost one was.
 */
export function backfillType(deps: ActivityDeps) {
  return (input: BackfillTypeInput): Promise<BackfillTypeResult> =>
    heartbeating(async (activity) => {
      const { account, object } = input;
      const { path, passes } = listingOf(object);
      const end = Date.now() + input.seconds * 1000;
      const left = activity.remembered as Remembered | undefined;
      let position = left?.position ?? input.from ?? LISTING_START;
      const ambiguous = [...(left?.ambiguous ?? [])];
      let refused = left?.refused ?? { count: 0, first: [] };
      let requests = 0;
      try {
        for (;;) {
          const query = passes[position.pass];
          if (query === undefined) return result(null, null);
          requests += 1;
          const page = await listPage(deps, input, { path, query }, position, activity.signal);
          position = page.position;
          ambiguous.push(...page.ambiguous);
          refused = {
            count: refused.count + page.refused.length,
            first: [...refused.first, ...page.refused].slice(0, MOST_REFUSED_NAMED),
          };
          activity.remember({ position, ambiguous, refused } satisfies Remembered);
          if (deps.stopping.aborted || Date.now() >= end || ambiguous.length >= MOST_AMBIGUOUS) {
            const done = position.pass >= passes.length;
            return result(done ? null : position, null);
          }
        }
      } catch (error) {
        if (!(error instanceof StripeFailure) || !LEAVES_OUT.has(error.kind)) throw error;
        deps.log.info({ account, object, requestId: error.requestId }, `not listed: ${error.message}`);
        return result(null, error.message);
      } finally {
        await recordReads(deps.pool, account, requests);
      }

      function result(next: ListingPosition | null, skipped: string | null): BackfillTypeResult {
        return { position: next, rows: position.rows, skipped, ambiguous, refused };
      }
    });
}

async function listPage(
  deps: ActivityDeps,
  input: BackfillTypeInput,
  list: { readonly path: string; readonly query: Readonly<Record<string, string>> },
  position: ListingPosition,
  signal: AbortSignal,
): Promise<Pick<PageResult, 'ambiguous' | 'refused'> & { position: ListingPosition }> {
  const { account, object, apiVersion } = input;
  const search = new URLSearchParams({ limit: '100', ...list.query });
  if (position.startingAfter !== null) search.set('starting_after', position.startingAfter);
  let response: StripeResponse;
  try {
    response = await deps
      .stripe(account)
      .get(`${list.path}?${search}`, { signal, ...(apiVersion === null ? {} : { apiVersion }) });
  } catch (error) {
    if (!(error instanceof StripeFailure) || error.kind !== 'cursor-lost' || position.startingAfter === null)
      throw error;
    return { position: afterLostCursor(position), ambiguous: [], refused: [] };
  }
  const { entries, hasMore } = readList(response);
  const version = readInterval(response);
  const ids = entries.flatMap((entry) => {
    const { id } = (entry ?? {}) as { id?: unknown };
    return typeof id === 'string' ? [id] : [];
  });
  if (version === null || (hasMore && ids.length === 0)) {
    throw new StripeFailure('malformed', {
      message: `A page of ${object} has no Date or no way on (request ${response.requestId ?? 'without id'}); it is asked again.`,
    });
  }
  const keyFields = entityKeyFields(object);
  const page = await upsertPage(deps.pool, {
    account,
    object,
    table: tableOf(object),
    page: storableJson(response.text),
    source: `backfill:${input.number}`,
    keyFields,
    leaveOut: cutOnPage(response.text, hasMore).flatMap((at) => entityKeyOf(entries[at], keyFields) ?? []),
    recreatable: mayRevive(object),
    ...version,
  });
  for (const { objectId, reason } of page.refused) {
    deps.log.warn(
      { account, object, objectId, reason, requestId: response.requestId },
      'PostgreSQL cannot hold this object; the listing goes on without it',
    );
  }
  const { ambiguous, refused } = page;
  return { position: afterPage(position, ids, page.listed, hasMore), ambiguous, refused };
}
