import type { EventReference } from './references.js';

/** All references of one entity, in the order of their `created`. */
export interface EntityDelivery {
  readonly object: string;
  readonly objectId: string;
  readonly events: readonly EventReference[];
}

/** Groups references by entity, so that one delivery carries all that a page holds for it. */
export function groupByEntity(references: readonly EventReference[]): EntityDelivery[] {
  const groups = new Map<string, EventReference[]>();
  for (const reference of references) {
    const key = `${reference.object}/${reference.objectId}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [reference]);
    else group.push(reference);
  }
  return [...groups.values()].map((events) => {
    const sorted = [...events].sort((a, b) => a.created - b.created);
    const [first] = sorted;
    if (first === undefined) throw new Error('a group holds at least one reference');
    return { object: first.object, objectId: first.objectId, events: sorted };
  });
}

/** Changes of one entity that travel together. */
export interface EntityBatch {
  readonly events: readonly EventReference[];
  /** Set where the entity has to be read wholly after this second of Stripe's clock. */
  readonly readAfter: number | null;
}

/** One batch that asks for all that the given ones ask for, each event once. */
export function mergeBatches(batches: readonly EntityBatch[]): EntityBatch {
  const reads = batches.flatMap((batch) => (batch.readAfter === null ? [] : [batch.readAfter]));
  return {
    events: [...new Map(batches.flatMap((batch) => batch.events).map((event) => [event.id, event])).values()],
    readAfter: reads.length === 0 ? null : Math.max(...reads),
  };
}
