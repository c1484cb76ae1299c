import { describe, expect, it } from 'vitest';
import {
  type AuditTotals,
  type Comparison,
  isAhead,
  isClean,
  isEqual,
  isExplained,
  judge,
  nextSliceSeconds,
  remainingOf,
} from '../../src/domain/audit.js';

const NOW = 1_000;
const shown = (asOf: number, asOfUntil = asOf + 2, found: 'object' | 'gone' = 'object') => ({
  asOf,
  asOfUntil,
  found,
});
const row = (asOf: number, asOfUntil = asOf, deleted = false) => ({ asOf, asOfUntil, deleted });
const look = (over: Partial<Comparison>): Comparison => ({
  shown: shown(900),
  row: row(100),
  same: false,
  reads: 1,
  stripeNow: NOW,
  ...over,
});

describe('a row beside what Stripe showed', () => {
  it.each([
    { title: 'the same state', over: { same: true }, equal: true },
    { title: 'another state', over: {}, equal: false },
    { title: 'no row of an object', over: { row: null }, equal: false },
    { title: 'no row of a deleted object', over: { row: null, shown: shown(900, 902, 'gone') }, equal: true },
    { title: 'a tombstone', over: { row: row(1, 1, true), shown: shown(900, 902, 'gone') }, equal: true },
    { title: 'a living row of a deleted object', over: { shown: shown(900, 902, 'gone') }, equal: false },
    { title: 'a tombstone of a living object', over: { row: row(1, 1, true), same: true }, equal: false },
    { title: 'a row that the list did not show', over: { shown: null, same: true }, equal: false },
  ] as const)('$title: equal $equal', ({ over, equal }) => {
    expect(isEqual(look(over))).toBe(equal);
  });
});

describe('a look at a row that differs', () => {
  it.each([
    { title: 'a list alone is no proof', over: { reads: 0 }, says: 'read' },
    { title: 'what the list did not show is read by itself', over: { shown: null, reads: 0 }, says: 'read' },
    { title: 'a row that is behind a read may be late', over: {}, says: 'keep' },
    { title: 'a row that is not there may be late', over: { row: null }, says: 'keep' },
    { title: 'a row that has moved on says nothing of the read', over: { row: row(950) }, says: 'read' },
    { title: 'nor does one of the same second', over: { row: row(901) }, says: 'read' },
    { title: 'a row of the future waits for nobody', over: { row: row(5_000) }, says: 'keep' },
    { title: 'nor does one whose end is in the future', over: { row: row(100, 5_000) }, says: 'keep' },
  ] as const)('$title: $says', ({ over, says }) => {
    expect(judge(look(over))).toBe(says);
  });
});

describe('the verdict after the last look', () => {
  it.each([
    { title: 'behind the read', over: {}, explained: false },
    { title: 'not there', over: { row: null }, explained: false },
    { title: 'moved on', over: { row: row(950) }, explained: true },
    { title: 'of the same second', over: { row: row(902) }, explained: true },
    { title: 'equal', over: { same: true }, explained: true },
    { title: 'of the future', over: { row: row(NOW + 11) }, explained: false },
    { title: 'of a clock that is a little off', over: { row: row(NOW + 10) }, explained: true },
    { title: 'never shown whole', over: { shown: null }, explained: false },
  ] as const)('a row that is $title: explained $explained', ({ over, explained }) => {
    expect(isExplained(look(over))).toBe(explained);
  });
});

describe('a result', () => {
  const none: AuditTotals = {
    compared: 10,
    missing: 0,
    stale: 0,
    extra: 0,
    events: 0,
    healed: 0,
    unverified: 0,
    notCompared: 0,
  };
  it.each([
    { over: {}, clean: true, remaining: 0 },
    { over: { missing: 1 }, clean: false, remaining: 1 },
    { over: { stale: 2, extra: 1, events: 3 }, clean: false, remaining: 6 },
    { over: { stale: 2, events: 1, healed: 3 }, clean: true, remaining: 0 },
    { over: { stale: 2, healed: 1 }, clean: false, remaining: 1 },
    { over: { unverified: 1 }, clean: false, remaining: 0 },
    { over: { notCompared: 1 }, clean: false, remaining: 0 },
  ])('with $over is clean: $clean', ({ over, clean, remaining }) => {
    expect(isClean({ ...none, ...over })).toBe(clean);
    expect(remainingOf({ ...none, ...over })).toBe(remaining);
  });

  it('comes in slices that grow, and not for ever', () => {
    expect(nextSliceSeconds(2)).toBe(4);
    expect(nextSliceSeconds(100)).toBe(120);
    expect(nextSliceSeconds(120)).toBe(120);
  });

  it('calls a row ahead only beyond what clocks are off by', () => {
    expect(isAhead(row(NOW + 10), NOW)).toBe(false);
    expect(isAhead(row(NOW + 11), NOW)).toBe(true);
  });
});
