import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { initialLag, nextLag } from '../../src/domain/lag.js';
import {
  evidentLateness,
  LATENESS_BUCKETS,
  latenessOf,
  NO_LATENESS,
  recordLateness,
} from '../../src/domain/lateness.js';

const polled = (created: number, lookedAt: number | null) => ({ created, lookedAt, knownBefore: false });

describe('lateness', () => {
  it('lies between the last look in vain and the look that found the event', () => {
    expect(latenessOf([polled(90, 103)], 100, 105, 1)).toEqual([{ atLeast: 12, atMost: 15 }]);
  });

  it('is counted only for what surfaced behind an event of an earlier pass', () => {
    expect(latenessOf([polled(100, 104), polled(101, 104)], 100, 105, 1)).toEqual([]);
  });

  it('is not counted before the first pass, nor where nobody had looked', () => {
    expect(latenessOf([polled(90, 103)], null, 105, 1)).toEqual([]);
    expect(latenessOf([polled(90, null)], 100, 105, 1)).toEqual([]);
  });

  it('is not made up of a time in which nobody looked', () => {
    expect(latenessOf([polled(90, 92)], 100, 3_700, 1)).toEqual([]);
    expect(latenessOf([polled(90, 92)], 100, 102, 1)).toEqual([]);
    expect(latenessOf([polled(90, 92)], 100, 100, 1)).toEqual([{ atLeast: 1, atMost: 10 }]);
    // Between two looks that are far apart, but prove enough by themselves; or that the interval keeps apart.
    expect(latenessOf([polled(90, 141)], 1_000, 240, 1)).toEqual([{ atLeast: 50, atMost: 150 }]);
    expect(latenessOf([polled(90, 92)], 100, 150, 60)).toEqual([{ atLeast: 1, atMost: 60 }]);
  });

  it('is never more at least than at most, whatever the clocks said', () => {
    expect(latenessOf([polled(90, 4_000)], 100, 105, 1)).toEqual([{ atLeast: 15, atMost: 15 }]);
  });

  it('is counted for what a webhook had told of when the list was read without it', () => {
    const told = (created: number, lookedAt: number) => ({ created, lookedAt, knownBefore: true });
    expect(latenessOf([told(100, 104)], 50, 106, 1)).toEqual([{ atLeast: 3, atMost: 6 }]);
    expect(latenessOf([told(100, 100)], 50, 101, 1)).toEqual([]);
  });

  it('makes a lag that covers what may be and leaves a margin over what is proven', () => {
    const limits = { floorSeconds: 5, maxSeconds: 10_000 };
    const bounds = fc.record({ atLeast: fc.nat({ max: 3_000 }), more: fc.nat({ max: 3_000 }) });
    fc.assert(
      fc.property(bounds, ({ atLeast, more }) => {
        const late = { atLeast, atMost: atLeast + more };
        const { seconds } = nextLag(initialLag(limits), [evidentLateness(late)], 1_000, limits);
        expect(seconds).toBeGreaterThan(late.atMost);
        expect(seconds).toBeGreaterThan(1.5 * atLeast);
      }),
    );
  });

  it('has a histogram of fixed size, with one bucket for what is later than all bounds', () => {
    const stats = recordLateness(NO_LATENESS, [1, 2, 2, 10_000]);
    expect(stats).toMatchObject({ count: 4, maxSeconds: 10_000 });
    expect(stats.histogram).toHaveLength(LATENESS_BUCKETS.length + 1);
    expect(stats.histogram.at(-1)).toBe(1);
    expect(stats.histogram.reduce((a, b) => a + b, 0)).toBe(4);
  });
});
