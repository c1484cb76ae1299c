import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasOldValues, type Json, parseExactly, wasFoundBy } from '../../src/domain/previous-attributes.js';
import { diff } from './life-model.js';

const event = (state: Json, previousAttributes: Json) => ({ state, previousAttributes });

describe('the state that an update found', () => {
  it.each<[string, Json, Json, Json, boolean]>([
    ['has the old value and the same rest', { a: 1, b: 1 }, { a: 2, b: 1 }, { a: 1 }, true],
    ['has no other old value', { a: 3, b: 1 }, { a: 2, b: 1 }, { a: 1 }, false],
    ['has no other rest', { a: 1, b: 2 }, { a: 2, b: 1 }, { a: 1 }, false],
    ['lacks a key that is new', { a: 1 }, { a: 1, b: 2 }, { b: null }, true],
    ['may hold null where a key is new', { a: 1, b: null }, { a: 1, b: 2 }, { b: null }, true],
    ['has a key that is gone', { a: 1, b: 2 }, { a: 1 }, { b: 2 }, true],
    ['differs in a nested key only', { m: { a: 1, b: 1 } }, { m: { a: 2, b: 1 } }, { m: { a: 1 } }, true],
    [
      'has the same rest in a nested hash',
      { m: { a: 1, b: 2 } },
      { m: { a: 2, b: 1 } },
      { m: { a: 1 } },
      false,
    ],
    ['lacks a nested key that is new', { m: {} }, { m: { a: 2 } }, { m: { a: null } }, true],
    ['was null where a hash is new', { m: null }, { m: { a: 2 } }, { m: null }, true],
    ['was a whole hash where there is null', { m: { a: 2 } }, { m: null }, { m: { a: 2 } }, true],
    ['was no other hash where there is null', { m: { a: 2, b: 1 } }, { m: null }, { m: { a: 2 } }, false],
    ['is no scalar where a hash had other keys', { m: 1 }, { m: { a: 2 } }, { m: { a: 1 } }, false],
    ['had the whole array', { l: [1, 2] }, { l: [1, 2, 3] }, { l: [1, 2] }, true],
    ['had no longer array', { l: [1, 2, 9] }, { l: [1, 2, 3] }, { l: [1, 2] }, false],
    ['had no shorter array', { l: [1] }, { l: [1, 2, 3] }, { l: [1, 2] }, false],
    ['had the array in its order', { l: [2, 1] }, { l: [1, 2, 3] }, { l: [1, 2] }, false],
    ['had the same hashes in an array', { l: [{ a: 1, b: 1 }] }, { l: [] }, { l: [{ a: 1 }] }, false],
    ['had an empty array, which is no empty hash', { l: {} }, { l: [1] }, { l: [] }, false],
    ['tells text from number', { a: '1' }, { a: 2 }, { a: 1 }, false],
    ['tells false from null', { a: null }, { a: true }, { a: false }, false],
    ['takes keys of any name', { constructor: 1 }, { a: 1, constructor: 1 }, { a: null }, true],
    ['is not told where nothing is said', { a: 1 }, { a: 1 }, null, false],
    ['is not told by an empty hash', { a: 1 }, { a: 1 }, {}, false],
    ['is not told by an array', { a: 1 }, { a: 1 }, [1], false],
    ['is not told by numbers that may be rounded', { a: 2 ** 53 + 2 }, { a: 1 }, { a: 2 ** 53 + 2 }, false],
  ])('%s', (_name, state, after, previous, expected) => {
    expect(wasFoundBy(state, event(after, previous))).toBe(expected);
  });

  it('is not sought below a depth that no object of Stripe has', () => {
    const deep = (depth: number): Json => (depth === 0 ? 1 : { a: deep(depth - 1) });
    expect(wasFoundBy({ b: 1, a: deep(50) }, event({ b: 2, a: deep(50) }, { b: 1 }))).toBe(true);
    expect(wasFoundBy({ b: 1, a: deep(5_000) }, event({ b: 2, a: deep(5_000) }, { b: 1 }))).toBe(false);
  });

  const leaf = fc.constantFrom<Json>(0, 1, 'x', true);
  const inner = fc.dictionary(fc.constantFrom('a', 'b', 'c'), leaf, { maxKeys: 3 });
  const state = fc.dictionary(
    fc.constantFrom('p', 'q', 'r'),
    fc.oneof(leaf, inner, fc.array(leaf, { maxLength: 2 })),
    { maxKeys: 3 },
  );

  it('is the one before it, and no other', () => {
    fc.assert(
      fc.property(state, state, state, (before, after, other) => {
        const previous = diff(before, after);
        fc.pre(Object.keys(previous).length > 0);
        expect(wasFoundBy(before, event(after, previous))).toBe(true);
        expect(hasOldValues(before, event(after, previous))).toBe(true);
        if (Object.keys(diff(before, other)).length > 0)
          expect(wasFoundBy(other, event(after, previous))).toBe(false);
      }),
    );
  });
});

describe('the old values', () => {
  it('may be held by a state whose rest differs', () => {
    const update = event({ a: 2, m: { x: 2, y: 1 }, b: 1 }, { a: 1, m: { x: 1 } });
    expect(hasOldValues({ a: 1, m: { x: 1, y: 9 }, b: 9 }, update)).toBe(true);
    expect(hasOldValues({ a: 1, m: { x: 2, y: 1 }, b: 1 }, update)).toBe(false);
    expect(hasOldValues({ a: 1, m: null, b: 1 }, update)).toBe(false);
    expect(hasOldValues({ a: 1 }, event({ a: 1 }, {}))).toBe(false);
  });
});

describe('JSON text', () => {
  it.each([
    '{"a": 0.050, "b": -12.5, "c": 123456789012345}',
    '{"id": "9007199254740993", "1e5": "\\"1e999"}',
  ])('is parsed where JavaScript keeps every number: %s', (text) => {
    expect(parseExactly(text)).toEqual({ value: JSON.parse(text) });
  });

  it.each([
    '{"a": 9007199254740993}',
    '[-9007199254740993]',
    '{"a": 0.1000000000000000055}',
    '1e400',
    '{"a": "x\\"", "b": 10000000000000001}',
  ])('is not parsed where JavaScript may round a number: %s', (text) => {
    expect(parseExactly(text)).toBeNull();
  });

  it('may be a megabyte of text', () => {
    const value = { description: 'a "quoted" \\ line\n'.repeat(60_000) };
    expect(parseExactly(JSON.stringify(value))).toEqual({ value });
  });
});
