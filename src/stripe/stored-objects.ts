/** What the inbox and the apply path need of the catalog, worked out once. */
import { entityKeyFields, type ListQuery, listableObjects, objectNamed, syncedObjects } from './catalog.js';

let objects: readonly string[] | undefined;
let composite: Readonly<Record<string, readonly string[]>> | undefined;

/** Names of all objects that have a table. */
export function storedObjects(): readonly string[] {
  objects ??= syncedObjects().map((entry) => entry.object);
  return objects;
}

/** The fields that make the key of those objects whose id does not: of several fields, or of another one. */
export function compositeKeys(): Readonly<Record<string, readonly string[]>> {
  composite ??= Object.fromEntries(
    storedObjects()
      .map((object) => [object, entityKeyFields(object)] as const)
      .filter(([, fields]) => fields.join() !== 'id'),
  );
  return composite;
}

/**
 * Ids that a merchant chooses, so that an object may be created again under the id of a deleted one. A plan is a
 * price too, under the same id, so a price's may come back as well.
 */
const CHOSEN_IDS: ReadonlySet<string> = new Set(['coupon', 'plan', 'price', 'product']);

/** Whether an object's id may come back after its deletion: chosen ids, and ids without Stripe's prefix. */
export function isRecreatable(object: string): boolean {
  return CHOSEN_IDS.has(object) || objectNamed(object)?.idPrefix == null;
}

/** The queries that together list all of a type. Throws where the type has no top-level list. */
export function listingOf(object: string): { readonly path: string; readonly passes: readonly ListQuery[] } {
  const entry = listableObjects().find((candidate) => candidate.object === object);
  if (entry === undefined) throw new Error(`${object} has no list of its own`);
  return { path: entry.listPath, passes: entry.passes };
}

/**
 * Listable objects that may change without an event: created, edited or deleted in silence. Only listing them
 * again shows it.
 */
export function silentObjects(): string[] {
  return listableObjects()
    .filter(
      ({ eventCoverage: { created, updated, deleted }, deletable }) =>
        !created || !updated || (deletable && !deleted),
    )
    .map((entry) => entry.object);
}
