/**
 * What becomes of an entity's pending changes: the one that the row takes, those that are behind it, and
 * those that only a read of the object can settle.
 *
 * Stripe gives no order inside one second, so a change in a second that the row already covers needs
 * evidence. Where there is none, the object is read after that second has passed: the read lies wholly after
 * every state in question, so no row ever goes back.
 */
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

/** The changes of one second, reduced to those that no other of them comes after. */
function lastOf(changes: readonly PendingChange[], traits: EntityTraits): PendingChange[] {
  return changes.filter(
    (change, index) =>
      !changes.some((other, otherIndex) => {
        if (other === change) return false;
        const order = orderWithinSecond(other, { ...change, deleted: change.kind === 'deleted' }, traits);
        return order === 'apply' || (order === 'same' && otherIndex < index);
      }),
  );
}

/**
 * Plans what becomes of an entity's pending changes.
 *
 * @param row the entity's row, locked, or null where there is none
 * @param changes the entity's pending changes, in any order; arrival plays no part, except that an object
 *   which cannot be read from Stripe takes the last change by `created` and id
 */
export function planChanges(
  row: CurrentRow | null,
  changes: readonly PendingChange[],
  traits: EntityTraits,
): Plan {
  const stale: string[] = [];
  const live: { change: PendingChange; verdict: Verdict }[] = [];
  for (const change of changes) {
    const judged = verdict(change, row, traits);
    if (judged === 'stale') stale.push(change.id);
    else live.push({ change, verdict: judged });
  }
  const applied = live.filter((entry) => entry.verdict === 'same').map((entry) => entry.change.id);
  const open = live.filter((entry) => entry.verdict !== 'same');
  const none = { apply: null, applied, stale, fetch: null };
  if (open.length === 0) return none;

  const newest = Math.max(...open.map((entry) => entry.change.created));
  const inNewest = open.filter((entry) => entry.change.created === newest);
  const last = lastOf(
    inNewest.map((entry) => entry.change),
    traits,
  );
  const ids = open.map((entry) => entry.change.id);
  const deletedBefore =
    !traits.recreatable &&
    open.some(({ change }) => change.kind === 'deleted') &&
    last.some((change) => change.kind !== 'deleted');
  const contested = last.length > 1 || deletedBefore || inNewest.some((entry) => entry.verdict === 'fetch');
  const unusable = last.some((change) => !change.usable && change.kind !== 'deleted');

  const after = Math.max(newest, row?.asOfUntil ?? newest);
  if (traits.retrievable && (contested || unusable)) return { ...none, fetch: { ids, after } };

  const winner = [...last].sort((a, b) => (a.id < b.id ? -1 : 1)).at(-1);
  if (winner === undefined) throw new Error('one change is always last');
  const version = { asOf: newest, asOfUntil: after };
  const sameState = inNewest.filter(
    ({ change }) =>
      change.digest === winner.digest && (change.kind === 'deleted') === (winner.kind === 'deleted'),
  );
  const appliedIds = new Set(sameState.map((entry) => entry.change.id));
  return {
    apply: { id: winner.id, version, deleted: winner.kind === 'deleted' },
    applied: [...applied, ...appliedIds],
    stale: [...stale, ...ids.filter((id) => !appliedIds.has(id))],
    fetch: null,
  };
}

/**
 * What becomes of pending changes once the object was read.
 *
 * A read settles the changes that lie before its interval. Those inside it wait for a read that lies wholly
 * after them. The read itself is stored only where it is newer than the row.
 */
export function planRead(
  row: Version | null,
  read: Version,
  changes: readonly { readonly id: string; readonly created: number }[],
): {
  readonly store: boolean;
  readonly settled: readonly string[];
  readonly waiting: readonly string[];
  readonly after: number | null;
} {
  const store = row === null || standing(read, row) === 'newer';
  const current = store ? read : row;
  const settled = changes.filter((change) => change.created < current.asOf);
  const waiting = changes.filter((change) => change.created >= current.asOf);
  const newest = Math.max(current.asOfUntil, ...waiting.map((change) => change.created));
  return {
    store,
    settled: settled.map((change) => change.id),
    waiting: waiting.map((change) => change.id),
    after: waiting.length === 0 ? null : newest,
  };
}
