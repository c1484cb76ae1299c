import { StripeFailure } from '../src/domain/failures.js';
import { type ParentRows, readParents, type WalkedSoFar } from '../src/postgres/parent-walks.js';
import type { ParentWalk } from '../src/stripe/listings.js';
import { parentFields, type WalkedParent } from '../src/stripe/walk-request.js';
import type { ActivityDeps } from './deps.js';
import { inOrder } from './in-order.js';
import { type ListedParent, listParent, type ParentListing } from './list-parent.js';

export interface WalkRound {
  readonly walk: ParentWalk;
  readonly rows: ParentRows;
  /** The parent after which it begins; null for the first. */
  readonly after: string | null;
  readonly listing: Omit<ParentListing, 'walk'>;
  readonly concurrency: number;
  /** Parents that an attempt before this one has listed. */
  readonly listedBefore: ReadonlyMap<string, WalkedSoFar>;
  readonly isOver: () => boolean;
  readonly onListed: (parent: ListedParent) => void;
  /** Told of parents that are done, in their order: up to which one, what they add, and a refusal among them. */
  readonly onDone: (after: string, done: WalkedSoFar, refusal: StripeFailure | null) => Promise<void>;
  /** Told of parents that are done and wait for one before them. */
  readonly onWaiting: (waiting: readonly (readonly [string, WalkedSoFar])[]) => void;
}

/** This list is refused to the account or key, whosever it is. */
export class WalkRefused extends Error {
  constructor(readonly failure: StripeFailure) {
    super(failure.message);
  }
}

/** What a list answers with that this account or key does not have, or that this one parent does not have. */
const REFUSALS = new Set(['permission', 'invalid']);
/** Refusals in a row after which a list is refused as such: before any parent was listed, and after that. */
const MOST_AT_FIRST = 5;
const MOST_IN_A_ROW = 100;
/** Parents that are read from PostgreSQL at a time. */
const BATCH = 500;

const NONE: WalkedSoFar = { parents: 0, rows: 0, requests: 0, refused: 0 };
const REFUSED: WalkedSoFar = { parents: 1, rows: 0, requests: 1, refused: 0 };

type Outcome = WalkedSoFar & { readonly refusal?: StripeFailure };

/**
 * Lists what each parent has, from one parent on. Until one was listed they go one by one, so that a key that may not
 * read the list costs a request or a few.
 *
 * @returns whether no parent is left
 * @throws WalkRefused where it makes no sense to go on; StripeFailure
 */
export async function walkRound(deps: ActivityDeps, round: WalkRound): Promise<boolean> {
  const { walk, listedBefore } = round;
  const fields = parentFields(walk);
  let batch: readonly WalkedParent[] = [];
  let taken = 0;
  let readTo = round.after;
  let isAllowed = round.after !== null;
  let refusals: StripeFailure[] = [];
  let held: WalkedSoFar = NONE;
  let passedOver: StripeFailure | null = null;

  const isExhausted = await inOrder<WalkedParent, Outcome>({
    isOver: round.isOver,
    atOnce: () => (isAllowed ? round.concurrency : 1),
    async next() {
      if (taken >= batch.length) {
        batch = await readParents(deps.pool, round.rows, { after: readTo, most: BATCH, fields });
        taken = 0;
        readTo = batch.at(-1)?.id ?? readTo;
      }
      taken += 1;
      return batch[taken - 1] ?? null;
    },
    async work(parent) {
      const before = listedBefore.get(parent.id);
      if (before !== undefined) return before;
      try {
        const listed = await listParent(deps, parent, { ...round.listing, walk });
        if (listed === null) return null;
        round.onListed(listed);
        isAllowed ||= !listed.isGone;
        const { parents, rows, requests, refused } = listed;
        return { parents, rows, requests, refused };
      } catch (error) {
        if (!(error instanceof StripeFailure) || !REFUSALS.has(error.kind)) throw error;
        return { ...REFUSED, refusal: error };
      }
    },
    async settle(done) {
      for (const { result } of done) {
        const { refusal } = result;
        held = added(held, result);
        refusals = refusal === undefined ? [] : [...refusals, refusal];
        passedOver = refusal ?? passedOver;
        const most = isAllowed ? MOST_IN_A_ROW : MOST_AT_FIRST;
        if (refusal !== undefined && (refusal.missingPermission !== undefined || refusals.length >= most))
          throw new WalkRefused(refusal);
      }
      const after = done.at(-1)?.item.id;
      if (after === undefined || (refusals.length > 0 && !isAllowed)) return;
      const sum = held;
      held = NONE;
      await round.onDone(after, sum, passedOver);
      passedOver = null;
    },
    onWaiting: (waiting) =>
      round.onWaiting(
        waiting.flatMap(({ item, result }) =>
          result.refusal === undefined ? [[item.id, result] as const] : [],
        ),
      ),
  });
  const last = refusals.at(-1);
  if (isExhausted && !isAllowed && last !== undefined) throw new WalkRefused(last);
  return isExhausted;
}

function added(a: WalkedSoFar, b: WalkedSoFar): WalkedSoFar {
  return {
    parents: a.parents + b.parents,
    rows: a.rows + b.rows,
    requests: a.requests + b.requests,
    refused: a.refused + b.refused,
  };
}
