import { performance } from 'node:perf_hooks';

/**
 * An estimate of Stripe's clock per account, from the last `Date` header. It only says when to ask; what a
 * response proves is told by its own header.
 */
export interface StripeClock {
  observe(account: string, date: number | null): void;
  /** Seconds of Stripe's clock, no later than the truth; the worker's clock until a response was seen. */
  now(account: string): number;
}

export function createStripeClock(): StripeClock {
  const seen = new Map<string, { date: number; at: number }>();
  return {
    observe(account, date) {
      if (date !== null) seen.set(account, { date, at: performance.now() });
    },
    now(account) {
      const last = seen.get(account);
      return last === undefined ? Date.now() / 1000 : last.date + (performance.now() - last.at) / 1000;
    },
  };
}
