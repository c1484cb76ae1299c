import { describe, expect, it } from 'vitest';
import { createStripeClock } from '../../activities/stripe-clock.js';

function clockAt() {
  let milliseconds = 0;
  const clock = createStripeClock(() => milliseconds);
  return {
    clock,
    pass(seconds: number) {
      milliseconds += seconds * 1_000;
    },
  };
}

describe("Stripe's clock", () => {
  it('is what its answers say', () => {
    const { clock, pass } = clockAt();
    expect(clock.correct('a', 1_000)).toBe(1_000);
    pass(10);
    expect(clock.correct('a', 1_009)).toBe(1_009);
    expect(clock.correct('a', null)).toBeNull();
    pass(2);
    expect(clock.now('a')).toBe(1_011);
  });

  it.each([3_600, -3_600, 30])('is not what a single odd answer says: %i s off', (off) => {
    const { clock, pass } = clockAt();
    clock.correct('a', 1_000);
    pass(10);
    expect(clock.correct('a', 1_010 + off)).toBe(1_010);
    pass(1);
    expect(clock.correct('a', 1_011)).toBe(1_011);
    expect(clock.correct('a', 1_011 + off)).toBe(1_011);
  });

  it('is what two answers in a row say, however odd: the machine may have slept', () => {
    const { clock, pass } = clockAt();
    clock.correct('a', 1_000);
    pass(10);
    expect(clock.correct('a', 9_000)).toBe(1_010);
    pass(5);
    expect(clock.correct('a', 9_005)).toBe(9_005);
  });

  it('is kept for each account by itself', () => {
    const { clock } = clockAt();
    clock.correct('a', 1_000);
    expect(clock.correct('b', 5_000)).toBe(5_000);
  });
});
