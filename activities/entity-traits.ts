import type { ChangeKind, CurrentRow, EntityTraits } from '../src/domain/ordering.js';
import type { StoredRow } from '../src/postgres/read-row.js';
import { objectNamed } from '../src/stripe/catalog.js';
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

/** Whether an object of this type can be read by the ids that its events carry. */
function retrievable(object: string): boolean {
  return objectNamed(object)?.retrievePath != null;
}

export function kindOf(eventType: string): ChangeKind {
  if (isDeletion(eventType)) return 'deleted';
  return eventType.endsWith('.created') ? 'created' : 'updated';
}

export function currentRow(row: StoredRow | null): CurrentRow | null {
  if (row === null) return null;
  const { sourceType, ...version } = row;
  return { ...version, sourceKind: sourceType === null ? null : kindOf(sourceType) };
}
