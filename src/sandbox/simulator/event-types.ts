/** Which event types announce that an object was made, changed or deleted. */
import { catalogObject, eventTypes } from './catalog.js';
import { idOf, type JsonObject } from './json.js';

/** Objects whose making is announced by their state, and not by a `*.created`. */
const MADE: Readonly<Record<string, (data: JsonObject) => readonly string[]>> = {
  charge: ({ status }) => [
    status === 'failed' ? 'charge.failed' : status === 'pending' ? 'charge.pending' : 'charge.succeeded',
  ],
  payment_method: (data) => (idOf(data.customer) === undefined ? [] : ['payment_method.attached']),
  review: () => ['review.opened'],
};

export type Announcement = 'created' | 'updated' | 'deleted';

/** The types, which may be none (some objects change in silence) or two (a refund's update is announced twice). */
export function announcing(what: Announcement, object: string, data: JsonObject): string[] {
  if (what === 'created' && MADE[object] !== undefined) return [...MADE[object](data)];
  return catalogObject(object)
    .eventPrefixes.filter((prefix) => belongs(prefix, data))
    .map((prefix) => `${prefix}.${what}`)
    .filter((type) => eventTypes.get(type)?.objects.includes(object));
}

/** Bank accounts and cards live under a customer or under a connected account, and are announced accordingly. */
function belongs(prefix: string, data: JsonObject): boolean {
  if (prefix === 'account.external_account') return idOf(data.account) !== undefined;
  if (prefix === 'customer.source') return idOf(data.account) === undefined;
  return true;
}

/** Refuses types that Stripe does not have, and objects that a type is not about. */
export function checkEventType(type: string, object: string): void {
  const known = eventTypes.get(type);
  if (known === undefined) throw new Error(`Stripe has no event type "${type}".`);
  if (known.objects.includes(object)) return;
  throw new Error(`An event "${type}" is about ${known.objects.join(' or ')}, not about ${object}.`);
}

/** Only updates say what was there before. */
export function hasPreviousAttributes(type: string): boolean {
  return /[._]updated$/.test(type);
}
