import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ListRequest } from '../../src/domain/list-request.js';
import { readWindow, type Window, type WindowProgress } from '../../src/domain/window.js';
import { createdOf, createModelList, type ModelEvent, type ModelList, modelId } from './model-list.js';

interface ReadOver {
  readonly from?: number;
  readonly takes?: number;
  readonly crashAfter?: number;
  readonly progress?: WindowProgress;
  /** Stripe does not know the position of a request. */
  readonly mislays?: (request: ListRequest, asked: number) => boolean;
}

function read(list: ModelList, window: Window, now: number, over: ReadOver = {}): WindowProgress {
  const { takes = 0, crashAfter = Infinity, mislays = () => false } = over;
  const steps = readWindow(window, over.progress);
  let step = steps.next();
  let time = now;
  for (let asked = 0; !step.done; asked += 1) {
    if (asked >= crashAfter) return step.value.progress;
    expect(asked).toBeLessThan(5_000);
    const { request } = step.value;
    step = steps.next(mislays(request, asked) ? 'lost' : list.answer(request, time));
    time += takes;
  }
  return step.value;
}

const drawn = fc.array(
  fc.record({
    at: fc.oneof(fc.double({ min: 0, max: 200, noNaN: true }), fc.double({ min: 50, max: 51, noNaN: true })),
    delay: fc.double({ min: 0, max: 300, noNaN: true }),
    order: fc.nat({ max: 1_000 }),
  }),
  { maxLength: 200 },
);
const eventsOf = (entries: readonly { at: number; delay: number; order: number }[]): ModelEvent[] =>
  entries.map(({ at, delay, order }, index) => ({
    id: modelId(index, order),
    at,
    visibleAt: at + delay,
    order: order * 1_000 + index,
  }));

const inWindow = (events: readonly ModelEvent[], { from, to }: Window, now: number) =>
  events
    .filter((event) => createdOf(event) >= from && createdOf(event) <= to && event.visibleAt <= now)
    .map((event) => event.id)
    .sort();

describe('a rescan', () => {
  it('lists everything that has become visible within its window, also where it goes on after a crash', () => {
    fc.assert(
      fc.property(
        drawn,
        fc.record({
          from: fc.nat({ max: 100 }),
          length: fc.nat({ max: 100 }),
          now: fc.integer({ min: 200, max: 500 }),
          pageSize: fc.integer({ min: 1, max: 100 }),
          crashAfter: fc.nat({ max: 10 }),
          takes: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
        (entries, { from, length, now, pageSize, crashAfter, takes }) => {
          const events = eventsOf(entries);
          const window = { from, to: from + length };
          const list = createModelList(events, { pageSize });
          const progress = read(list, window, now, { crashAfter, takes });
          const end = read(list, window, now + 50, { progress, takes });
          expect(end.done).toBe(true);
          expect(list.seen).toEqual(new Set([...list.seen, ...inWindow(events, window, now)]));
          const listed = events.filter(({ id }) => list.seen.has(id));
          expect(listed.every((event) => createdOf(event) >= from && createdOf(event) <= from + length)).toBe(
            true,
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it('ends where the oldest part of its window ages out meanwhile', () => {
    const events = eventsOf(
      new Array(400).fill(null).map((_, index) => ({ at: index / 4, delay: 0, order: index })),
    );
    const list = createModelList(events, { pageSize: 10, retentionSeconds: 100 });
    const end = read(list, { from: 0, to: 100 }, 100, { takes: 2 });
    expect(end.done).toBe(true);
    expect(list.seen.size).toBeGreaterThan(200);
  });

  it('finds its way past a position that Stripe mislays, and misses nothing', () => {
    const events = eventsOf(
      new Array(300).fill(null).map((_, index) => ({ at: Math.floor(index / 7), delay: 0, order: index })),
    );
    const list = createModelList(events, { pageSize: 20 });
    read(list, { from: 0, to: 100 }, 1_000, {
      mislays: (request, asked) => request.kind === 'window' && request.below !== null && asked % 3 === 1,
    });
    expect(list.seen.size).toBe(events.length);
  });

  it('ends also where Stripe mislays every position', () => {
    const events = eventsOf(
      new Array(300).fill(null).map((_, index) => ({ at: Math.floor(index / 60), delay: 0, order: index })),
    );
    const list = createModelList(events, { pageSize: 20 });
    const end = read(list, { from: 0, to: 100 }, 1_000, {
      mislays: (request) => request.kind === 'window' && request.below !== null,
    });
    expect(end.done).toBe(true);
  });

  it('does not go round in circles where an empty page says that there is more', () => {
    const steps = readWindow({ from: 0, to: 10 });
    steps.next();
    expect(() => steps.next({ listed: [], hasMore: true, readAt: 1, saidAt: 1, news: 0 })).toThrow(
      /there is more/,
    );
  });
});
