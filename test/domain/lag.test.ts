import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  initialLag,
  nextLag,
  SLICE_SECONDS,
  SLICES,
  STEP_DOWN_SECONDS,
  targetLag,
} from '../../src/domain/lag.js';
import { LATENESS_BUCKETS, latenessOf, NO_LATENESS, recordLateness } from '../../src/domain/lateness.js';

const LIMITS = { floorSeconds: 5, maxSeconds: 300 };

describe('the lag', () => {
  it('widens at once beyond the worst lateness seen', () => {
    const lag = nextLag(initialLag(LIMITS), [2, 20, 7], 1_000, LIMITS);
    expect(lag.seconds).toBeGreaterThan(20);
  });

  it('stays between its floor and its cap', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 5_000 }), fc.array(fc.integer({ min: 0, max: 900 })))),
        (steps) => {
          let lag = initialLag(LIMITS);
          let now = 0;
          for (const [gap, observed] of steps) {
            now += gap;
            lag = nextLag(lag, observed, now, LIMITS);
            expect(lag.seconds).toBeGreaterThanOrEqual(5);
            expect(lag.seconds).toBeLessThanOrEqual(300);
            expect(lag.worst.length).toBeLessThanOrEqual(SLICES);
            expect(lag.seconds).toBeGreaterThanOrEqual(targetLag(Math.max(0, ...observed), LIMITS));
          }
        },
      ),
    );
  });

  it('narrows by one second a minute at most, and only after the window has passed', () => {
    let lag = nextLag(initialLag(LIMITS), [40], 0, LIMITS);
    const widened = lag.seconds;
    for (let now = 1; now < SLICE_SECONDS * (SLICES - 1); now += 30) lag = nextLag(lag, [], now, LIMITS);
    expect(lag.seconds).toBe(widened);
    const after = SLICE_SECONDS * (SLICES + 1);
    lag = nextLag(lag, [], after, LIMITS);
    lag = nextLag(lag, [], after + STEP_DOWN_SECONDS, LIMITS);
    lag = nextLag(lag, [], after + 2 * STEP_DOWN_SECONDS, LIMITS);
    expect(widened - lag.seconds).toBeGreaterThan(0);
    expect(widened - lag.seconds).toBeLessThanOrEqual(3);
  });
});

describe('lateness', () => {
  it('counts only what surfaced behind an earlier pass', () => {
    const events = [{ created: 90 }, { created: 100 }, { created: 101 }];
    expect(latenessOf(events, 100, 105)).toEqual([15]);
    expect(latenessOf(events, null, 105)).toEqual([]);
  });

  it('keeps a histogram of fixed size, with one bucket for what is later than all bounds', () => {
    const stats = recordLateness(NO_LATENESS, [1, 2, 2, 10_000]);
    expect(stats).toMatchObject({ count: 4, maxSeconds: 10_000 });
    expect(stats.histogram).toHaveLength(LATENESS_BUCKETS.length + 1);
    expect(stats.histogram.at(-1)).toBe(1);
    expect(stats.histogram.reduce((a, b) => a + b, 0)).toBe(4);
  });
});
