import { StripeFailure } from '../src/domain/failures.js';
import { type NumberedListing, openListing } from '../src/postgres/listings.js';
import {
  countParents,
  moveWalk,
  type ParentRows,
  readWalkState,
  type WalkedSoFar,
  type WalkPosition,
  type WalkState,
  type WalkStep,
} from '../src/postgres/parent-walks.js';
import { recordReads } from '../src/postgres/record-reads.js';
import type { RefusedObject } from '../src/postgres/upsert-page.js';
import { tableOf } from '../src/stripe/catalog.js';
import { listingOf, type ParentWalk } from '../src/stripe/listings.js';
import { heartbeating } from './activity-context.js';
import type { ActivityDeps } from './deps.js';
import { inBulk } from './in-bulk.js';
import { WalkRefused, walkRound } from './walk-round.js';

export interface WalkParentsInput {
  readonly account: string;
  readonly object: string;
  /** Number of the backfill; it names what wrote a row. */
  readonly number: number;
  readonly apiVersion: string | null;
  /** Stripe's clock in seconds: only parents whose state changed since. Null: all. */
  readonly since: number | null;
  /** How long to walk before reporting, in seconds. */
  readonly seconds: number;
  /** Parents that are listed at a time; 8 unless told. */
  readonly concurrency?: number;
}

export interface WalkParentsResult {
  readonly done: boolean;
  /** Objects that were listed, and requests that were made, by this call. */
  readonly rows: number;
  readonly requests: number;
  /** Over all calls. */
  readonly parents: { readonly done: number; readonly total: number };
  /** What this account or key does not have, and so was left out: null until the walk is done, and where nothing was. */
  readonly skipped: string | null;
  /** Objects that a page does not settle, each with the second to read past. They are in `listing_reads` as well. */
  readonly ambiguous: readonly { readonly objectId: string; readonly after: number }[];
  /** Objects that PostgreSQL cannot hold: how many, and the first of them. */
  readonly refused: { readonly count: number; readonly first: readonly RefusedObject[] };
}

/** What an attempt leaves to the next one: parents beyond the position in PostgreSQL that are done all the same. */
interface Remembered {
  readonly beyond?: { readonly walk: number; readonly done: readonly (readonly [string, WalkedSoFar])[] };
}

const PARENTS_AT_ONCE = 8;
const MOST_REFUSED_NAMED = 10;
const NOTHING: WalkedSoFar = { parents: 0, rows: 0, requests: 0, refused: 0 };

/**
 * Lists, for every living row of the parents' table, what belongs to that parent, several parents at a time. The
 * position is in `stripe_sync.listings` and moves with what it counts; a killed attempt lists at most the parents
 * twice that were under way.
 *
 * Parents that come into their table while the walk goes on may come behind its position. So there is a second round
 * for each walk, over those alone.
 */
export function walkParents(given: ActivityDeps) {
  const deps = inBulk(given);
  return (input: WalkParentsInput): Promise<WalkParentsResult> =>
    heartbeating(async (activity) => {
      const { account, object, number, since, apiVersion } = input;
      const { concurrency = PARENTS_AT_ONCE } = input;
      const listing: NumberedListing = { account, object, number };
      const walks = walksOf(object);
      const end = Date.now() + input.seconds * 1000;
      const ambiguous: WalkParentsResult['ambiguous'][number][] = [];
      const refused: RefusedObject[] = [];
      let rows = 0;
      let requests = 0;
      let hasMoved = false;
      // One parent a call at least, so that a walk comes to its end however short its slices are.
      const isOver = () => deps.stopping.aborted || (hasMoved && Date.now() >= end);

      await openListing(deps.pool, listing, { since, passes: 0, filtered: false });
      let state: WalkState = await readWalkState(deps.pool, listing);
      if (state.parents.total === null) await countAll();
      try {
        while (state.walk < 2 * walks.length && !isOver()) await walkOn();
      } catch (error) {
        const isCancelled = error instanceof StripeFailure && error.kind === 'cancelled';
        // A call that came further ends well, so that only attempts without any progress count as failed.
        if (!(error instanceof StripeFailure) || isCancelled || !hasMoved) throw error;
        deps.log.warn({ account, object, requestId: error.requestId }, `to be walked on: ${error.message}`);
      } finally {
        await recordReads(deps.pool, account, requests);
      }
      const done = state.walk >= 2 * walks.length;
      return {
        done,
        rows,
        requests,
        parents: { done: state.parents.done, total: state.parents.total ?? 0 },
        skipped: done ? state.reason : null,
        ambiguous,
        refused: { count: refused.length, first: refused.slice(0, MOST_REFUSED_NAMED) },
      };

      async function countAll(): Promise<void> {
        let total = 0;
        for (const walk of walks) total += await countParents(deps.pool, parentsOf(walk, false));
        await move(state, { moreParents: total });
      }

      function parentsOf({ parent, where }: ParentWalk, newcomers: boolean): ParentRows {
        return { listing, table: tableOf(parent), parent, where, since, newcomers };
      }

      async function move(
        to: WalkPosition,
        { done: counted = NOTHING, moreParents = 0, reason = null }: Partial<WalkStep> = {},
      ): Promise<void> {
        const step = { from: state, to, done: counted, moreParents, reason };
        const moved = await moveWalk(deps.pool, listing, step);
        if (moved === null)
          throw new Error(`the walk of ${object} is no longer where it was: another attempt goes on with it`);
        state = moved;
      }

      /** Goes on with the walk under way, to its end or that of the time. */
      async function walkOn(): Promise<void> {
        const isSecondRound = state.walk >= walks.length;
        const walk = walks[state.walk % walks.length];
        if (walk === undefined) throw new Error(`${object} has no walk ${state.walk}`);
        const next = { walk: state.walk + 1, after: null };
        const parents = parentsOf(walk, isSecondRound);
        // What was refused to the walk is refused to its second round.
        if (isSecondRound && state.reason?.includes(leftOut(walk)) === true) return move(next);
        if (isSecondRound && state.after === null) {
          const moreParents = await countParents(deps.pool, parents);
          if (moreParents === 0) return move(next);
          await move(state, { moreParents });
        }
        try {
          if (await walkRound(deps, roundOf(walk, parents))) await move(next);
        } catch (error) {
          if (!(error instanceof WalkRefused)) throw error;
          const { message, requestId } = error.failure;
          deps.log.info({ account, object, requestId }, `not listed: ${message}`);
          await move(next, { reason: `${leftOut(walk)}: ${message}` });
          hasMoved = true;
        }
      }

      function roundOf(walk: ParentWalk, parents: ParentRows): Parameters<typeof walkRound>[1] {
        const { walk: index } = state;
        const { beyond } = (activity.remembered ?? {}) as Remembered;
        return {
          walk,
          rows: parents,
          after: state.after,
          concurrency: Math.max(1, concurrency),
          listedBefore: new Map(beyond?.walk === index ? beyond.done : []),
          isOver,
          listing: {
            listing,
            apiVersion,
            activity,
            onRequest: () => {
              requests += 1;
            },
          },
          onListed(parent) {
            rows += parent.rows;
            ambiguous.push(...parent.ambiguous);
            refused.push(...parent.refusedObjects);
          },
          async onDone(after, counted, refusal) {
            const isNews = refusal !== null && state.reason?.includes(passedOver(walk)) !== true;
            if (refusal !== null) {
              const { message, requestId } = refusal;
              deps.log.warn({ account, object, parent: walk.parent, requestId }, `passed over: ${message}`);
            }
            await move(
              { walk: index, after },
              { done: counted, reason: isNews ? `${passedOver(walk)}: ${refusal.message}` : null },
            );
            hasMoved = true;
          },
          onWaiting(done) {
            activity.remember({ beyond: { walk: index, done } } satisfies Remembered);
          },
        };
      }
    });
}

function walksOf(object: string): readonly ParentWalk[] {
  const listing = listingOf(object);
  return listing.how === 'parents' || listing.how === 'list' ? listing.walks : [];
}

const leftOut = ({ path }: ParentWalk) => `${path} is left out`;
const passedOver = ({ path }: ParentWalk) => `${path} passes over some`;
