/**
 * Stripe's `previous_attributes`: the old values of what changed and nothing else. A nested hash holds only its own
 * changed keys, an array is given whole, and a key that was absent before is null.
 */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type Hash = { readonly [key: string]: Json };

/** A state of an object, with what its event says of the state before; null where it says nothing. */
export interface StateAfter {
  readonly state: Json;
  readonly previousAttributes: Json;
}

/** No object of Stripe's is nested a tenth as deep; what is must not exhaust the stack. */
const DEEPEST = 100;
/** So many digits any double keeps. */
const MOST_DIGITS = 15;

// An escape belongs to its string, so that no quote within one ends it.
const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/gs;

/**
 * The value of a JSON text, or null where JavaScript would round one of its numbers: two different states could pass
 * for one. The text is PostgreSQL's, so it is valid.
 */
export function parseExactly(text: string): { readonly value: Json } | null {
  for (const [token] of text.matchAll(STRING_OR_NUMBER)) {
    if (token.startsWith('"')) continue;
    if (/e/i.test(token) || token.replace(/[-.]/g, '').length > MOST_DIGITS) return null;
  }
  return { value: JSON.parse(text) as Json };
}

/** Whether the event says what was there before: an empty hash says nothing that can be relied on. */
export function tellsBefore(previousAttributes: Json): previousAttributes is Hash {
  return isHash(previousAttributes) && Object.keys(previousAttributes).length > 0;
}

/**
 * Whether `state` is the very state that the event found: the old values where it changed something, and the same
 * values everywhere else.
 */
export function wasFoundBy(state: Json, event: StateAfter): boolean {
  return tellsBefore(event.previousAttributes) && isBefore(state, event.state, event.previousAttributes, 0);
}

/** Whether `state` has the old values of all that the event changed, whatever the rest of it. */
export function hasOldValues(state: Json, event: StateAfter): boolean {
  return tellsBefore(event.previousAttributes) && holds(state, event.state, event.previousAttributes, 0);
}

/** @param previous undefined where the event did not change this value */
function isBefore(old: Maybe, current: Maybe, previous: Maybe, depth: number): boolean {
  if (depth > DEEPEST) return false;
  if (previous === undefined) return isSame(old, current, depth);
  if (!isHash(previous) || !isHash(current)) return isSame(old, previous, depth);
  if (!isHash(old)) return false;
  return [...keysOf(old, current, previous)].every((key) =>
    isBefore(own(old, key), own(current, key), own(previous, key), depth + 1),
  );
}

function holds(old: Maybe, current: Maybe, previous: Json, depth: number): boolean {
  if (depth > DEEPEST) return false;
  if (!isHash(previous) || !isHash(current)) return isSame(old, previous, depth);
  if (!isHash(old)) return false;
  return Object.entries(previous).every(([key, value]) =>
    holds(own(old, key), own(current, key), value, depth + 1),
  );
}

type Maybe = Json | undefined;

/** Null and absent are one: `previous_attributes` do not tell them apart. */
function isSame(a: Maybe, b: Maybe, depth: number): boolean {
  if (depth > DEEPEST) return false;
  if (a === undefined || a === null) return b === undefined || b === null;
  if (typeof a === 'number') return a === b && Math.abs(a) <= Number.MAX_SAFE_INTEGER;
  if (isList(a)) {
    return (
      isList(b) && a.length === b.length && a.every((value, index) => isSame(value, b[index], depth + 1))
    );
  }
  if (!isHash(a)) return a === b;
  return isHash(b) && [...keysOf(a, b)].every((key) => isSame(own(a, key), own(b, key), depth + 1));
}

function isList(value: Maybe): value is readonly Json[] {
  return Array.isArray(value);
}

function isHash(value: Maybe): value is Hash {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function keysOf(...hashes: readonly Hash[]): Set<string> {
  return new Set(hashes.flatMap((hash) => Object.keys(hash)));
}

/** A key such as `constructor` is an ordinary one in JSON. */
function own(hash: Hash, key: string): Maybe {
  return Object.hasOwn(hash, key) ? hash[key] : undefined;
}
