import { performance } from 'node:perf_hooks';

/**
 * Stripe's clock per account, kept between its answers by our monotonic one. One answer in thousands may come with
 * a `Date` that is far off, from a machine on the way whose clock is wrong: believed, it would let the cursor pass
 * seconds that have not settled. So a `Date` that does not follow from the one before is only believed once the
 * next one bears it out.
 */
export interface StripeClock {
  /** The `Date` of an answer that has just come, in seconds, or what it must have been about. */
  correct(account: string, date: number | null): number | null;
  /** Seconds of Stripe's clock, no later than the truth; the worker's clock until a response was seen. */
  now(account: string): number;
}

interface Seen {
  readonly date: number;
  /** Of our monotonic clock, in milliseconds. */
  readonly at: number;
}

/** So far, in seconds, two answers may disagree: `Date` has whole seconds, and bodies take time to come. */
const ODD_SECONDS = 5;

export function createStripeClock(monotonic: () => number = () => performance.now()): StripeClock {
  const believed = new Map<string, Seen>();
  const odd = new Map<string, Seen>();
  const expected = ({ date, at }: Seen) => date + (monotonic() - at) / 1000;
  const follows = (date: number, from: Seen | undefined) =>
    from !== undefined && Math.abs(date - expected(from)) <= ODD_SECONDS;
  return {
    correct(account, date) {
      if (date === null) return null;
      const last = believed.get(account);
      const answer = { date, at: monotonic() };
      if (last === undefined || follows(date, last) || follows(date, odd.get(account))) {
        odd.delete(account);
        believed.set(account, answer);
        return date;
      }
      odd.set(account, answer);
      return Math.floor(expected(last));
    },
    now(account) {
      const last = believed.get(account);
      return last === undefined ? Date.now() / 1000 : expected(last);
    },
  };
}
