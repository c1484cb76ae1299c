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

  it('comes all the way back to its floor, a second a minute, and no faster', () => {
    let lag = nextLag(initialLag(LIMITS), [30], 0, LIMITS);
    const widened = lag.seconds;
    let last = lag.seconds;
    let steps = 0;
    let now = 0;
    for (; lag.seconds > LIMITS.floorSeconds && now < 20_000; now += 7) {
      lag = nextLag(lag, [], now, LIMITS);
      expect(last - lag.seconds).toBeLessThanOrEqual(1);
      if (last !== lag.seconds) steps += 1;
      last = lag.seconds;
    }
    expect(lag.seconds).toBe(LIMITS.floorSeconds);
    expect(steps).toBe(widened - LIMITS.floorSeconds);
    expect(now).toBeGreaterThanOrEqual(SLICE_SECONDS * (SLICES - 1) + steps * STEP_DOWN_SECONDS);
    expect(now).toBeLessThanOrEqual(SLICE_SECONDS * SLICES + (steps + 1) * (STEP_DOWN_SECONDS + 7));
  });

  it('that somebody set as floor and cap is never left', () => {
    const limits = { floorSeconds: 30, maxSeconds: 45 };
    expect(nextLag(initialLag(limits), [], 10, limits).seconds).toBe(30);
    expect(nextLag(initialLag(limits), [500], 10, limits).seconds).toBe(45);
  });
});
