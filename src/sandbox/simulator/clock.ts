/**
 * The simulated account's own clock: the machine's, plus a skew, plus every jump made so far. All of Stripe's
 * timestamps, and the Date header, come from it.
 */
export interface Clock {
  /** Seconds since 1970, with a fraction. */
  now(): number;
  /** The same in whole seconds, as Stripe stamps `created`. */
  seconds(): number;
  /** Jumps forwards: a clock that goes back would break every promise that Stripe makes about order. */
  advance(seconds: number): void;
  /** How far the clock has jumped altogether, in seconds. */
  advanced(): number;
  setSkew(seconds: number): void;
}

export interface ClockOptions {
  /** How far the clock is ahead of the machine's, in seconds; negative for behind. */
  readonly skewSeconds?: number;
  /** Milliseconds since 1970; the machine's clock by default. */
  readonly machineNow?: () => number;
  readonly advancedSeconds?: number;
}

export function createClock({
  skewSeconds = 0,
  machineNow = Date.now,
  advancedSeconds = 0,
}: ClockOptions = {}): Clock {
  let skew = skewSeconds;
  let advanced = advancedSeconds;
  const now = (): number => machineNow() / 1000 + skew + advanced;
  return {
    now,
    seconds: () => Math.floor(now()),
    advance(seconds) {
      if (!(seconds >= 0)) throw new RangeError(`The clock cannot go back: advance(${seconds}).`);
      advanced += seconds;
    },
    advanced: () => advanced,
    setSkew(seconds) {
      skew = seconds;
    },
  };
}
