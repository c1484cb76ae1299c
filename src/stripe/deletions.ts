import { eventTypeNamed } from './event-types.js';

/** Types whose name ends in `deleted` and whose object lives on: a subscription is canceled, not deleted. */
const CANCELLATIONS: ReadonlySet<string> = new Set(['customer.subscription.deleted']);

/** Whether an event of this type says that its object is gone. A type that the catalog lacks goes by its name. */
export function isDeletion(eventType: string): boolean {
  if (CANCELLATIONS.has(eventType)) return false;
  return eventTypeNamed(eventType)?.deleted ?? eventType.endsWith('.deleted');
}
