import type { Hydrate } from '../src/domain/hydrate.js';
import type { ChangeKind, CurrentRow, EntityTraits } from '../src/domain/ordering.js';
import type { StoredRow } from '../src/postgres/read-row.js';
import { entityKeyFields, objectNamed } from '../src/stripe/catalog.js';
import { isDeletion } from '../src/stripe/deletions.js';
import { isRecreatable } from '../src/stripe/stored-objects.js';

/** An entity as it travels: a reference, no state. */
export interface EntityKey {
  readonly account: string;
  /** Stripe's `object` name. */
  readonly object: string;
  readonly objectId: string;
}

export function traitsOf(object: string): EntityTraits {
  return { retrievable: retrievable(object), recreatable: isRecreatable(object) };
}

/** What is never read, because payloads are to do, goes by its events alone. */
export function traitsWith(object: string, hydrate: Hydrate): EntityTraits {
  const traits = traitsOf(object);
  return hydrate === 'payload' ? { ...traits, retrievable: false } : traits;
}

/**
 * Whether objects of this type can be read: by their id, by it and the id of a parent, which their states carry, or
 * at a path of which an account or a customer has one. A single one may still have no address: `retrieveObject` then
 * throws `NotReadable`. False for what Stripe has no path for, and for what nothing identifies, which has no row either.
 */
function retrievable(object: string): boolean {
  const known = objectNamed(object);
  return known !== undefined && known.retrievePath !== null && entityKeyFields(object).length > 0;
}

/**
 * Whether what a page lists may follow a tombstone of its id without a look of its own: the id may come back, or
 * Stripe has nothing else to say of it.
 */
export function mayRevive(object: string): boolean {
  const { recreatable, retrievable } = traitsOf(object);
  return recreatable || !retrievable;
}

/** @param object the kind of object that the event carries, where its type may carry several */
export function kindOf(eventType: string, object?: string): ChangeKind {
  if (isDeletion(eventType, object)) return 'deleted';
  return eventType.endsWith('.created') ? 'created' : 'updated';
}

/** @param object the kind of object that the row holds */
export function currentRow(row: StoredRow | null, object?: string): CurrentRow | null {
  if (row === null) return null;
  const { sourceType, ...version } = row;
  return { ...version, sourceKind: sourceType === null ? null : kindOf(sourceType, object) };
}
