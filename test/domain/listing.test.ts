import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterLostCursor, afterPage, LISTING_START } from '../../src/domain/listing.js';

describe('a listing', () => {
  it('goes on after the last object of a page, and to the next pass after the last page', () => {
    const first = afterPage(LISTING_START, ['c', 'b'], 2, true);
    expect(first).toMatchObject({ pass: 0, startingAfter: 'b', rows: 2 });
    expect(afterPage(first, ['a'], 1, false)).toEqual({ pass: 1, startingAfter: null, trail: [], rows: 3 });
  });

  it('ends a pass whose page is empty, whatever it says of more', () => {
    expect(afterPage(LISTING_START, [], 0, true)).toMatchObject({ pass: 1, startingAfter: null });
  });

  it('goes back step by step where its objects are deleted, and begins the pass anew in the end', () => {
    let position = afterPage(LISTING_START, ['d', 'c', 'b'], 3, true);
    const seen: (string | null)[] = [];
    for (let lost = 0; position.startingAfter !== null; lost += 1) {
      expect(lost).toBeLessThan(20);
      position = afterLostCursor(position);
      seen.push(position.startingAfter);
    }
    expect(seen).toEqual(['d', null]);
  });

  it('reaches every object that lives throughout, whatever else is deleted on the way', () => {
    const drawn = fc.record({
      size: fc.integer({ min: 1, max: 400 }),
      page: fc.integer({ min: 1, max: 100 }),
      doomed: fc.array(fc.nat({ max: 400 })),
    });
    fc.assert(
      fc.property(drawn, ({ size, page, doomed }) => {
        let objects = Array.from({ length: size }, (_, index) => `id${index}`);
        const lasting = new Set(objects.filter((_, index) => !doomed.includes(index)));
        const listed = new Set<string>();
        let position = LISTING_START;
        for (let request = 0; position.pass === 0; request += 1) {
          expect(request).toBeLessThan(3_000);
          const start = position.startingAfter === null ? 0 : objects.indexOf(position.startingAfter) + 1;
          if (position.startingAfter !== null && start === 0) {
            position = afterLostCursor(position);
            continue;
          }
          const ids = objects.slice(start, start + page);
          for (const id of ids) listed.add(id);
          position = afterPage(position, ids, ids.length, start + page < objects.length);
          const next = doomed.shift();
          const victim = position.startingAfter ?? `id${next}`;
          if (next !== undefined && !lasting.has(victim)) objects = objects.filter((id) => id !== victim);
        }
        for (const id of lasting) expect(listed.has(id)).toBe(true);
      }),
    );
  });
});
