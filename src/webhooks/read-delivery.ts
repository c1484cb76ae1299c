import { isUtf8 } from 'node:buffer';
import { withDedupeId } from './dedupe-id.js';

/** An event that the inbox can take, as its own text. */
export interface DeliveredEvent {
  readonly id: string;
  readonly created: number;
  /** Digit by digit as it came: PostgreSQL parses it. */
  readonly text: string;
  /** What JavaScript parsed of it: for names and ids only. */
  readonly entry: Readonly<Record<string, unknown>>;
}

export interface Delivery {
  /** `hint`: something changed; thin events carry no object, and Stripe's list has the whole one. */
  readonly event: DeliveredEvent | 'hint';
  /** The connected account (`acct_…`) that it is of; null where it names none. */
  readonly stripeAccount: string | null;
}

export type Dedupe = 'payload';

/** Printable, so that it comes back from PostgreSQL as it went, and short enough for its index. */
const EVENT_ID = /^[\x21-\x7e]{1,255}$/;
/** What the inbox takes for seconds. */
const LATEST = 99_999_999_999;

/** The text of a body; null where it is none (the signature's check would read over what is no UTF-8). */
export function textOf(body: Buffer): string | null {
  return isUtf8(body) ? body.toString('utf8') : null;
}

/**
 * What a signed body says; null where it is no event.
 *
 * @param deliveredAt seconds of the signature's clock
 * @param dedupe `payload`: the id follows from the payload, whatever the event says
 */
export function readDelivery(text: string, deliveredAt: number, dedupe: Dedupe | undefined): Delivery | null {
  const entry = parsedObject(text);
  if (entry === null || typeof entry.type !== 'string') return null;
  // Thin events name the account as their context.
  const account = entry.object === 'v2.core.event' ? entry.context : entry.account;
  const stripeAccount = typeof account === 'string' && /^acct_\w{1,250}$/.test(account) ? account : null;
  const event = readEvent(entry, text, deliveredAt, dedupe);
  return event === null ? null : { event, stripeAccount };
}

function readEvent(
  entry: Readonly<Record<string, unknown>>,
  text: string,
  deliveredAt: number,
  dedupe: Dedupe | undefined,
): DeliveredEvent | 'hint' | null {
  if (entry.object === 'v2.core.event') return 'hint';
  const created = isTime(entry.created) ? entry.created : null;
  const isWhole = isObject(entry.data) && isObject(entry.data.object);
  if (dedupe === 'payload') {
    if (!isWhole) return entry.object === 'event' ? 'hint' : null;
    const named = withDedupeId(text, created, deliveredAt);
    return { ...named, entry: { ...entry, id: named.id, created: named.created } };
  }
  if (entry.object !== 'event' || typeof entry.id !== 'string' || !EVENT_ID.test(entry.id)) return null;
  if (!isWhole) return 'hint';
  return created === null ? null : { id: entry.id, created, text, entry };
}

function parsedObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTime(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= LATEST;
}
