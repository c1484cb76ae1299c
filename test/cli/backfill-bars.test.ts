import { describe, expect, it } from 'vitest';
import { bar, createBars, endedLine, mergedTypes } from '../../src/cli/backfill-bars.js';
import type { ListingProgress } from '../../src/postgres/listings.js';

const AT = 1_800_000_000_000;

function listing(over: Partial<ListingProgress> = {}): ListingProgress {
  return {
    object: 'customer',
    state: 'listing',
    rows: 0,
    requests: 0,
    refused: 0,
    swept: 0,
    unswept: 0,
    share: null,
    startedAt: AT,
    endedAt: null,
    at: AT,
    reason: null,
    ...over,
  };
}

describe('the bars of a backfill', () => {
  it('show each type that is under way, the largest first, with its speed of late and what is left', () => {
    const bars = createBars();
    bars.lines([listing({ rows: 10_000, share: 0.2, at: AT + 4_000 })]);
    const lines = bars.lines([
      listing({ object: 'plan', rows: 20, at: AT + 6_000 }),
      listing({ rows: 14_000, share: 0.25, at: AT + 6_000 }),
      listing({ object: 'coupon', state: 'done', rows: 7, at: AT + 6_000 }),
    ]);
    expect(lines).toEqual([
      '  customer  █████░░░░░░░░░░░░░░░  25 %  14,000 rows, 2,000/s, about 18 s left',
      '  plan      ····················   ? %  20 rows, 10/s',
    ]);
    expect(Math.round(bars.rowsPerSecond())).toBe(2_014);
  });

  it('forget a speed that is long over', () => {
    const bars = createBars();
    bars.lines([listing({ rows: 0, at: AT })]);
    for (const second of [1, 2, 8, 14, 20]) bars.lines([listing({ rows: 9_000, at: AT + second * 1000 })]);
    expect(bars.rowsPerSecond()).toBe(0);
  });

  it('say when a type is only looked through for what its list did not show', () => {
    const [line] = createBars().lines([listing({ state: 'sweeping', rows: 5 })]);
    expect(line).toContain('100 %  5 rows, looking for what it did not show');
  });

  it('are never longer than their room', () => {
    expect([bar(0), bar(0.5), bar(1), bar(7), bar(null)].map((text) => text.length)).toEqual([
      20, 20, 20, 20, 20,
    ]);
  });
});

describe('a type that has ended', () => {
  it('has a line where it held something or was left out, and none where it was empty', () => {
    const ended = { state: 'done', endedAt: AT + 22_000, at: AT + 30_000 } as const;
    expect(endedLine(listing({ ...ended, rows: 50_000 }))).toBe('customer: 50,000 rows in 22.0 s (2,273/s)');
    expect(endedLine(listing({ ...ended, rows: 3, refused: 1, unswept: 12_000 }))).toBe(
      'customer: 3 rows in 22.0 s (0/s); 1 cannot be held by PostgreSQL; 12,000 rows that it did not show were not looked for',
    );
    expect(endedLine(listing({ ...ended, rows: 0 }))).toBeNull();
    expect(endedLine(listing())).toBeNull();
    expect(endedLine(listing({ ...ended, state: 'skipped', reason: 'no permission' }))).toBe(
      'customer is left out: no permission',
    );
  });
});

describe('the types of a status', () => {
  it('are as far as PostgreSQL knows them to be, where the workflow has not been told yet', () => {
    const types = [
      { object: 'customer', rows: 100, done: false },
      { object: 'plan', rows: 7, done: true },
      { object: 'coupon', rows: 0, done: false },
    ];
    const listings = [
      listing({ rows: 900, share: 0.4 }),
      listing({ object: 'plan', state: 'done', rows: 7, share: 1, unswept: 3 }),
    ];
    expect(mergedTypes(types, listings)).toEqual([
      { object: 'customer', rows: 900, done: false, share: 0.4 },
      { object: 'plan', rows: 7, done: true, unswept: 3 },
      { object: 'coupon', rows: 0, done: false },
    ]);
  });
});
