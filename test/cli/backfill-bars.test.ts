import { describe, expect, it } from 'vitest';
import {
  endedBackfillLine,
  endedTypeLine,
  mergedTypes,
  progressLine,
  totalPace,
  typeLines,
} from '../../src/cli/backfill-bars.js';
import { createMovingPace } from '../../src/cli/moving-pace.js';
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

/** What was seen at each of these looks. */
function paceOf(...looks: readonly (readonly ListingProgress[])[]) {
  const pace = createMovingPace();
  for (const look of looks) pace.take(look);
  return pace;
}

describe('the bars of a backfill', () => {
  it('show each type that is under way, the largest first, with its share, its speed of late and what is left', () => {
    const before = [listing({ rows: 10_000, share: 0.2, at: AT + 4_000 })];
    const now = [
      listing({ object: 'plan', rows: 20, startedAt: AT + 5_000, at: AT + 6_000 }),
      listing({ rows: 14_000, share: 0.25, at: AT + 6_000 }),
      listing({ object: 'coupon', state: 'done', rows: 70_000, endedAt: AT + 5_000, at: AT + 6_000 }),
    ];
    expect(typeLines(now, paceOf(before, now), { room: 9, frame: 0 })).toEqual([
      '  customer  █████░░░░░░░░░░░░░░░  25 %  14,000 rows  2,000/s  about 21 s left',
      '  plan      ▒▒▒▒░░░░░░░░░░░░░░░░            20 rows  20/s',
    ]);
  });

  it('are as many as there is room for, and tell how many more there are', () => {
    const now = [1, 2, 3, 4, 5].map((rows) => listing({ object: `type_${rows}`, rows }));
    const pace = paceOf(now);
    const of = (room: number) =>
      typeLines(now, pace, { room, frame: 0 }).map((line) => line.trim().split(' ')[0]);
    expect(of(5)).toEqual(['type_5', 'type_4', 'type_3', 'type_2', 'type_1']);
    expect(of(3)).toEqual(['type_5', 'type_4', 'and']);
    expect(typeLines(now, pace, { room: 3, frame: 0 }).at(-1)).toBe('  and 3 more');
    expect(of(0)).toEqual([]);
  });

  it('move where nobody knows how much there is, and say when a type is checked for what its list did not show', () => {
    const unknown = [listing({ rows: 5 })];
    const frames = [0, 1, 8, 9].map((frame) => typeLines(unknown, paceOf(unknown), { room: 1, frame })[0]);
    expect(new Set(frames).size).toBe(4);
    expect(new Set(frames.map((line) => line?.length)).size).toBe(1);
    const sweeping = [listing({ state: 'sweeping', rows: 5_000, share: 1, swept: 1_200 })];
    expect(typeLines(sweeping, paceOf(sweeping), { room: 1, frame: 0 })).toEqual([
      '  customer  ████████████████████ 100 %  5,000 rows  sweeping: checks what the listing did not show (1,200 so far)',
    ]);
  });
});

describe('the speed of a backfill', () => {
  it('is that of the last seconds, and of the time since it began at the first look', () => {
    const look = (second: number, rows: number) => [listing({ rows, at: AT + second * 1000 })];
    expect(paceOf(look(10, 5_000)).all()).toBe(500);
    expect(paceOf(look(10, 5_000), look(12, 5_200)).all()).toBe(100);
    const over = [1, 2, 8, 14, 20].map((second) => look(second, 9_000));
    expect(paceOf(look(0, 0), ...over).all()).toBe(0);
    expect(paceOf(look(0, 0), ...over).of(listing())).toBe(0);
  });
});

describe('the line in all', () => {
  const types = [
    { object: 'customer', rows: 100, done: false },
    { object: 'plan', rows: 7, done: true },
    { object: 'coupon', rows: 0, done: false },
  ];
  const backfill = { number: 3, reason: 'asked for', types };
  const look = (second: number, rows: number, share: number) => [
    listing({ rows, share, at: AT + second * 1000 }),
    listing({ object: 'plan', state: 'done', rows: 7, endedAt: AT + 100, at: AT + second * 1000 }),
  ];
  const lineOf = (seen: typeof types, ...looks: (readonly ListingProgress[])[]) => {
    const listings = looks.at(-1) ?? [];
    const merged = mergedTypes(seen, listings);
    return progressLine({ ...backfill, types: merged }, totalPace(merged, listings, paceOf(...looks)));
  };

  it('has the number, the reason, types, rows, the speed, and how long it takes at least', () => {
    const looks = [look(2, 40_000, 0.1), look(4, 123_449, 0.5)];
    expect(lineOf(types, ...looks)).toBe(
      'Backfill 3 (asked for)  1 of 3 types, 123,456 rows, 41,725 rows/s, at least 3 s left',
    );
    // Once nothing waits for its turn, the guess is one of the whole.
    expect(lineOf(types.slice(0, 2), ...looks)).toBe(
      'Backfill 3 (asked for)  1 of 2 types, 123,456 rows, 41,725 rows/s, about 3 s left',
    );
  });

  it('has what the workflow says where PostgreSQL is not asked, and says when it begins', () => {
    expect(lineOf(types)).toBe('Backfill 3 (asked for)  1 of 3 types, 107 rows');
    expect(lineOf([])).toBe('Backfill 3 (asked for) begins');
  });

  it('tells at the end what became of it', () => {
    const ended = [
      listing({ state: 'done', rows: 50_000, endedAt: AT + 22_000 }),
      listing({ object: 'plan', state: 'skipped', reason: 'no permission', endedAt: AT + 1_000 }),
      listing({ object: 'coupon', state: 'failed', reason: 'it broke', endedAt: AT + 25_000 }),
    ];
    const merged = mergedTypes(
      types.map((type) => ({ ...type, rows: 0, done: true })),
      ended,
    );
    expect(endedBackfillLine({ ...backfill, types: merged, state: 'failed' }, ended)).toBe(
      'Backfill 3 (asked for) failed: 3 of 3 types, 50,000 rows in 25 s (2,000/s), 1 left out, 1 failed',
    );
    expect(endedBackfillLine({ ...backfill, types, state: 'done' }, [])).toBe(
      'Backfill 3 (asked for) done: 1 of 3 types, 107 rows',
    );
  });
});

describe('a type that has ended', () => {
  const lineOf = (over: Partial<ListingProgress>) => {
    const ended = listing({ state: 'done', endedAt: AT + 22_000, at: AT + 30_000, ...over });
    const [type] = mergedTypes([{ object: 'customer', rows: 0, done: false }], [ended]);
    return type === undefined ? undefined : endedTypeLine(type, ended);
  };

  it('has a line where it held something or was left out, and none where it was empty', () => {
    expect(lineOf({ rows: 50_000 })).toBe('customer  50,000 rows in 22 s (2,273/s)');
    expect(lineOf({ rows: 9, endedAt: AT + 240 })).toBe('customer  9 rows in 0.2 s');
    expect(lineOf({ rows: 0 })).toBeNull();
    expect(lineOf({ state: 'skipped', reason: 'no permission' })).toBe('customer  left out: no permission');
    expect(lineOf({ state: 'failed', reason: 'it broke', rows: 7 })).toBe('customer  failed: it broke');
  });

  it('has a line that tells what is not in its table', () => {
    expect(lineOf({ rows: 3, refused: 1, unswept: 12_000 })).toBe(
      'customer  3 rows in 22 s (0/s); 1 more cannot be held by PostgreSQL (the log names them); ' +
        'the listing left out 12,000 rows, which are too many to be looked for one by one',
    );
  });
});

describe('the types of a status', () => {
  it('are as far as PostgreSQL knows them to be, where the workflow has not been told yet', () => {
    const types = [
      { object: 'customer', rows: 100, done: false },
      { object: 'plan', rows: 7, done: true },
      { object: 'coupon', rows: 0, done: false },
      { object: 'charge', rows: 0, done: false },
    ];
    const listings = [
      listing({ rows: 900, share: 0.4 }),
      listing({ object: 'plan', state: 'done', rows: 7, share: 1, endedAt: AT, unswept: 3, refused: 2 }),
      listing({ object: 'charge', state: 'skipped', share: 1, endedAt: AT, reason: 'no permission' }),
    ];
    expect(mergedTypes(types, listings)).toEqual([
      { object: 'customer', rows: 900, done: false, share: 0.4 },
      { object: 'plan', rows: 7, done: true, refused: 2, unswept: 3 },
      { object: 'coupon', rows: 0, done: false },
      { object: 'charge', rows: 0, done: true, skipped: 'no permission' },
    ]);
  });
});
