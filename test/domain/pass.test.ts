import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanceCursor, type Position } from '../../src/domain/cursor.js';
import { initialLag, nextLag } from '../../src/domain/lag.js';
import { evidentLateness, latenessOf } from '../../src/domain/lateness.js';
import { type PassResult, pass, type Reading } from '../../src/domain/pass.js';
import { lookedAt } from '../../src/domain/trail.js';
import { createdOf, createModelList, type ModelEvent, type ModelList, modelId } from './model-list.js';

const MAX_LAG = 300;

interface Loop {
  reading: Reading;
  now: number;
  requests: number;
}

const begin = (over: Partial<Reading> = {}): Loop => ({
  reading: { cursor: null, anchor: 0, trail: [], lookedAt: null, news: 0, reanchored: null, ...over },
  now: 0,
  requests: 0,
});

interface PassOver {
  readonly lag?: number;
  readonly pageCap?: number;
  /** Seconds that one request takes. */
  readonly requestTakes?: number;
  /** The pass is given up after so many requests. */
  readonly crashAfter?: number;
  /** Told what was listed for the first time, with the reading before it. */
  readonly onNews?: (news: readonly Position[], reading: Reading) => void;
}

/** One pass of the loop over the model. Null where it was given up; what it had read is then in the loop. */
function passOver(list: ModelList, loop: Loop, over: PassOver = {}): PassResult | null {
  const { lag = 5, pageCap = 10, requestTakes = 0, crashAfter = Infinity } = over;
  const steps = pass(loop.reading, { pageCap, lagSeconds: lag, maxLagSeconds: MAX_LAG, ourNow: loop.now });
  let step = steps.next();
  for (let made = 0; !step.done; made += 1) {
    loop.reading = step.value.reading;
    if (made >= crashAfter) return null;
    expect(made).toBeLessThan(10_000);
    const seen = over.onNews === undefined ? list.seen : new Set(list.seen);
    const answer = list.answer(step.value.request, loop.now);
    if (answer !== 'lost')
      over.onNews?.(
        answer.listed.filter(({ id }) => !seen.has(id)),
        loop.reading,
      );
    loop.requests += 1;
    loop.now += requestTakes;
    step = steps.next(answer);
  }
  loop.reading = step.value.reading;
  return step.value;
}

/** What the workflow does with a pass: the cursor moves. */
function advance(loop: Loop, lag: number): void {
  const before = loop.reading.cursor;
  const moved = advanceCursor(before, loop.reading.trail, lag);
  expect(moved.cursor?.created ?? -1).toBeGreaterThanOrEqual(before?.created ?? -1);
  if (moved.cursor !== null && moved.cursor !== before)
    expect(moved.cursor.created + 1 + lag).toBeLessThanOrEqual(loop.now);
  loop.reading = { ...loop.reading, ...moved };
}

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
const eventsOf = (drawn: readonly { at: number; delay: number; order: number }[]): ModelEvent[] =>
  drawn.map(({ at, delay, order }, index) => ({
    id: modelId(index, order),
    at,
    visibleAt: at + delay,
    order: order * 1_000 + index,
  }));

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

/** A steady stream: so many events a second, each visible after `delayOf` seconds. */
function stream(perSecond: number, seconds: number, delayOf: (index: number) => number): ModelEvent[] {
  return new Array(perSecond * seconds).fill(null).map((_, index) => {
    const at = 1_000 + index / perSecond;
    return { id: modelId(index, index), at, visibleAt: at + delayOf(index), order: index };
  });
}

/** A pass a second over `seconds`, after a while to get going. Returns requests a pass. */
function costOf(perSecond: number, lag: number, seconds = 200): { cost: number; list: ModelList } {
  const warmUp = 3 * lag + 40;
  const events = stream(perSecond, seconds + warmUp, (index) => 0.4 + (index % 7) * 0.2);
  const list = createModelList(events, { pageSize: 100 });
  const loop = begin({ anchor: 1_000 });
  let counted = 0;
  for (let second = 0; second < seconds + warmUp; second += 1) {
    loop.now = 1_000.5 + second;
    const before = loop.requests;
    passOver(list, loop, { lag });
    advance(loop, lag);
    if (second >= warmUp) counted += loop.requests - before;
  }
  return { cost: counted / seconds, list };
}

describe('what a pass costs', () => {
  it.each([1, 5, 10, 12, 14, 16, 18, 20])(
    'is at most 1.2 requests at a steady %i events a second and the smallest lag',
    (perSecond) => {
      expect(costOf(perSecond, 5).cost).toBeLessThanOrEqual(1.2);
    },
  );

  it('grows with the rate of events, and hardly with the lag', () => {
    expect(costOf(5, 60).cost).toBeLessThanOrEqual(1.5);
    expect(costOf(20, 60).cost).toBeLessThanOrEqual(2.5);
    expect(costOf(20, 300).cost).toBeLessThanOrEqual(3);
    expect(costOf(100, 5).cost).toBeLessThanOrEqual(4);
  });

  it('is one request where nothing happens', () => {
    const list = createModelList(
      stream(3, 20, () => 0),
      { pageSize: 100 },
    );
    const loop = begin({ anchor: 1_000 });
    for (loop.now = 1_000; loop.now < 1_100; loop.now += 1) {
      passOver(list, loop);
      advance(loop, 5);
    }
    const before = loop.requests;
    for (; loop.now < 1_160; loop.now += 1) passOver(list, loop);
    expect(loop.requests - before).toBe(60);
    expect(loop.reading).toMatchObject({ cursor: { created: 1_019 }, trail: [] });
  });
});

describe('an event that surfaces late', () => {
  it.each([
    [2, 5],
    [20, 5],
    [20, 60],
    [20, 300],
    [60, 60],
  ])(
    'is found within twice its lateness and a few seconds, at %i events a second and a lag of %i s',
    (perSecond, lag) => {
      for (let lateness = 1; lateness <= lag; lateness = Math.ceil(lateness * 1.7)) {
        const events = stream(perSecond, 60 + 3 * lateness, () => 0.2);
        const late = { id: 'late', at: 1_040.5, visibleAt: 1_040.5 + lateness, order: 1_000_000 };
        const list = createModelList([...events, late], { pageSize: 100 });
        const loop = begin({ anchor: 1_000 });
        for (loop.now = 1_000.9; !list.seen.has('late') && loop.now < 2_000; loop.now += 1) {
          passOver(list, loop, { lag });
          advance(loop, lag);
        }
        expect({ lateness, foundAfter: loop.now - late.at }).toMatchObject({
          foundAfter: expect.toSatisfy((after: number) => after <= 2 * lateness + 12),
        });
      }
    },
  );
});

describe('the lag under bursts', () => {
  it('does not grow with how seldom the loop looks: it stays near what was late', () => {
    const events: ModelEvent[] = [];
    for (let burst = 0; burst < 12; burst += 1) {
      for (let made = 0; made < 96; made += 1) {
        const at = 1_000 + burst * 80 + made / 400;
        events.push({ id: modelId(events.length, made), at, visibleAt: at + 0.2, order: made });
      }
      const at = 1_000 + burst * 80 + 0.1;
      events.push({ id: modelId(events.length, 500), at, visibleAt: at + 3.5, order: 10_000 });
      // What comes a little later makes the late one late.
      const next = 1_001 + burst * 80 + 0.2;
      events.push({ id: modelId(events.length, 501), at: next, visibleAt: next + 0.1, order: 1 });
    }
    const limits = { floorSeconds: 5, maxSeconds: 300 };
    const list = createModelList(events, { pageSize: 100 });
    const loop = begin({ anchor: 1_000 });
    let lag = initialLag(limits);
    let frontier: number | null = null;
    let late = 0;
    for (loop.now = 1_000.6; loop.now < 2_000; loop.now += 1) {
      const observed: number[] = [];
      passOver(list, loop, {
        lag: lag.seconds,
        onNews(news, { trail, lookedAt: at }) {
          const first = news.map(({ created }) => ({
            created,
            lookedAt: lookedAt(trail, created, at),
            knownBefore: false,
          }));
          observed.push(...latenessOf(first, frontier, Math.floor(loop.now), 1).map(evidentLateness));
        },
      });
      frontier = Math.max(frontier ?? 0, loop.reading.trail.at(-1)?.created ?? 0);
      late += observed.length;
      lag = nextLag(lag, observed, Math.floor(loop.now), limits);
      advance(loop, lag.seconds);
    }
    expect(list.seen.size).toBe(events.length);
    expect(late).toBeGreaterThan(5);
    expect(lag.seconds).toBeLessThanOrEqual(16);
  });
});

describe('a pass that meets a position which Stripe does not know', () => {
  const events = stream(10, 60, () => 0);

  it('goes on from the cursor where it was a place of the trail', () => {
    const list = createModelList(events, { pageSize: 100 });
    const loop = begin({ cursor: { id: events[0]?.id ?? '', created: 1_000 } });
    loop.now = 1_061;
    const trail = [{ id: 'evt_mislaid', created: 1_059, events: 300, readAt: 1_060 }];
    loop.reading = { ...loop.reading, trail };
    expect(passOver(list, loop)).toMatchObject({ complete: true, reading: { reanchored: null } });
    expect(list.seen.size).toBe(events.length - 1);
  });

  it('finds a place by time where it was the cursor, further back by the lag', () => {
    const list = createModelList(events, { pageSize: 100 });
    const loop = begin({ cursor: { id: 'evt_unknown', created: 1_030 } });
    loop.now = 1_061;
    expect(passOver(list, loop)).toMatchObject({ complete: true, reading: { reanchored: { gap: null } } });
    expect(loop.reading.cursor?.created).toBe(1_024);
    expect([...list.seen].length).toBe(events.filter((event) => event.at >= 1_024).length - 9);
  });

  it('tells the gap where that time is past retention', () => {
    const list = createModelList(events, { pageSize: 100 });
    const loop = begin({ cursor: { id: 'evt_unknown', created: 1_030 } });
    loop.now = 1_025 + 40 * 86_400;
    const empty = createModelList([], { pageSize: 100 });
    expect(passOver(empty, loop)).toMatchObject({
      reading: { reanchored: { gap: { from: 1_025, to: 1_025 + 10 * 86_400 } } },
    });
    expect(list.seen.size).toBe(0);
  });

  it('tells no gap where the list was read all the while, and its last event has only grown too old', () => {
    const loop = begin({
      cursor: { id: 'evt_old', created: 1_000 },
      anchor: 1_000,
      lookedAt: 1_000 + 31 * 86_400,
    });
    loop.now = 1_060 + 31 * 86_400;
    const empty = createModelList([], { pageSize: 100 });
    expect(passOver(empty, loop)).toMatchObject({ complete: true, reading: { reanchored: { gap: null } } });
    expect(loop.reading).toMatchObject({ cursor: null, anchor: 1_060 + 31 * 86_400 - 6 });
  });

  it('tells the gap also where there was no cursor, and nobody had read the list for too long', () => {
    const loop = begin({ anchor: 1_000 });
    loop.now = 1_000 + 40 * 86_400;
    const [first] = eventsOf([{ at: loop.now - 5, delay: 0, order: 0 }]);
    const list = createModelList(first === undefined ? [] : [first], { pageSize: 100 });
    expect(passOver(list, loop)).toMatchObject({
      reading: { reanchored: { gap: { from: 1_000, to: 1_000 + 10 * 86_400 } } },
    });
    expect(list.seen.size).toBe(1);
    const read = begin({ anchor: 1_000 });
    for (const days of [0, 20, 40, 60]) {
      read.now = 1_000 + days * 86_400;
      expect(passOver(createModelList([], { pageSize: 100 }), read)?.reading.reanchored).toBeNull();
    }
  });

  it('does not give up a good cursor for places of the trail that Stripe mislays', () => {
    const list = createModelList(events, { pageSize: 5 });
    const cursor = { id: events[0]?.id ?? '', created: 1_000 };
    const loop = begin({ cursor });
    loop.now = 1_061;
    const forgetful: ModelList = {
      ...list,
      answer: (request, now) =>
        request.kind === 'after' && request.id !== cursor.id ? 'lost' : list.answer(request, now),
    };
    expect(passOver(forgetful, loop)).toMatchObject({ nowhere: true, reading: { cursor, reanchored: null } });
  });

  it('gives up where Stripe knows none of what it has just listed', () => {
    const list = createModelList(events, { pageSize: 100 });
    const forgetful: ModelList = {
      ...list,
      answer: (request, now) => (request.kind === 'after' ? 'lost' : list.answer(request, now)),
    };
    const loop = begin({ cursor: { id: events[5]?.id ?? '', created: 1_000 } });
    loop.now = 1_061;
    expect(passOver(forgetful, loop)).toMatchObject({ nowhere: true });
    expect(loop.requests).toBeLessThan(30);
  });
});
