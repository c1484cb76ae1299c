import type { Outcome } from './outcomes.js';

export type Counts = Partial<Record<Outcome, number>>;

export interface Counters {
  /** @param isProven whether the delivery was signed with the account's secret */
  count(account: string, outcome: Outcome, isProven: boolean): void;
  /** By account, since the start. */
  totals(): Record<string, Counts>;
  /** By account, what was counted since the last call; null where that is nothing. */
  news(): Record<string, Counts> | null;
}

/** Anybody may send to any alias: only so many of those whose secret nobody has shown get counters of their own. */
const UNPROVEN_ACCOUNTS = 100;
/** Takes the rest. No alias can be called so. */
const OTHERS = '(others)';

export function createCounters(): Counters {
  const totals = new Map<string, Counts>();
  let news = new Map<string, Counts>();
  const add = (counts: Map<string, Counts>, account: string, outcome: Outcome) => {
    const of = counts.get(account) ?? {};
    of[outcome] = (of[outcome] ?? 0) + 1;
    counts.set(account, of);
  };
  return {
    count(account, outcome, isProven) {
      const hasRoom = isProven || totals.has(account) || totals.size < UNPROVEN_ACCOUNTS;
      const name = hasRoom ? account : OTHERS;
      add(totals, name, outcome);
      add(news, name, outcome);
    },
    totals: () => Object.fromEntries([...totals].map(([account, counts]) => [account, { ...counts }])),
    news() {
      const since = news;
      news = new Map();
      return since.size === 0 ? null : Object.fromEntries(since);
    },
  };
}
