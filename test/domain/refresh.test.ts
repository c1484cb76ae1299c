import { describe, expect, it } from 'vitest';
import { planOf, type Refreshable } from '../../src/domain/refresh.js';

const DAY = 86_400;
const rhythm = { everySeconds: DAY, lagSeconds: 20 };
const known: Refreshable = {
  object: 'thing',
  partly: null,
  completeTo: 1_000_000,
  wholeSecondsAgo: DAY,
  isUnused: false,
  oldestOpen: null,
};

const sinceOf = (over: Partial<Refreshable>, every = DAY) =>
  planOf([{ ...known, ...over }], { ...rhythm, everySeconds: every }).sinceOf.thing;

describe('a refresh', () => {
  it('lists every type that it is given, in their order', () => {
    const plan = planOf([known, { ...known, object: 'other', partly: 'newest' }], rhythm);
    expect(plan).toEqual({ types: ['thing', 'other'], sinceOf: { other: 999_920 } });
  });

  it('lists what may be edited as a whole', () => {
    expect(sinceOf({ partly: null })).toBeUndefined();
  });

  it('lists what only grows from where it is complete, less the lag and a minute', () => {
    expect(sinceOf({ partly: 'newest' })).toBe(1_000_000 - 20 - 60);
  });

  it('reaches back to the oldest row that may still change', () => {
    expect(sinceOf({ partly: 'newest', oldestOpen: 400_000 })).toBe(400_000);
    expect(sinceOf({ partly: 'newest', oldestOpen: 1_000_000 })).toBe(999_920);
  });

  it.each(['newest', 'parents'] as const)('lists all of a type that was never complete (%s)', (partly) => {
    expect(sinceOf({ partly, completeTo: null })).toBeUndefined();
  });

  it('never asks for a time before 1970', () => {
    expect(sinceOf({ partly: 'newest', completeTo: 10 })).toBe(0);
  });

  it('walks the parents that changed, and all of them once a week at least, whenever the next one comes', () => {
    expect(sinceOf({ partly: 'parents' })).toBe(999_920);
    expect(sinceOf({ partly: 'parents', wholeSecondsAgo: 6 * DAY })).toBe(999_920);
    expect(sinceOf({ partly: 'parents', wholeSecondsAgo: 6 * DAY + 1 })).toBeUndefined();
    expect(sinceOf({ partly: 'parents', wholeSecondsAgo: 6 * DAY + 1 }, 3_600)).toBe(999_920);
    expect(sinceOf({ partly: 'parents', wholeSecondsAgo: 0 }, 8 * DAY)).toBeUndefined();
    expect(sinceOf({ partly: 'parents', wholeSecondsAgo: null })).toBeUndefined();
  });

  it('leaves out what the account does not use, for three days at most, whenever the next one comes', () => {
    const types = (over: Partial<Refreshable>, every = DAY) =>
      planOf([{ ...known, isUnused: true, ...over }], { ...rhythm, everySeconds: every }).types;
    expect(types({ wholeSecondsAgo: DAY })).toEqual([]);
    expect(types({ wholeSecondsAgo: 2 * DAY })).toEqual([]);
    expect(types({ wholeSecondsAgo: 2 * DAY + 1 })).toEqual(['thing']);
    expect(types({ wholeSecondsAgo: 0 }, 4 * DAY)).toEqual(['thing']);
    expect(types({ wholeSecondsAgo: null })).toEqual(['thing']);
    expect(types({ wholeSecondsAgo: DAY, isUnused: false })).toEqual(['thing']);
  });

  it('does not list what only grows as a whole again, however long ago that was', () => {
    expect(sinceOf({ partly: 'newest', wholeSecondsAgo: 400 * DAY })).toBe(999_920);
  });
});
