import { describe, expect, it } from 'vitest';
import { createModelList, type ModelList } from './model-list.js';
import { advance, begin, passOver, stream } from './pass-loop.js';

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
