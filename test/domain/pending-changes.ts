import type { CurrentRow, PendingChange } from '../../src/domain/ordering.js';

/** What the catalog says of an object that can be read, and of one whose id may be created again besides. */
export const CUSTOMER = { retrievable: true, recreatable: false };
export const COUPON = { retrievable: true, recreatable: true };

/** A change that Stripe told of, of a state of its own. */
export function change(id: string, created: number, over: Partial<PendingChange> = {}): PendingChange {
  return { id, created, kind: 'updated', digest: id, usable: true, ...over };
}

/** The row as a listing left it, in the given interval of seconds. */
export function row(asOf: number, asOfUntil: number, over: Partial<CurrentRow> = {}): CurrentRow {
  return { asOf, asOfUntil, deleted: false, source: 'backfill:1', sourceKind: null, digest: 'row', ...over };
}
