import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lookedAt } from '../../src/domain/trail.js';
import { createdOf, createModelList, type ModelEvent, type ModelList } from './model-list.js';
import { advance, begin, eventsOf, type Loop, type PassOver, passOver } from './pass-loop.js';

const LAG = 5;
const drawnEvent = (mostDelay: number) =>
  fc.record({
    at: fc.oneof(
      fc.double({ min: 0, max: 120, noNaN: true }),
      // Many in few seconds, so that a second spans pages.
      fc.double({ min: 20, max: 22, noNaN: true }),
    ),
    delay: fc.double({ min: 0, max: mostDelay, noNaN: true }),
    order: fc.nat({ max: 1_000 }),
  });

const step = fc.record({
  gap: fc.double({ min: 0.05, max: 15, noNaN: true }),
  requestTakes: fc.double({ min: 0, max: 2, noNaN: true }),
  /** A worker that dies in the middle of a pass goes on from what it had heartbeat, or has lost that too. */
  crashAfter: fc.option(fc.nat({ max: 4 }), { freq: 4 }),
  forgets: fc.boolean(),
  /** A stop and a start: only the cursor is left. */
  restarts: fc.boolean(),
});
const world = (mostDelay: number) =>
  fc.record({
    events: fc.array(drawnEvent(mostDelay), { maxLength: 300 }),
    steps: fc.array(step, { minLength: 1, maxLength: 40 }),
    pageSize: fc.integer({ min: 1, max: 100 }),
    pageCap: fc.integer({ min: 1, max: 10 }),
    /** Wrong by so many seconds at every step, or not there at all; it may jump back, and never ahead. */
    date: fc.constantFrom('exact', 'missing', 'jumps back'),
  });

const DATES = {
  exact: Math.floor,
  missing: () => null,
  'jumps back': (now: number) => Math.floor(now) - (Math.floor(now * 7) % 3 === 0 ? 3_600 : 0),
};

/** Passes until everything that is visible has been read. */
function settle(list: ModelList, loop: Loop, events: readonly ModelEvent[], over: PassOver): void {
  loop.now = Math.max(loop.now, ...events.map((event) => event.visibleAt)) + 1;
  for (let round = 0; round <= events.length + 20; round += 1) {
    loop.now += 1;
    passOver(list, loop, over);
    advance(loop, LAG);
  }
}

describe('passes over an eventually consistent list', () => {
  it('miss nothing that becomes visible within the lag, whatever the times, orders, pages, clocks and crashes', () => {
    fc.assert(
      fc.property(world(LAG), ({ events: drawn, steps, pageSize, pageCap, date }) => {
        const events = eventsOf(drawn);
        const list = createModelList(events, { pageSize, date: DATES[date] });
        const loop = begin();
        for (const { gap, requestTakes, crashAfter, forgets, restarts } of steps) {
          loop.now += gap;
          if (restarts) loop.reading = { ...begin().reading, cursor: loop.reading.cursor };
          const before = loop.reading;
          const ended = passOver(list, loop, {
            pageCap,
            requestTakes,
            ...(crashAfter === null ? {} : { crashAfter }),
          });
          if (ended === null && forgets) loop.reading = before;
          advance(loop, LAG);
        }
        settle(list, loop, events, { pageCap });
        expect([...list.seen].sort()).toEqual(events.map((event) => event.id).sort());
      }),
      { numRuns: 400 },
    );
  });

  it('never say that they had looked for an event in vain when it was visible already', () => {
    fc.assert(
      fc.property(world(60), ({ events: drawn, steps, pageSize, pageCap, date }) => {
        const events = eventsOf(drawn);
        const visibleAt = new Map(events.map((event) => [event.id, event.visibleAt]));
        const list = createModelList(events, { pageSize, date: DATES[date] });
        const loop = begin();
        for (const { gap, requestTakes } of steps) {
          loop.now += gap;
          passOver(list, loop, {
            pageCap,
            requestTakes,
            onNews(news, { trail, lookedAt: at }) {
              for (const { id, created } of news) {
                expect(lookedAt(trail, created, at) ?? 0).toBeLessThanOrEqual(visibleAt.get(id) ?? 0);
              }
            },
          });
          advance(loop, LAG);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('end, and ask for no more than what is new and what is inside the lag takes, however late events are', () => {
    fc.assert(
      fc.property(world(90), ({ events: drawn, steps, pageSize, pageCap }) => {
        const events = eventsOf(drawn);
        const cursor = { id: 'evt_begin', created: -1 };
        const all = [...events, { id: cursor.id, at: -1, visibleAt: -1, order: 0 }];
        const list = createModelList(all, { pageSize });
        list.seen.add(cursor.id);
        const loop = begin({ cursor });
        for (const { gap } of steps) {
          loop.now += gap;
          const known = loop.reading.trail.reduce((sum, stretch) => sum + stretch.events, 0);
          const [requests, seen] = [loop.requests, list.seen.size];
          passOver(list, loop, { pageCap });
          const news = list.seen.size - seen;
          expect(loop.requests - requests).toBeLessThanOrEqual(1 + 4 + Math.ceil((known + news) / pageSize));
          advance(loop, LAG);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('find the beginning of a backlog without a cursor, however its events lie, and read it in order of time', () => {
    const backlog = fc.array(
      fc.record({ at: fc.integer({ min: 0, max: 2_000_000 }), many: fc.integer({ min: 1, max: 150 }) }),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(backlog, fc.integer({ min: 5, max: 100 }), (bursts, pageSize) => {
        const events = eventsOf(
          bursts.flatMap(({ at, many }) =>
            new Array(many).fill(null).map((_, order) => ({ at, delay: 0, order })),
          ),
        );
        const list = createModelList(events, { pageSize });
        const loop = begin();
        loop.now = 2_100_000;
        let rounds = 0;
        for (let complete = false; !complete; rounds += 1) {
          complete = passOver(list, loop, { pageCap: 2 })?.complete ?? false;
          advance(loop, LAG);
          expect(rounds).toBeLessThan(events.length + 3);
        }
        expect(list.seen.size).toBe(events.length);
        expect(loop.reading.cursor?.created).toBe(Math.max(...events.map(createdOf)));
        expect(loop.requests).toBeLessThan(60 + (3 * events.length) / pageSize + rounds);
      }),
      { numRuns: 100 },
    );
  });
});
