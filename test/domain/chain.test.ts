import { describe, expect, it } from 'vitest';
import { endOfSecond, type KnownChange, MOST_KNOWN } from '../../src/domain/chain.js';
import type { Json } from '../../src/domain/previous-attributes.js';

const CUSTOMER = { recreatable: false };
const COUPON = { recreatable: true };

function change(
  id: string,
  state: Json,
  previous: Json | null,
  over: Partial<KnownChange> = {},
): KnownChange {
  const text = JSON.stringify(state);
  const previousAttributes = previous === null ? null : JSON.stringify(previous);
  return { id, kind: 'updated', apiVersion: 'v1', digest: text, state: text, previousAttributes, ...over };
}

/** A change of one value. */
const step = (id: string, from: number, to: number, over: Partial<KnownChange> = {}) =>
  change(id, { x: to }, { x: from }, over);
const born = (id: string, x: number) => change(id, { x }, null, { kind: 'created' });

/** The same in every order of listing: arrival is no evidence. */
function endOf(known: readonly KnownChange[], traits = CUSTOMER) {
  const end = endOfSecond(7, known, traits);
  const forms = [[...known].reverse(), [...known.slice(1), ...known.slice(0, 1)]];
  for (const form of forms) expect(endOfSecond(7, form, traits)).toEqual(end);
  return end;
}

describe('the known changes of a second', () => {
  it('end in the state that none of them found', () => {
    expect(endOf([step('b', 1, 2), step('a', 2, 3)])).toEqual({
      second: 7,
      digest: '{"x":3}',
      order: ['b', 'a'],
    });
    expect(endOf([step('c', 1, 2), step('a', 2, 3), step('b', 3, 4)])?.order).toEqual(['c', 'a', 'b']);
  });

  it('begin with a creation', () => {
    expect(endOf([step('a', 1, 2), born('b', 1)])?.order).toEqual(['b', 'a']);
    expect(endOf([step('a', 1, 2), step('c', 2, 1), born('b', 1)])).toMatchObject({
      digest: '{"x":1}',
      order: ['b', 'a', 'c'],
    });
  });

  it('may come back to a state and leave it again', () => {
    expect(endOf([step('a', 1, 2), step('b', 2, 1), step('c', 1, 3)])).toMatchObject({
      digest: '{"x":3}',
      order: ['a', 'b', 'c'],
    });
    expect(endOf([step('a', 5, 1), step('b', 2, 1), step('c', 1, 2), step('d', 1, 3)])?.order).toEqual([
      'a',
      'c',
      'b',
      'd',
    ]);
  });

  it('tell nothing where they go round: each of two claims to follow the other', () => {
    expect(endOf([step('a', 1, 2), step('b', 2, 1)])).toBeNull();
    expect(endOf([step('a', 1, 2), step('b', 2, 3), step('c', 3, 1)])).toBeNull();
  });

  it('tell nothing where one of them is missing in between', () => {
    expect(endOf([step('a', 1, 2), step('c', 3, 4)])).toBeNull();
    expect(endOf([born('a', 1), step('c', 2, 3)])).toBeNull();
    expect(endOf([step('e', 1, 2), step('b', 2, 3), step('d', 2, 4)])).toBeNull();
    expect(endOf([step('a', 1, 2), step('b', 5, 6), step('c', 6, 5)])).toBeNull();
  });

  it('tell nothing where two say the same: one change that was announced twice, or one that was made again', () => {
    expect(endOf([step('a', 1, 2), step('b', 1, 2)])).toBeNull();
    expect(endOf([step('a', 1, 2), step('b', 1, 2), step('c', 2, 1)])).toBeNull();
  });

  it('tell nothing where the old values of the first are held by another state as well', () => {
    const first = change('a', { x: 2, y: 1 }, { x: 1 });
    expect(endOf([first, change('b', { x: 3, y: 1 }, { x: 2 })])?.order).toEqual(['a', 'b']);
    // It came back to x = 1 and says of y what the first did not: which one went before is open.
    expect(endOf([first, change('b', { x: 1, y: 0 }, { x: 2, y: 1 })])).toBeNull();
  });

  it('tell nothing where two states differ by no more than null and a missing key', () => {
    const absent = change('a', { x: 2 }, { x: 1 });
    const empty = change('b', { x: 2, note: null }, { x: 5 });
    expect(endOf([absent, empty, change('c', { x: 3 }, { x: 2 })])).toBeNull();
  });

  it('may include some that do not say what they found, where these are of the last state', () => {
    const silent = (id: string, x: number, previous: Json | null = null) => change(id, { x }, previous);
    for (const previous of [null, {}]) {
      expect(endOf([step('b', 1, 2), silent('a', 2, previous)])?.order).toEqual(['b', 'a']);
      const two = [step('b', 1, 2), silent('c', 2, previous), silent('a', 2, previous)];
      expect(endOf(two)?.order).toEqual(['b', 'a', 'c']);
      expect(endOf([step('b', 1, 2), silent('a', 1, previous)])).toBeNull();
      expect(endOf([step('a', 1, 2), step('b', 2, 3), silent('c', 2, previous)])).toBeNull();
      expect(endOf([step('b', 1, 2), silent('a', 9, previous)])).toBeNull();
      expect(endOf([silent('a', 2, previous), silent('b', 2, previous)])).toBeNull();
    }
  });

  it('tell nothing where the object ends in that second, or may begin again', () => {
    const gone = change('d', { x: 2 }, null, { kind: 'deleted' });
    expect(endOf([step('a', 1, 2), gone])).toBeNull();
    expect(endOf([born('a', 1), step('b', 1, 2)], COUPON)).toBeNull();
    expect(endOf([step('a', 1, 2), step('b', 2, 3)], COUPON)).toMatchObject({ digest: '{"x":3}' });
    expect(endOf([born('a', 1), born('c', 2), step('b', 2, 3)])).toBeNull();
  });

  it('tell nothing where they are rendered in different API versions, or in one that is not known', () => {
    expect(endOf([step('a', 1, 2), step('b', 2, 3, { apiVersion: 'v2' })])).toBeNull();
    const unknown = { apiVersion: null };
    expect(endOf([step('a', 1, 2, unknown), step('b', 2, 3, unknown)])).toBeNull();
  });

  it('tell nothing where two big integers would pass for one', () => {
    const state = (big: string) => ({ state: `{"big":${big}}`, digest: big });
    const a = change('a', {}, null, { ...state('9007199254740993'), previousAttributes: '{"big":1}' });
    const b = change('b', {}, null, { ...state('2'), previousAttributes: '{"big":9007199254740992}' });
    expect(endOf([a, b])).toBeNull();
    const c = change('c', {}, null, { ...state('3'), previousAttributes: '{"big":1}' });
    const d = change('d', {}, null, { ...state('2'), previousAttributes: '{"big":3}' });
    expect(endOf([c, d])?.order).toEqual(['c', 'd']);
    expect(endOf([c, d, a])).toBeNull();
  });

  it('tell nothing where one of them says that it found what it left', () => {
    expect(endOf([change('a', { x: 1 }, { x: 1 }), step('b', 1, 2)])).toBeNull();
  });

  it('tell nothing where there are none, or more than are compared', () => {
    expect(endOf([])).toBeNull();
    const many = (count: number) => Array.from({ length: count }, (_, at) => step(`e${at}`, at, at + 1));
    expect(endOf(many(MOST_KNOWN))?.digest).toBe(`{"x":${MOST_KNOWN}}`);
    expect(endOf(many(MOST_KNOWN + 1))).toBeNull();
  });
});
