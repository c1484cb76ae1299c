/**
 * What becomes of an entity's pending changes: the one that the row takes, those that are behind it, and
 * those that only a read of the object can settle.
 *
 * Stripe gives no order inside one second, so a change in a second that the row already covers needs
 * evidence. Where there is none, the object is read after that second has passed: the read lies wholly after
 * every state in question, so no row ever goes back.
 */
import type { SecondEnd } from './chain.js';
import { eventVersion, standing, type Version } from './version.js';

/** A row of an object table, as far as ordering needs it. */
export interface CurrentRow extends Version {
  readonly deleted: boolean;
  /** What wrote the row: an event's id, or the name of a listing or a read. */
  readonly source: string;
  /** The kind of the event in `source`; null where a listing or a read wrote the row. */
  readonly sourceKind: ChangeKind | null;
  /** Digest of the row's state. */
  readonly digest: string;
}

/** What a change does, from the event's type. A subscription's cancellation is an update. */
export type ChangeKind = 'created' | 'updated' | 'deleted';

export interface PendingChange {
  readonly id: string;
  /** Whole second of Stripe's clock. */
  readonly created: number;
  readonly kind: ChangeKind;
  /** Digest of the state that the event carries. */
  readonly digest: string;
  /** False where the event's payload must not be stored: it is rendered in another API version. */
  readonly usable: boolean;
}

export interface EntityTraits {
  /** Whether the object can be read from Stripe at all. */
  readonly retrievable: boolean;
  /** Whether an object may be created again under the id of a deleted one (coupon, plan, product). */
  readonly recreatable: boolean;
}

export interface Plan {
  /** The change whose state the row takes, if any. */
  readonly apply: { readonly id: string; readonly version: Version; readonly deleted: boolean } | null;
  /** Changes that the row holds after this plan. */
  readonly applied: readonly string[];
  /** Changes older than what the row holds. */
  readonly stale: readonly string[];
  /** Changes that wait for a read of the object made wholly after this second, or null. */
  readonly fetch: { readonly ids: readonly string[]; readonly after: number } | null;
  /** The second whose end, if it is known (`endOfSecond`), may spare that read: plan again with it. Else null. */
  readonly contested: number | null;
  /** The changes that get an outcome by this plan, in their order in time. */
  readonly steps: readonly SettledStep[];
}

/** A change that gets its outcome. */
export interface SettledStep {
  readonly id: string;
  readonly outcome: 'applied' | 'stale' | 'fetched';
  /** Whether the row holds a newer state than the change's own once the plan is carried out. */
  readonly superseded: boolean;
}

type Verdict = 'apply' | 'stale' | 'same' | 'fetch';

/**
 * An update to the state of the creation is an update all the same: it may undo another one of its second, so
 * it must not pass for the creation, which everything else follows.
 */
function orderOfSameState(
  change: PendingChange,
  other: { readonly kind: ChangeKind | null },
  traits: EntityTraits,
): Verdict {
  if (traits.recreatable || other.kind === null) return 'same';
  if (change.kind === 'updated' && other.kind === 'created') return 'apply';
  return change.kind === 'created' && other.kind === 'updated' ? 'stale' : 'same';
}

/**
 * How `change` stands to `other` where both lie in one second: after it (`apply`), before it (`stale`), the same
 * state (`same`), or not to be told (`fetch`).
 *
 * Evidence: the same state changes nothing; a creation comes first and a deletion last. Neither holds where
 * the object may be created again: one second may see the end of one life and the beginning of the next.
 */
function orderWithinSecond(
  change: PendingChange,
  other: { readonly kind: ChangeKind | null; readonly deleted: boolean; readonly digest: string },
  traits: EntityTraits,
): Verdict {
  const deletes = change.kind === 'deleted';
  if (change.digest === other.digest && deletes === other.deleted)
    return orderOfSameState(change, other, traits);
  const mayBeAnotherLife = deletes || other.deleted || change.kind === 'created' || other.kind === 'created';
  if (traits.recreatable && mayBeAnotherLife) return 'fetch';
  if (deletes) return other.deleted ? 'fetch' : 'apply';
  if (other.deleted) return 'stale';
  if (change.kind === 'created') return 'stale';
  if (other.kind === 'created') return 'apply';
  return 'fetch';
}

/** An id that Stripe never gives out twice stays deleted, so a change that says otherwise needs a read. */
function revives(change: PendingChange, row: CurrentRow, traits: EntityTraits): boolean {
  return row.deleted && change.kind !== 'deleted' && !traits.recreatable && traits.retrievable;
}

/** A deletion that a later state contradicts: such an id does not come back, so Stripe is asked. */
function endsLife(change: PendingChange, row: CurrentRow, traits: EntityTraits): boolean {
  return change.kind === 'deleted' && !row.deleted && !traits.recreatable && traits.retrievable;
}

function verdict(change: PendingChange, row: CurrentRow | null, traits: EntityTraits): Verdict {
  if (row === null) return 'apply';
  const version = eventVersion(change.created);
  switch (standing(version, row)) {
    case 'newer':
      return revives(change, row, traits) ? 'fetch' : 'apply';
    case 'older':
      return endsLife(change, row, traits) ? 'fetch' : 'stale';
    case 'overlapping':
      return row.source === change.id
        ? 'same'
        : orderWithinSecond(change, { ...row, kind: row.sourceKind }, traits);
  }
}

/** The changes of one second, reduced to those that no other of them comes after; of one state, the last by id. */
function lastOf(changes: readonly PendingChange[], traits: EntityTraits): PendingChange[] {
  return changes.filter(
    (change) =>
      !changes.some((other) => {
        if (other === change) return false;
        const order = orderWithinSecond(other, { ...change, deleted: change.kind === 'deleted' }, traits);
        return order === 'apply' || (order === 'same' && byId(other, change) > 0);
      }),
  );
}

/**
 * Plans what becomes of an entity's pending changes.
 *
 * @param row the entity's row, locked, or null where there is none
 * @param changes the entity's pending changes, in any order; arrival plays no part: an object which cannot be read
 *   from Stripe takes the last change by `created`, then a deletion rather than an update, then by id
 * @param end where the known changes of the plan's contested second end, for a second look at the same changes
 */
export function planChanges(
  row: CurrentRow | null,
  changes: readonly PendingChange[],
  traits: EntityTraits,
  end: SecondEnd | null = null,
): Plan {
  const stale: PendingChange[] = [];
  const live: { change: PendingChange; verdict: Verdict }[] = [];
  for (const change of changes) {
    const judged = verdict(change, row, traits);
    if (judged === 'stale') stale.push(change);
    else live.push({ change, verdict: judged });
  }
  const applied = live.filter((entry) => entry.verdict === 'same').map((entry) => entry.change);
  const open = live.filter((entry) => entry.verdict !== 'same').map((entry) => entry.change);
  const plan = (over: Partial<Outcomes>) => carryOut({ applied, stale, ...over }, end);
  if (open.length === 0) return plan({});

  const newest = Math.max(...open.map((change) => change.created));
  const inNewest = open.filter((change) => change.created === newest);
  const asked = live.some((entry) => entry.verdict === 'fetch' && entry.change.created === newest);
  const last = lastOf(inNewest, traits);
  const deletedBefore =
    !traits.recreatable &&
    open.some((change) => change.kind === 'deleted') &&
    last.some((change) => change.kind !== 'deleted');
  const contested = last.length > 1 || deletedBefore || asked;
  const unusable = last.some((change) => !change.usable && change.kind !== 'deleted');
  const after = Math.max(newest, row?.asOfUntil ?? newest);

  const isQuestionOfStates = contested && !unusable && !row?.deleted && open.every(isOfLife);
  const found = isQuestionOfStates ? byEnd(row, inNewest, newest, traits, end) : null;
  if (found === 'row') return plan({ stale: [...stale, ...open] });
  if (found === null && traits.retrievable && (contested || unusable)) {
    const ids = open.map((change) => change.id);
    return plan({ fetch: { ids, after }, contested: isQuestionOfStates && end === null ? newest : null });
  }

  const winner = found ?? [...last].sort(byLifeAndId).at(-1);
  if (winner === undefined) throw new Error('one change is always last');
  // What cannot be read goes by its life and its id, unless its states tell more.
  const unsettled = contested && isQuestionOfStates && end === null ? newest : null;
  if (found === null && row !== null && isBehindById(winner, row, traits))
    return plan({ stale: [...stale, ...open], contested: unsettled });
  const isWinning = (change: PendingChange) => isStateOf(change, winner);
  return plan({
    winner: { change: winner, version: { asOf: newest, asOfUntil: after } },
    applied: [...applied, ...open.filter(isWinning)],
    stale: [...stale, ...open.filter((change) => !isWinning(change))],
    contested: unsettled,
  });
}

/** Whether the row holds a later change of the same second already, as far as nothing but their ids tells. */
function isBehindById(change: PendingChange, row: CurrentRow, traits: EntityTraits): boolean {
  if (row.sourceKind === null || row.asOf !== change.created) return false;
  const held = { id: row.source, kind: row.sourceKind };
  return verdict(change, row, traits) === 'fetch' && byLifeAndId(change, held) < 0;
}

function isStateOf(change: PendingChange, other: PendingChange): boolean {
  return (
    change.created === other.created && change.digest === other.digest && isOfLife(change) === isOfLife(other)
  );
}

function isOfLife(change: PendingChange): boolean {
  return change.kind !== 'deleted';
}

/**
 * What the end of the newest second's known changes settles: the change that the row takes, that the row is there
 * already (`row`), or nothing (null).
 *
 * A change may be missing from what is known, so the end may be a wrong one until it surfaces, which brings the
 * question up again. Until then no row may go back, so a row that lies within the second itself never moves by this
 * evidence: it stays, or Stripe is asked. A row from before the second cannot go back to any state of it.
 */
function byEnd(
  row: CurrentRow | null,
  inNewest: readonly PendingChange[],
  newest: number,
  traits: EntityTraits,
  end: SecondEnd | null,
): PendingChange | 'row' | null {
  if (end === null || end.second !== newest) return null;
  if (!inNewest.every((change) => end.order.includes(change.id))) return null;
  if (row !== null && !isBeforeAll(row, newest, traits)) {
    if (row.digest === end.digest) return 'row';
    if (traits.retrievable) return null;
  }
  const winners = inNewest.filter((change) => change.digest === end.digest && change.kind !== 'created');
  return winners.sort((a, b) => end.order.indexOf(a.id) - end.order.indexOf(b.id)).at(-1) ?? null;
}

/** Whether all updates of a second follow the row: it is older, or it holds the creation. */
function isBeforeAll(row: CurrentRow, second: number, traits: EntityTraits): boolean {
  if (standing(eventVersion(second), row) === 'newer') return true;
  return row.sourceKind === 'created' && !traits.recreatable && row.asOfUntil === second;
}

interface Outcomes {
  readonly winner: { readonly change: PendingChange; readonly version: Version } | null;
  readonly applied: readonly PendingChange[];
  readonly stale: readonly PendingChange[];
  readonly fetch: Plan['fetch'];
  readonly contested: number | null;
}

function carryOut(outcomes: Partial<Outcomes>, end: SecondEnd | null): Plan {
  const { winner = null, applied = [], stale = [], fetch = null, contested = null } = outcomes;
  const staleSet = new Set(stale);
  return {
    apply:
      winner === null
        ? null
        : { id: winner.change.id, version: winner.version, deleted: winner.change.kind === 'deleted' },
    applied: applied.map((change) => change.id),
    stale: stale.map((change) => change.id),
    fetch,
    contested,
    steps: [...applied, ...stale].sort(inTime(staleSet, end)).map((change) => ({
      id: change.id,
      outcome: staleSet.has(change) ? 'stale' : 'applied',
      superseded: staleSet.has(change) || (winner !== null && !isStateOf(change, winner.change)),
    })),
  };
}

const LIFE: Readonly<Record<ChangeKind, number>> = { created: 0, updated: 1, deleted: 2 };

/** By second; within one a creation first and a deletion last, then by evidence, what is stale first, then by id. */
function inTime(stale: ReadonlySet<PendingChange>, end: SecondEnd | null) {
  const place = (change: PendingChange) =>
    change.created === end?.second ? end.order.indexOf(change.id) : -1;
  const rank = (change: PendingChange) => (stale.has(change) ? 0 : 1);
  return (a: PendingChange, b: PendingChange): number =>
    a.created - b.created ||
    LIFE[a.kind] - LIFE[b.kind] ||
    place(a) - place(b) ||
    rank(a) - rank(b) ||
    byId(a, b);
}

/** The order in which what cannot be read is taken to have happened within one second. */
function byLifeAndId(a: Pick<PendingChange, 'id' | 'kind'>, b: Pick<PendingChange, 'id' | 'kind'>): number {
  return LIFE[a.kind] - LIFE[b.kind] || byId(a, b);
}

function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/**
 * What becomes of pending changes once the object was read.
 *
 * A read settles the changes that lie before its interval. Those inside it wait for a read that lies wholly
 * after them. The read itself is stored only where it is newer than the row; one that is not, and may be older than
 * the second that was to be passed, settles nothing: what the row makes stale may be the very change that contradicts
 * the row (a deletion that surfaced late), and Stripe has not been heard on it.
 *
 * @param after the second of Stripe's clock that the read was to lie wholly after
 */
export function planRead(
  row: Version | null,
  read: Version,
  changes: readonly { readonly id: string; readonly created: number }[],
  after: number,
): {
  readonly store: boolean;
  readonly settled: readonly string[];
  readonly waiting: readonly string[];
  readonly after: number | null;
  /** The settled changes in their order in time, as far as the clock and their ids tell it. */
  readonly steps: readonly SettledStep[];
} {
  const store = row === null || standing(read, row) === 'newer';
  const current = store ? read : row;
  const isTooEarly = !store && read.asOf <= after;
  const isSettled = (change: { readonly created: number }) => !isTooEarly && change.created < current.asOf;
  const settled = changes.filter(isSettled).sort((a, b) => a.created - b.created || byId(a, b));
  const waiting = changes.filter((change) => !isSettled(change));
  const newest = Math.max(current.asOfUntil, ...waiting.map((change) => change.created));
  return {
    store,
    settled: settled.map((change) => change.id),
    waiting: waiting.map((change) => change.id),
    after: waiting.length === 0 ? null : Math.max(newest, isTooEarly ? after : 0),
    steps: settled.map(({ id, created }) => ({
      id,
      outcome: store ? 'fetched' : 'stale',
      superseded: !store || changes.some((change) => change.created > created),
    })),
  };
}
