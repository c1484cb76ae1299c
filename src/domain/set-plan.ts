/**
 * What becomes of many changes at once, decided without their rows: whoever writes them lets a row give way only where
 * it is wholly older than what is decided here. Then the row plays no part in the decision, so it can be made for whole
 * pages before any row is read. What needs more than that (a read, a look at the row) is left to the entity.
 */
import { endOfSecond, type KnownChange } from './chain.js';
import { type EntityTraits, type PendingChange, planChanges } from './ordering.js';

/** A change among others, as its event tells it. */
export interface EntityChange extends Omit<PendingChange, 'digest'> {
  /** Which row it is of. */
  readonly key: string;
  /** Worked out only where a second holds several changes; null where JavaScript would round a number of it. */
  readonly evidence: () => Omit<KnownChange, 'id' | 'kind'> | null;
}

/**
 * What a change is for its row: the state that it takes, or its deletion; the same state once more; or older than that
 * state.
 */
export type Part = 'state' | 'deletion' | 'same' | 'older';

export interface PlannedChange {
  readonly id: string;
  readonly key: string;
  readonly part: Part;
  /**
   * Whether a row that is newer may contradict it: among the changes of its row is a deletion, and the id of such an
   * object does not come back. Such a change is left to its entity where the row is newer.
   */
  readonly doubtful: boolean;
}

/** The changes of one type that can be carried out together. Those of any other row are left to their entity. */
export function planTogether(
  changes: readonly EntityChange[],
  traits: EntityTraits,
): readonly PlannedChange[] {
  const byRow = new Map<string, EntityChange[]>();
  for (const change of changes) {
    const others = byRow.get(change.key);
    if (others === undefined) byRow.set(change.key, [change]);
    else others.push(change);
  }
  return [...byRow.values()].flatMap((ofRow) => planRow(ofRow, traits));
}

function planRow(changes: readonly EntityChange[], traits: EntityTraits): readonly PlannedChange[] {
  const [alone] = changes;
  if (alone !== undefined && changes.length === 1) return planAlone(alone, traits);
  const pending = withDigests(changes);
  if (pending === null) return [];
  let plan = planChanges(null, pending, traits);
  if (plan.contested !== null) {
    // Behind a tombstone, which no write here sees, what a second's changes say of one another may be of two lives.
    if (traits.recreatable) return [];
    const second = plan.contested;
    const end = endOfSecond(second, evidenceOf(changes, pending, second), traits);
    if (end === null) return [];
    plan = planChanges(null, pending, traits, end);
  }
  const { apply, fetch } = plan;
  if (apply === null || fetch !== null) return [];
  const applied = new Set(plan.applied);
  const doubtful = !traits.recreatable && changes.some(({ kind }) => kind === 'deleted');
  return changes.map(({ id, key }) => {
    const part =
      id === apply.id ? (apply.deleted ? 'deletion' : 'state') : applied.has(id) ? 'same' : 'older';
    return { id, key, part, doubtful };
  });
}

/** What nothing is weighed against: most changes of most backlogs, so it does not go through `planChanges`. */
function planAlone(change: EntityChange, traits: EntityTraits): readonly PlannedChange[] {
  const { id, key, usable } = change;
  const deletes = change.kind === 'deleted';
  if (!usable && !deletes && traits.retrievable) return [];
  return [{ id, key, part: deletes ? 'deletion' : 'state', doubtful: deletes && !traits.recreatable }];
}

/** A change that is alone in its second is compared with none. Null where one that is not cannot be compared. */
function withDigests(changes: readonly EntityChange[]): PendingChange[] | null {
  const inSecond = new Map<number, number>();
  for (const { created } of changes) inSecond.set(created, (inSecond.get(created) ?? 0) + 1);
  const pending: PendingChange[] = [];
  for (const { id, created, kind, usable, evidence } of changes) {
    const digest = inSecond.get(created) === 1 ? id : evidence()?.digest;
    if (digest === undefined) return null;
    pending.push({ id, created, kind, usable, digest });
  }
  return pending;
}

function evidenceOf(
  changes: readonly EntityChange[],
  pending: readonly PendingChange[],
  second: number,
): KnownChange[] {
  return changes.flatMap(({ id, created, kind, evidence }, index) => {
    const known = created === second ? evidence() : null;
    return known === null ? [] : [{ ...known, id, kind, digest: pending[index]?.digest ?? known.digest }];
  });
}
