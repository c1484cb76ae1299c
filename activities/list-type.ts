import type { LimitFunction } from 'p-limit';
import { StripeFailure } from '../src/domain/failures.js';
import { listingPace } from '../src/domain/listing-pace.js';
import { readInterval } from '../src/domain/read-interval.js';
import { noteRefused } from '../src/postgres/listing-step.js';
import {
  beginSweep,
  dropRead,
  endListing,
  type ListingState,
  type NumberedListing,
  noteBeginning,
  noteReads,
  openListing,
  readListing,
  readListings,
  readsLeft,
} from '../src/postgres/listings.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { countUnseen, readUnseen } from '../src/postgres/unseen-rows.js';
import { tableOf } from '../src/stripe/catalog.js';
import { type Listing, listingOf, maySweep } from '../src/stripe/listings.js';
import { heartbeating } from './activity-context.js';
import type { ActivityDeps } from './deps.js';
import { inBulk } from './in-bulk.js';
import { listRanges } from './list-ranges.js';
import { NotReadable } from './retrieve-object.js';
import { assertSameAccount } from './same-account.js';
import { settleEntity } from './settle-entity.js';
import type { StripeClock } from './stripe-clock.js';
import { walkParents } from './walk-parents.js';

export interface ListTypeInput {
  readonly account: string;
  /** Stripe's name of the type. */
  readonly object: string;
  /** Number of the backfill, as `openBackfill` gave it. */
  readonly number: number;
  readonly apiVersion: string | null;
  /** Seconds of Stripe's clock: only what was created, or belongs to what changed, from then on. Null: all. */
  readonly since: number | null;
  /** How long to list before reporting, in seconds. */
  readonly seconds: number;
  /** Pages or parents that are under way at a time, at most. */
  readonly walkers: number;
}

export interface ListTypeResult {
  readonly done: boolean;
  readonly rows: number;
  /** Why the type was left out, if it was. */
  readonly skipped: string | null;
  /** Objects that PostgreSQL cannot hold. */
  readonly refused: number;
  /** Of what there is, 0 to 1; null where nothing is known yet. */
  readonly share: number | null;
  readonly perSecond: number;
  readonly secondsLeft: number | null;
}

/** What a type that this account or key does not have answers with. */
const LEAVES_OUT = new Set(['permission', 'invalid', 'gone']);
/** Before a listing whose key Stripe refuses asks again. */
const REFUSED_KEY_PAUSE_MS = 30_000;
/** Reads of single objects that are under way at a time. */
const READS_AT_ONCE = 8;
const MOST_READS = 200;
/** Lists leave some objects out for good (inline prices), and reading all of them anew is no listing. */
const MOST_SWEPT = 10_000;

/**
 * Lists a type, for a while: its ranges or its parents, then what a page did not settle, then what the listing did not
 * show. Where it stands is in PostgreSQL, in the transaction of each page; an attempt goes on where the lost one was.
 */
export function listType(given: ActivityDeps, clock: StripeClock, writing: LimitFunction) {
  const deps = inBulk(given);
  const settle = settleEntity(deps, clock);

  return (input: ListTypeInput): Promise<ListTypeResult> =>
    heartbeating(async ({ signal, sleep }) => {
      const { account, object, number } = input;
      const listing: NumberedListing = { account, object, number };
      const how = listingOf(object);
      const end = Date.now() + input.seconds * 1000;
      const isOver = () => signal.aborted || deps.stopping.aborted || Date.now() >= end;
      const state = await openListing(deps.pool, listing, {
        since: input.since,
        passes: how.how === 'list' ? how.passes.length : 0,
        filtered: how.how === 'list' && how.createdFilter,
      });
      if (state.outcome !== null) return result();
      let requests = 0;
      let pages = 0;
      try {
        const isListed = state.sweeping || (await list(how, state));
        if (!isListed || !(await readWhatIsLeft()) || !(await sweep())) return result();
        await endListing(deps.pool, listing, 'done', null);
      } catch (error) {
        if (!(error instanceof StripeFailure)) throw error;
        if (error.kind === 'authentication') {
          // Somebody has to change the key, and nobody knows when. It is no failure of this type.
          deps.log.warn({ account, object, requestId: error.requestId }, error.message);
          await sleep(REFUSED_KEY_PAUSE_MS, deps.stopping);
          return result();
        }
        // A slice that came further ends well, so that only attempts without any progress are counted.
        if (!LEAVES_OUT.has(error.kind) && pages > 0 && error.kind !== 'cancelled') return result();
        if (!LEAVES_OUT.has(error.kind)) throw error;
        deps.log.info({ account, object, requestId: error.requestId }, `not listed: ${error.message}`);
        await endListing(deps.pool, listing, 'skipped', error.message);
      } finally {
        await recordReads(deps.pool, account, requests);
      }
      return result();

      async function list(listed: Listing, from: ListingState): Promise<boolean> {
        if (listed.how === 'singleton') return readSingleton();
        if (listed.how === 'list') {
          const walk = {
            listing,
            state: from,
            list: listed,
            apiVersion: input.apiVersion,
            walkers: input.walkers,
            isOver,
            signal,
            writing,
            onRequest: () => {
              requests += 1;
            },
            onPage: () => {
              pages += 1;
            },
          };
          if (!(await listRanges(deps, walk))) return false;
        }
        return listed.how === 'list' || listed.how === 'parents' ? walkAll(listed.walks.length) : true;
      }

      async function walkAll(walks: number): Promise<boolean> {
        if (walks === 0) return true;
        const seconds = Math.max(0, (end - Date.now()) / 1000);
        const walked = await walkParents(notingTheFirstRead())({
          ...input,
          seconds,
          concurrency: input.walkers,
        });
        pages += walked.requests;
        if (walked.skipped !== null) throw new StripeFailure('permission', { message: walked.skipped });
        return walked.done;
      }

      /** Until a listing has begun, before its first answer is looked at. */
      function notingTheFirstRead(): ActivityDeps {
        let isNoted = state.beganAt !== null;
        return {
          ...deps,
          stripe(alias) {
            const client = deps.stripe(alias);
            return {
              ...client,
              async get(path, options) {
                const response = await client.get(path, options);
                const version = isNoted ? null : readInterval(response);
                if (version !== null) {
                  await noteBeginning(deps.pool, listing, version.asOf);
                  isNoted = true;
                }
                return response;
              },
            };
          },
        };
      }

      async function readSingleton(): Promise<boolean> {
        await noteReads(deps.pool, listing, [{ id: object, after: 0 }]);
        return true;
      }

      /** Objects that a page showed and did not settle. */
      async function readWhatIsLeft(): Promise<boolean> {
        for (;;) {
          const reads = await readsLeft(deps.pool, listing, MOST_READS);
          if (reads.length === 0) return true;
          if (isOver()) return false;
          await atOnce(reads, async ({ id, after }) => {
            if (isOver()) return;
            const trouble = await readOne(id, after);
            if (trouble !== null) {
              if (how.how === 'singleton') throw trouble;
              deps.log.warn(
                { account, object, objectId: id, reason: trouble.message },
                'not settled by a read',
              );
              await noteRefused(deps.pool, listing, number, 1);
            }
            await dropRead(deps.pool, listing, id);
            pages += 1;
          });
        }
      }

      /** Rows that a complete listing did not show: gone, or left out by the list. */
      async function sweep(): Promise<boolean> {
        const begun = await readListing(deps.pool, listing);
        if (input.since !== null || begun?.beganAt == null || !maySweep(object)) return true;
        const table = tableOf(object);
        const since = begun.beganAt;
        const unseen = await countUnseen(deps.pool, { account, table, since });
        if (unseen === 0) return true;
        await assertSameAccount(deps, account, signal);
        const isTooMany = unseen > MOST_SWEPT;
        await beginSweep(deps.pool, listing, { swept: 0, unswept: isTooMany ? unseen : 0 });
        if (isTooMany) {
          deps.log.warn(
            { account, object, unseen },
            `the listing left out more than ${MOST_SWEPT} objects; none of them was looked for`,
          );
          return true;
        }
        let unread = 0;
        for (let after = ''; ; ) {
          const ids = await readUnseen(deps.pool, { account, table, since, after, most: MOST_READS });
          if (ids.length === 0) return true;
          if (isOver()) return false;
          let swept = 0;
          await atOnce(ids, async (id) => {
            if (isOver()) return;
            if ((await readOne(id, 0)) === null) swept += 1;
            else unread += 1;
          });
          pages += swept;
          await beginSweep(deps.pool, listing, { swept, unswept: unread });
          if (isOver()) return false;
          after = ids.at(-1) ?? after;
        }
      }

      /** Reads an object and stores what it finds. What no repetition mends is returned, all else thrown. */
      async function readOne(objectId: string, after: number): Promise<Error | null> {
        const { apiVersion } = input;
        try {
          await settle({ account, object, objectId, ids: [], after, apiVersion });
          return null;
        } catch (error) {
          const isFinal =
            error instanceof NotReadable || (error instanceof StripeFailure && LEAVES_OUT.has(error.kind));
          if (!isFinal) throw error;
          return error;
        }
      }

      async function result(): Promise<ListTypeResult> {
        const [now] = await readListings(deps.pool, account, number, object);
        if (now === undefined) throw new Error(`the listing of ${object} vanished`);
        const { rows, refused, share, state: reached, reason, startedAt, endedAt, at } = now;
        return {
          done: reached !== 'listing' && reached !== 'sweeping',
          rows,
          skipped: reached === 'skipped' ? reason : null,
          refused,
          share,
          ...listingPace(rows, share, ((endedAt ?? at) - startedAt) / 1000),
        };
      }
    });
}

/** Some at a time; the first that fails ends it once those under way are done. */
async function atOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  let failure: { readonly error: unknown } | null = null;
  const worker = async () => {
    for (let item = left.shift(); item !== undefined && failure === null; item = left.shift()) {
      try {
        await work(item);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, worker));
  const failed = failure as { readonly error: unknown } | null;
  if (failed !== null) throw failed.error;
}
