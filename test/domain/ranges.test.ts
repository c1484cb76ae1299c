import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterLostRangeCursor,
  afterRangePage,
  type Range,
  rangeOf,
  rangeQuery,
  shareListed,
  splitLargest,
} from '../../src/domain/ranges.js';

const WHOLE = rangeOf(1, null, null);

interface Item {
  readonly id: string;
  readonly created: number;
}

const START = 1_700_000_000;

/** A list as Stripe has it: the newest first, narrowed by what a query says. Null where it does not know the cursor. */
function answer(items: readonly Item[], query: Record<string, string>, size: number) {
  const after = query.starting_after;
  const place = after === undefined ? -1 : items.findIndex(({ id }) => id === after);
  if (after !== undefined && place === -1) return null;
  const from = Number(query['created[gte]'] ?? 0);
  const to = Number(query['created[lt]'] ?? Infinity);
  const left = items.filter(({ created }, index) => index > place && created >= from && created < to);
  const page = left.slice(0, size);
  return {
    ids: page.map(({ id }) => id),
    created: page.map(({ created }) => created),
    hasMore: left.length > page.length,
  };
}

interface World {
  readonly seconds: readonly number[];
  readonly size: number;
  /** Which walker moves, and what else happens before it does. */
  readonly moves: readonly {
    readonly walker: number;
    readonly deletes: number | null;
    readonly loses: boolean;
  }[];
}

/** Walks a world with three walkers whose pages cross: what is asked for is taken in later, unless it is lost. */
function walk({ seconds, size, moves }: World) {
  let items: readonly Item[] = seconds
    .map((second, index) => ({ id: `obj_${(index * 7919) % 1009}_${index}`, created: START + second }))
    .toSorted((a, b) => b.created - a.created || (a.id < b.id ? 1 : -1));
  const deleted = new Set<string>();
  const ranges = new Map<number, Range>([[1, WHOLE]]);
  const underWay = new Map<number, { range: number; page: ReturnType<typeof answer> }>();
  const listed = new Map<string, number>();
  let requests = 0;
  let number = 1;

  const step = (walker: number, loses: boolean) => {
    const begun = underWay.get(walker);
    if (begun !== undefined) {
      underWay.delete(walker);
      const range = ranges.get(begun.range);
      if (range === undefined || loses) return;
      if (begun.page === null) {
        const { ends: _, ...next } = afterLostRangeCursor(range);
        ranges.set(range.range, { ...range, ...next, pages: range.pages + 1 });
        return;
      }
      for (const id of begun.page.ids) listed.set(id, (listed.get(id) ?? 0) + 1);
      const { ends, ...next } = afterRangePage(range, begun.page);
      if (ends) ranges.delete(range.range);
      else {
        const rows = range.rows + begun.page.ids.length;
        ranges.set(range.range, { ...range, ...next, pages: range.pages + 1, rows });
      }
      return;
    }
    const busy = new Set([...underWay.values()].map(({ range }) => range));
    let range = [...ranges.values()].find((candidate) => !busy.has(candidate.range));
    if (range === undefined) {
      const split = splitLargest(ranges.values());
      const largest = split === null ? undefined : ranges.get(split.range);
      if (split === null || largest === undefined) return;
      number += 1;
      ranges.set(largest.range, { ...largest, from: split.at });
      range = { ...WHOLE, range: number, from: largest.from, to: split.at };
      ranges.set(number, range);
    }
    requests += 1;
    underWay.set(walker, { range: range.range, page: answer(items, rangeQuery(range, {}), size) });
  };

  let moved = 0;
  for (; ranges.size > 0 || underWay.size > 0; moved += 1) {
    if (moved > 20_000) throw new Error('the walk has no end');
    const move = moves[moved % Math.max(1, moves.length)] ?? {
      walker: moved % 3,
      deletes: null,
      loses: false,
    };
    const victim =
      moved < moves.length && move.deletes !== null ? items[move.deletes % items.length] : undefined;
    if (victim !== undefined) {
      deleted.add(victim.id);
      items = items.filter((item) => item !== victim);
    }
    step(moved < moves.length ? move.walker : moved % 3, moved < moves.length && move.loses);
  }
  const missed = items.filter(({ id }) => !listed.has(id));
  return { missed, requests, listed, items };
}

const worlds = fc.record({
  seconds: fc.array(fc.oneof(fc.nat(50), fc.nat(100_000), fc.integer({ min: -400_000_000, max: 0 })), {
    maxLength: 400,
  }),
  size: fc.integer({ min: 1, max: 12 }),
  moves: fc.array(
    fc.record({
      walker: fc.nat(2),
      deletes: fc.option(fc.nat(400), { freq: 8 }),
      loses: fc.boolean(),
    }),
    { maxLength: 300 },
  ),
});

describe('ranges of a type', () => {
  it('miss nothing that was there all the while, however walkers, divisions, deletions and lost pages mix', () => {
    fc.assert(
      fc.property(worlds, (world) => {
        expect(walk(world).missed).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('cost few requests beyond one per page: some per division, and none twice', () => {
    const seconds = Array.from({ length: 20_000 }, (_, index) => index * 500);
    const { requests, listed, missed } = walk({ seconds, size: 100, moves: [] });
    expect(missed).toEqual([]);
    const twice = [...listed.values()].filter((times) => times > 1).length;
    expect(requests).toBeLessThan(200 * 1.25);
    expect(twice).toBeLessThan(20_000 * 0.05);
  });

  it('are divided in the middle of what is left of the largest, and an empty half costs one request', () => {
    const range = {
      ...WHOLE,
      newest: START,
      reached: START - 1_000,
      startingAfter: 'x',
      pages: 2,
      rows: 200,
    };
    const split = splitLargest([range]);
    expect(split?.range).toBe(1);
    expect(split?.at).toBe(Math.ceil((1_230_768_000 + START - 1_000) / 2));
  });

  it('are divided where many pages seem to be left, and not where all objects share a second', () => {
    const nearlyDone = {
      ...WHOLE,
      from: START - 1_100,
      newest: START,
      reached: START - 1_000,
      pages: 9,
      rows: 900,
    };
    expect(splitLargest([nearlyDone])).toBeNull();
    const oneSecond = { ...WHOLE, from: START, newest: START, reached: START, pages: 9, rows: 900 };
    expect(splitLargest([oneSecond])).toBeNull();
    const begun = { ...WHOLE, newest: START, reached: START - 20_000_000, pages: 1, rows: 100 };
    expect(splitLargest([begun])).toBeNull();
    expect(splitLargest([{ ...begun, pages: 2, rows: 200 }])).not.toBeNull();
    const manyAtOnce = { ...begun, reached: START - 1_000 };
    expect(splitLargest([manyAtOnce])).toMatchObject({ range: WHOLE.range });
    const withoutTimes = { ...WHOLE, pages: 9, rows: 900 };
    expect(splitLargest([withoutTimes])).toBeNull();
  });

  it('end where the older half begins that somebody else took, without another request', () => {
    const range = { ...WHOLE, from: START, newest: START + 50, reached: START + 10 };
    const page = { ids: ['a', 'b'], created: [START + 5, START - 5], hasMore: true };
    expect(afterRangePage(range, page).ends).toBe(true);
    const unsorted = { ...page, ids: ['a', 'b', 'c'], created: [START + 5, START + 7, START - 5] };
    expect(afterRangePage(range, unsorted).ends).toBe(false);
  });

  it('ask for their own part of the list, from the object on that was listed last', () => {
    const range = { ...WHOLE, from: 10, to: 20, startingAfter: 'cus_1' };
    expect(rangeQuery(range, { active: 'true' })).toEqual({
      active: 'true',
      'created[gte]': '10',
      'created[lt]': '20',
      starting_after: 'cus_1',
    });
    expect(rangeQuery(WHOLE, {})).toEqual({});
  });

  it('tell which share of a type is listed by the time that is left', () => {
    const half = {
      ...WHOLE,
      from: START - 2_000,
      newest: START,
      reached: START - 1_000,
      pages: 3,
      rows: 300,
    };
    expect(shareListed(0, [half])).toBeCloseTo(0.5);
    expect(shareListed(3_000, [half])).toBeCloseTo(0.8);
    expect(shareListed(0, [])).toBeNull();
    expect(shareListed(0, [WHOLE])).toBeNull();
  });
});
