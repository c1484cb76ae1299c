import { eventTypeNamed } from './event-types.js';

/** Types whose name ends in `deleted` and whose object lives on: a subscription is canceled, not deleted. */
const CANCELLATIONS: ReadonlySet<string> = new Set(['customer.subscription.deleted']);

/**
 * What a customer pays from besides cards and bank accounts, which live and die under it. Taken from the customer,
 * a source or an account is still there, under its own path.
 */
const OUTLIVES_CUSTOMER: ReadonlySet<string> = new Set(['source', 'account']);

/**
 * Whether an event of this type says that its object is gone. A type that the catalog lacks goes by its name.
 *
 * @param object the kind of object that the event carries, where a type may carry several
 */
export function isDeletion(eventType: string, object?: string): boolean {
  if (CANCELLATIONS.has(eventType)) return false;
  if (eventType === 'customer.source.deleted' && object !== undefined && OUTLIVES_CUSTOMER.has(object))
    return false;
  return eventTypeNamed(eventType)?.deleted ?? eventType.endsWith('.deleted');
}
