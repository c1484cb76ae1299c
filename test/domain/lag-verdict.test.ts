import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeLag, type LagVerdict, type LatenessFacts } from '../../src/domain/lag-verdict.js';
import { latenessAdvice } from '../../src/domain/lateness-advice.js';
import { CALM } from './lateness-facts.js';

describe('at the edges, the verdict', () => {
  const long = { floorSeconds: 200, maxSeconds: 300 };
  it.each<{ title: string; over: Partial<LatenessFacts>; verdict: LagVerdict }>([
    {
      title: 'on a lag that narrows to just what was needed is calm',
      over: { worstSeconds: 5, worstAtLeastSeconds: 4, lagSeconds: 8 },
      verdict: { kind: 'narrowing' },
    },
    {
      title: 'on a lag for just as long as an event was seen to be missing is that it held',
      over: { worstSeconds: 10, worstAtLeastSeconds: 5 },
      verdict: { kind: 'held', lag: 10 },
    },
    {
      title: 'on an event that may have been later than the cap names no lag beyond the cap',
      over: { worstSeconds: 301, worstAtLeastSeconds: 151, lagSeconds: 200, limits: long },
      verdict: { kind: 'held', lag: null },
    },
    {
      title: 'on an event just as late as the cap is a lag of that length',
      over: { worstSeconds: 300, worstAtLeastSeconds: 299 },
      verdict: { kind: 'too short', lag: 300 },
    },
    {
      title: 'on an event that was missing up to the cap is not known',
      over: { worstSeconds: 301, worstAtLeastSeconds: 300, leaks: { count: 1, worstSeconds: 301 } },
      verdict: { kind: 'unclear' },
    },
    {
      title: 'on an event a quarter of an hour late is still a longer lag',
      over: { worstSeconds: 900, worstAtLeastSeconds: 899 },
      verdict: { kind: 'capped', maxLag: 900 },
    },
    {
      title: 'on a floor a little above what was needed is that it is enough',
      over: { lagSeconds: 14, limits: { floorSeconds: 14, maxSeconds: 300 } },
      verdict: { kind: 'enough' },
    },
    {
      title: 'on a floor well above what was needed is a shorter one, with a margin',
      over: { worstSeconds: 20, worstAtLeastSeconds: 19, lagSeconds: 200, limits: long },
      verdict: { kind: 'generous', lag: 31 },
    },
    {
      title: 'on a long floor is never a shorter one where events came behind the cursor',
      over: { worstSeconds: 20, leaks: { count: 1, worstSeconds: 20 }, lagSeconds: 200, limits: long },
      verdict: { kind: 'enough' },
    },
    {
      title: 'on an event later than any default cap names no lag where none is known',
      over: { worstSeconds: 301, lagSeconds: null, limits: null },
      verdict: { kind: 'no lag known', lag: null },
    },
  ])('$title', ({ over, verdict }) => {
    expect(judgeLag({ ...CALM, ...over })).toEqual(verdict);
  });
});

const seconds = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 2_000 }));
const anyFacts = fc
  .record({
    measured: fc.integer({ min: 1, max: 100_000 }),
    bounds: fc.tuple(seconds, seconds),
    leaked: fc.boolean(),
    floor: fc.integer({ min: 0, max: 100 }),
    lagOver: seconds,
    capOver: seconds,
    known: fc.boolean(),
  })
  .map(({ measured, bounds, leaked, floor, lagOver, capOver, known }): LatenessFacts => {
    const worst = Math.max(...bounds);
    const cap = floor + capOver;
    return {
      measured,
      notMeasured: 0,
      percentiles: [],
      worstSeconds: worst,
      worstAtLeastSeconds: Math.min(...bounds),
      leaks: leaked ? { count: 1, worstSeconds: worst } : { count: 0, worstSeconds: null },
      lagSeconds: Math.min(cap, floor + lagOver),
      limits: known ? { floorSeconds: floor, maxSeconds: cap } : null,
    };
  });

describe('whatever was measured, the advice', () => {
  const CALLS_IT_ENOUGH: readonly LagVerdict['kind'][] = ['enough', 'widened', 'narrowing', 'generous'];

  it('calls a lag enough where it is at least as long as the latest event was late, and only there', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const isEnough = Number(facts.lagSeconds) >= Number(facts.worstSeconds);
        expect(CALLS_IT_ENOUGH.includes(judgeLag(facts).kind)).toBe(isEnough);
      }),
    );
  });

  it('never names a lag that is shorter than what was measured, or beyond the cap', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const verdict = judgeLag(facts);
        const worst = Number(facts.worstSeconds);
        if ('maxLag' in verdict) expect(verdict.maxLag).toBeGreaterThanOrEqual(worst);
        if (!('lag' in verdict) || verdict.lag === null) return;
        expect(verdict.lag).toBeGreaterThanOrEqual(worst);
        if (facts.limits !== null) expect(verdict.lag).toBeLessThanOrEqual(facts.limits.maxSeconds);
      }),
    );
  });

  it('never calms down where an event came behind the cursor and the lag is shorter than that', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        if (facts.leaks.count > 0) expect(judgeLag(facts).kind).not.toBe('held');
        expect(latenessAdvice(facts)).toMatch(facts.leaks.count > 0 ? /behind the cursor/ : /listed within/);
      }),
    );
  });

  it('lacks no number in any sentence', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        expect(latenessAdvice(facts)).not.toMatch(/undefined|null|NaN/);
      }),
    );
  });
});
