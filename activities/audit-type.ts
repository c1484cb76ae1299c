import { CLOCK_SLACK } from '../src/domain/audit.js';
import { StripeFailure } from '../src/domain/failures.js';
import { afterLostCursor, afterPage, LISTING_START, type ListingPosition } from '../src/domain/listing.js';
import { comparePage, noteUnseen } from '../src/postgres/audit-page.js';
import { readParents } from '../src/postgres/parent-walks.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { entityKeyFields, type ListQuery, tableOf } from '../src/stripe/catalog.js';
import type { StripeResponse } from '../src/stripe/client.js';
import { listingOf, type ParentWalk } from '../src/stripe/listings.js';
import { parentFields, type WalkedParent, walkRequest } from '../src/stripe/walk-request.js';
import { heartbeating, type RunningActivity } from './activity-context.js';
import { auditPageOf, wrapped } from './audit-pages.js';
import { auditReader, eachAtOnce, isLeftOut } from './audit-request.js';
import type { ActivityDeps } from './deps.js';
import type { StripeClock } from './stripe-clock.js';

export interface AuditTypeInput {
  readonly account: string;
  readonly number: number;
  readonly object: string;
  /** Whether to walk over the parents of what the list leaves out, one request or more each. */
  readonly walks: boolean;
  readonly apiVersion: string | null;
  /** Differences that are kept at most; those beyond are only counted. */
  readonly bound: number;
  readonly from: AuditTypeState | null;
  /** How long to list before reporting, in seconds. */
  readonly seconds: number;
}

export interface AuditTypeState {
  /** The pass counts the type's queries, and its walks after them. */
  readonly position: ListingPosition;
  /** In a walk over parents: the one after which it goes on. */
  readonly parentAfter: string | null;
  readonly done: boolean;
  /** Objects that were compared. */
  readonly compared: number;
  readonly requests: number;
  readonly stored: number;
  readonly overflow: number;
  /** The first page was read no earlier, in seconds of Stripe's clock; null before it. */
  readonly began: number | null;
  /** Whether rows that Stripe no longer has were looked for. */
  readonly extraChecked: boolean;
  /** Why the type could not be compared, or not to its end. */
  readonly skipped: string | null;
}

/** Parents whose objects are listed at a time. */
const PARENTS_AT_ONCE = 8;

type Unit =
  | { readonly kind: 'list'; readonly path: string; readonly query: ListQuery; readonly paged: boolean }
  | { readonly kind: 'single'; readonly path: string }
  | { readonly kind: 'walk'; readonly walk: ParentWalk };

/**
 * Lists a type and compares each page with its rows within PostgreSQL, for a while. At the end of a complete listing the
 * rows that it did not show are kept as well. What differs is only suspected: `verifyAudit` makes sure.
 */
export function auditType(deps: ActivityDeps, clock: StripeClock) {
  return (input: AuditTypeInput): Promise<AuditTypeState> =>
    heartbeating(async (activity) => {
      const listing = createListing(deps, clock, input, activity);
      try {
        return await listing.run();
      } catch (error) {
        if (!isLeftOut(error)) throw error;
        const { account, object } = input;
        deps.log.info({ account, object, requestId: error.requestId }, `not compared: ${error.message}`);
        return { ...listing.state(), done: true, skipped: error.message };
      } finally {
        await recordReads(deps.pool, input.account, listing.requests());
      }
    });
}

function createListing(
  deps: ActivityDeps,
  clock: StripeClock,
  input: AuditTypeInput,
  activity: RunningActivity,
) {
  const { account, number, object, bound } = input;
  const table = tableOf(object);
  const keyFields = entityKeyFields(object);
  const { units, complete } = unitsOf(object, input.walks);
  const reader = auditReader(deps, input, activity);
  const end = Date.now() + input.seconds * 1000;
  let state = (activity.remembered as AuditTypeState | undefined) ?? input.from ?? BEGINS;
  const before = state.requests;
  const note = (change: Partial<AuditTypeState>) => {
    state = { ...state, ...change, requests: before + reader.requests() };
  };

  async function run(): Promise<AuditTypeState> {
    for (;;) {
      const unit = units[state.position.pass];
      if (unit === undefined) break;
      await step(unit);
      activity.remember(state);
      if (deps.stopping.aborted || Date.now() >= end) return state;
    }
    if (complete && state.began !== null) await compareUnseen(state.began);
    note({ done: true, extraChecked: complete && state.began !== null });
    return state;
  }

  async function step(unit: Unit): Promise<void> {
    const { position } = state;
    if (unit.kind === 'walk') return walkOn(unit.walk);
    if (unit.kind === 'single') {
      await compare(wrapped(await reader.get(unit.path)));
      return note(nextUnit());
    }
    const query = unit.paged ? { limit: '100', ...unit.query } : unit.query;
    try {
      const { ids, hasMore } = await compare(
        await reader.get(pathWith(unit.path, query, position.startingAfter)),
      );
      note({ position: afterPage(position, ids, 0, hasMore && unit.paged) });
    } catch (error) {
      if (!isLostPlace(error, position)) throw error;
      note({ position: afterLostCursor(position) });
    }
  }

  /** The next query or walk of the type. */
  function nextUnit(): Pick<AuditTypeState, 'position' | 'parentAfter'> {
    return { position: { ...LISTING_START, pass: state.position.pass + 1 }, parentAfter: null };
  }

  /** The next few parents of a walk, at a time. A walk that is lost begins them again, and no others. */
  async function walkOn(walk: ParentWalk): Promise<void> {
    const rows = {
      listing: { account, number, object },
      table: tableOf(walk.parent),
      parent: walk.parent,
      where: walk.where,
      since: null,
      newcomers: false,
    };
    const next = { after: state.parentAfter, most: PARENTS_AT_ONCE, fields: parentFields(walk) };
    const parents = await readParents(deps.pool, rows, next);
    const last = parents.at(-1);
    if (last === undefined) return note(nextUnit());
    await eachAtOnce(parents, PARENTS_AT_ONCE, (parent) => listParent(walk, parent));
    note({ parentAfter: last.id });
  }

  async function listParent(walk: ParentWalk, parent: WalkedParent): Promise<void> {
    let position = LISTING_START;
    while (position.pass === 0) {
      const path = walkRequest(walk, parent, position.startingAfter);
      if (path === null) return;
      try {
        const response = await reader.get(path);
        const { ids, hasMore } = await compare(walk.single ? wrapped(response) : response);
        position = afterPage(position, ids, 0, hasMore && walk.paged && !walk.single);
      } catch (error) {
        if (error instanceof StripeFailure && error.kind === 'gone') return;
        if (!isLostPlace(error, position)) throw error;
        position = afterLostCursor(position);
      }
    }
  }

  async function compare(response: StripeResponse): Promise<{ ids: readonly string[]; hasMore: boolean }> {
    const { page, cut, version, ids, hasMore } = auditPageOf(response, object);
    const compared = await comparePage(deps.pool, {
      account,
      number,
      object,
      table,
      page,
      keyFields,
      cut,
      ...version,
      room: bound - state.stored,
    });
    note({
      began: Math.min(state.began ?? version.asOf, version.asOf),
      compared: state.compared + compared.listed,
      stored: state.stored + compared.stored,
      overflow: state.overflow + compared.overflow,
    });
    return { ids, hasMore };
  }

  async function compareUnseen(began: number): Promise<void> {
    const now = Math.ceil(clock.now(account));
    const unseen = await noteUnseen(deps.pool, {
      account,
      number,
      object,
      table,
      began,
      ahead: now + CLOCK_SLACK,
      shownAt: now,
      room: bound - state.stored,
    });
    note({ stored: state.stored + unseen.stored, overflow: state.overflow + unseen.overflow });
  }

  return { run, state: () => state, requests: reader.requests };
}

const BEGINS: AuditTypeState = {
  position: LISTING_START,
  parentAfter: null,
  done: false,
  compared: 0,
  requests: 0,
  stored: 0,
  overflow: 0,
  began: null,
  extraChecked: false,
  skipped: null,
};

/** The requests that list a type, and whether they show all of it. */
function unitsOf(object: string, walks: boolean): { units: readonly Unit[]; complete: boolean } {
  const listing = listingOf(object);
  switch (listing.how) {
    case 'list': {
      const { path, paged } = listing;
      const lists = listing.passes.map((query): Unit => ({ kind: 'list', path, query, paged }));
      const further = walks ? listing.walks.map((walk): Unit => ({ kind: 'walk', walk })) : [];
      return { units: [...lists, ...further], complete: walks || listing.walks.length === 0 };
    }
    case 'parents':
      return { units: listing.walks.map((walk): Unit => ({ kind: 'walk', walk })), complete: true };
    case 'singleton':
      return { units: [{ kind: 'single', path: listing.path }], complete: true };
    default:
      throw new StripeFailure('invalid', { message: `Stripe has no list of ${object}.` });
  }
}

function pathWith(path: string, query: ListQuery, startingAfter: string | null): string {
  const search = new URLSearchParams(query);
  if (startingAfter !== null) search.set('starting_after', startingAfter);
  const text = search.toString();
  return text === '' ? path : `${path}?${text}`;
}

function isLostPlace(error: unknown, { startingAfter }: ListingPosition): boolean {
  return error instanceof StripeFailure && error.kind === 'cursor-lost' && startingAfter !== null;
}
