import type { CatalogObject } from './catalog.js';
import type { Random } from './random.js';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export function randomText(random: Random, length: number): string {
  let text = '';
  for (let index = 0; index < length; index += 1)
    text += ALPHABET[Math.floor(random.next() * ALPHABET.length)];
  return text;
}

/** Ids of the older scheme: a prefix and 14 characters. Newer objects carry `1…` or `3…` and the account's mark. */
const SHORT = new Set(['cus_', 'prod_', 'si_', 'sub_sched_', 'card_']);

/**
 * A new id with Stripe's prefix. Nothing in it is ordered by time: two objects of one second, or of two years,
 * compare at random.
 */
export function objectId(object: CatalogObject, random: Random, accountMark: string): string {
  const [prefix = ''] = (object.idPrefix ?? '').split(' ');
  if (object.object === 'coupon') return randomText(random, 8);
  if (prefix === '') return `${object.object.replaceAll('.', '_')}_${randomText(random, 16)}`;
  if (SHORT.has(prefix)) return `${prefix}${randomText(random, 14)}`;
  if (prefix === 'cs_') return `cs_test_${randomText(random, 58)}`;
  return `${prefix}${random.chance(0.3) ? '3' : '1'}${randomText(random, 7)}${accountMark}${randomText(random, 8)}`;
}

/** `evt_1…` or `evt_3…`: which of the two says nothing about the order either. */
export function eventId(random: Random, accountMark: string): string {
  return `evt_${random.chance(0.4) ? '3' : '1'}${randomText(random, 7)}${accountMark}${randomText(random, 8)}`;
}

/** The arbitrary but stable place of an id among those of its second. */
export function tieOf(id: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < id.length; index += 1)
    value = Math.imul(value ^ id.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d);
  return (value ^ (value >>> 12)) >>> 0;
}
