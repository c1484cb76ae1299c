/** Names for people and things; some of them outside of ASCII, as in any real account. */
import type { JsonObject } from '../json.js';
import type { Random } from '../random.js';

const FIRST = [
  'Amara',
  'Ben',
  'Chloé',
  'Daniel',
  'Emeka',
  'Fatima',
  'Grace',
  'Hiro',
  'Ines',
  'Jürgen',
  'Kofi',
  'Łucja',
];
const LAST = [
  'Abe',
  'Brandt',
  'Costa',
  'Diallo',
  'Evans',
  'Flores',
  'García',
  'Hansen',
  'Ito',
  'Jensen',
  'Kowalska',
  'Müller',
];
const THINGS = [
  'Basic',
  'Team',
  'Business',
  'Enterprise',
  'Starter',
  'Growth',
  'Archive',
  'Support',
  'Café Abo',
  '東京プラン',
];
const CITIES: readonly (readonly [string, string, string])[] = [
  ['Lisboa', 'PT', '1100-148'],
  ['Berlin', 'DE', '10115'],
  ['Accra', 'GH', 'GA-184'],
  ['Austin', 'US', '78701'],
  ['Osaka', 'JP', '530-0001'],
];

export const CURRENCIES = ['usd', 'eur', 'gbp', 'jpy'] as const;

export function personName(random: Random): string {
  return `${random.pick(FIRST)} ${random.pick(LAST)}`;
}

export function emailOf(random: Random): string {
  return `${random.pick(['info', 'billing', 'hello', 'accounts', 'office'])}.${random.integer(1, 999_999)}@example.com`;
}

export function thingName(random: Random): string {
  return `${random.pick(THINGS)} ${random.integer(1, 999)}`;
}

export function address(random: Random): JsonObject {
  const [city, country, postal] = random.pick(CITIES);
  return {
    city,
    country,
    line1: `${random.integer(1, 240)} ${random.pick(LAST)} Street`,
    line2: null,
    postal_code: postal,
    state: null,
  };
}

/** An amount in the smallest unit of a currency. */
export function amount(random: Random): number {
  return random.integer(1, 400) * 50;
}

export function metadata(random: Random): JsonObject {
  if (random.chance(0.5)) return {};
  return { team: random.pick(['blue', 'green', 'red']), ref: String(random.integer(1, 9999)) };
}
