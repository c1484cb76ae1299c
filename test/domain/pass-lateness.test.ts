import { describe, expect, it } from 'vitest';
import { initialLag, nextLag } from '../../src/domain/lag.js';
import { evidentLateness, latenessOf } from '../../src/domain/lateness.js';
import { lookedAt } from '../../src/domain/trail.js';
import { createModelList, type ModelEvent, modelId } from './model-list.js';
import { advance, begin, passOver, stream } from './pass-loop.js';

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
