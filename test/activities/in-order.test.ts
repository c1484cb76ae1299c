import fc from 'fast-check';
import { expect, it } from 'vitest';
import { inOrder } from '../../activities/in-order.js';

/** Waits for so many turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const waits = fc.array(fc.nat({ max: 6 }), { maxLength: 40 });

async function runOn(
  items: readonly number[],
  atOnce: number,
  { failing = -1, givenUp = -1, settling = 0 }: { failing?: number; givenUp?: number; settling?: number },
) {
  const settled: number[] = [];
  let taken = 0;
  let working = 0;
  let most = 0;
  let farthest = 0;
  const ends = await inOrder<number, number>({
    isOver: () => false,
    atOnce: () => atOnce,
    next: async () => {
      await turns(taken % 3);
      taken += 1;
      return taken > items.length ? null : taken - 1;
    },
    work: async (item) => {
      working += 1;
      most = Math.max(most, working);
      farthest = Math.max(farthest, item - settled.length);
      await turns(items[item] ?? 0);
      working -= 1;
      if (item === failing) throw new Error('this one fails');
      return item === givenUp ? null : item;
    },
    settle: async (done) => {
      await turns(settling);
      settled.push(...done.map(({ result }) => result));
    },
    onWaiting: () => undefined,
  }).catch((error: Error) => error.message);
  return { settled, ends, most, farthest };
}

it('settles each item once and in order, however long each takes', async () => {
  await fc.assert(
    fc.asyncProperty(
      waits,
      fc.integer({ min: 1, max: 6 }),
      fc.nat({ max: 3 }),
      async (items, atOnce, settling) => {
        const { settled, ends, most, farthest } = await runOn(items, atOnce, { settling });
        expect(settled).toEqual(items.map((_, index) => index));
        expect(ends).toBe(true);
        expect(most).toBeLessThanOrEqual(atOnce);
        expect(farthest).toBeLessThan(2 * atOnce);
      },
    ),
    { numRuns: 60 },
  );
});

it('settles what lies before the one that fails or is given up, and nothing from it on', async () => {
  const among = waits.chain((items) => fc.tuple(fc.constant([...items, 1]), fc.nat({ max: items.length })));
  await fc.assert(
    fc.asyncProperty(
      among,
      fc.integer({ min: 1, max: 6 }),
      fc.boolean(),
      async ([items, at], atOnce, fails) => {
        const { settled, ends } = await runOn(items, atOnce, fails ? { failing: at } : { givenUp: at });
        expect(settled).toEqual(Array.from({ length: at }, (_, index) => index));
        expect(ends).toBe(fails ? 'this one fails' : false);
      },
    ),
    { numRuns: 60 },
  );
});
