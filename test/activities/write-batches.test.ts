import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import pLimit from 'p-limit';
import { describe, expect, it } from 'vitest';
import { type Batching, createBatchWriter } from '../../activities/write-batches.js';

interface Page {
  readonly name: string;
  readonly rows: readonly string[];
  readonly length?: number;
}

/** A writer that notes what it wrote together, and what was under way at the same time. */
function createRoom(over: Partial<Batching<Page, string>> = {}, ms = 5) {
  const batches: string[][] = [];
  const underWay = new Set<readonly Page[]>();
  const together: Page[][] = [];
  const writer = createBatchWriter<Page, string>({
    writing: pLimit(4),
    rowsOf: ({ rows }) => rows,
    mayShareRows: false,
    lengthOf: ({ length = 1 }) => length,
    async write(pages) {
      batches.push(pages.map(({ name }) => name));
      underWay.add(pages);
      together.push([...underWay].flat());
      await sleep(ms);
      underWay.delete(pages);
      return pages.map(({ name }) => `${name} is written`);
    },
    ...over,
  });
  return { writer, batches, together };
}

const pagesOf = (count: number): Page[] =>
  Array.from({ length: count }, (_, index) => ({ name: `page ${index}`, rows: [`row ${index}`] }));

describe('pages that are written', () => {
  it('go together where they came while others were written, in their order, and each gets its own result', async () => {
    const { writer, batches } = createRoom({ writing: pLimit(1) });
    const results = await Promise.all(pagesOf(7).map((page) => writer.write(page)));
    expect(results).toEqual(pagesOf(7).map(({ name }) => `${name} is written`));
    expect(batches.flat()).toEqual(pagesOf(7).map(({ name }) => name));
    expect(batches.length).toBeLessThan(4);
    expect(Math.max(...batches.map((batch) => batch.length))).toBe(5);
  });

  it('are not held up for others to come', async () => {
    const { writer, batches } = createRoom();
    await writer.write({ name: 'one', rows: ['a'] });
    await writer.write({ name: 'two', rows: ['b'] });
    expect(batches).toEqual([['one'], ['two']]);
  });

  it('go apart where they are long', async () => {
    const { writer, batches } = createRoom({ writing: pLimit(1) });
    await Promise.all(pagesOf(6).map((page) => writer.write({ ...page, length: 600_000 })));
    expect(Math.max(...batches.map((batch) => batch.length))).toBe(2);
  });

  it('share rows within a transaction only where they may, and with another one under way never', async () => {
    const pages = ['one', 'two', 'three'].map((name) => ({ name, rows: ['the same', name] }));
    for (const mayShareRows of [false, true]) {
      const { writer, batches, together } = createRoom({ mayShareRows });
      await Promise.all(pages.map((page) => writer.write(page)));
      expect(batches).toEqual(mayShareRows ? [['one', 'two', 'three']] : [['one'], ['two'], ['three']]);
      expect(together.length).toBe(batches.length);
    }
  });

  it('fail together, and those that come after them do not', async () => {
    let failed = false;
    const { writer } = createRoom({
      writing: pLimit(1),
      async write(pages) {
        if (pages.length === 1 || failed) return pages.map(({ name }) => name);
        failed = true;
        throw new Error('the connection is lost');
      },
    });
    const results = await Promise.allSettled(pagesOf(8).map((page) => writer.write(page)));
    expect(results.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(1);
    expect(results.at(-1)).toEqual({ status: 'fulfilled', value: 'page 7' });
  });

  it('are all written, whatever rows they have, and never two of one row at a time', async () => {
    const page = fc.record({
      rows: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { maxLength: 3 }),
      length: fc.constantFrom(1, 400_000, 2_000_000),
      after: fc.nat({ max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(page, { maxLength: 30 }), async (drawn) => {
        const { writer, together } = createRoom({}, 1);
        const results = await Promise.all(
          drawn.map(async ({ after, ...rest }, index) => {
            await sleep(after);
            return writer.write({ ...rest, name: `page ${index}` });
          }),
        );
        expect(results).toEqual(drawn.map((_, index) => `page ${index} is written`));
        for (const pages of together) {
          const rows = pages.flatMap((each) => each.rows);
          expect(rows).toHaveLength(new Set(rows).size);
        }
      }),
      { numRuns: 60 },
    );
  });
});
