import { describe, expect, it } from 'vitest';
import { pollInterval, type ReadUse } from '../../src/domain/poll-interval.js';

const DAY = 86_400;
const HOUR = 3_600;
const RHYTHM = { fastestSeconds: 1, slowestSeconds: 300 };

/** A life of an account, by a clock of its own: what it reads over any 30 days, and how long events wait to be seen. */
function live(options: {
  readonly days: number;
  /** When something happens, in seconds. */
  readonly events: (from: number, to: number) => number[];
  /** Those of them that are transactions, as a share. */
  readonly transactions: number;
  /** Reads of everything else in a day: rescans, refreshes. */
  readonly otherReadsPerDay?: number;
}) {
  const hours: { at: number; reads: number; transactions: number }[] = [];
  const hourOf = (second: number) => {
    const at = Math.floor(second / HOUR) * HOUR;
    const last = hours.at(-1);
    if (last?.at === at) return last;
    const hour = { at, reads: 0, transactions: 0 };
    hours.push(hour);
    return hour;
  };
  const useAt = (second: number): ReadUse & { transactions: number } => {
    const sum = (of: 'reads' | 'transactions', days: number) =>
      hours.filter(({ at }) => at > second - days * DAY).reduce((all, hour) => all + hour[of], 0);
    const transactions = sum('transactions', 30);
    return {
      used30d: sum('reads', 30),
      used7d: sum('reads', 7),
      allowance: Math.max(10_000, 500 * transactions),
      transactions,
    };
  };
  let lastNews = 0;
  let worstShare = 0;
  let waited = 0;
  let seen = 0;
  let otherDue = 0;
  let share = 0;
  let use = useAt(0);
  let usedAt = 0;
  for (let now = 0, last = 0; now < options.days * DAY; ) {
    const events = options.events(last, now);
    const hour = hourOf(now);
    hour.reads += 1;
    share += events.length * options.transactions;
    hour.transactions += Math.floor(share);
    share -= Math.floor(share);
    otherDue += ((options.otherReadsPerDay ?? 0) * (now - last)) / DAY;
    hour.reads += Math.floor(otherDue);
    otherDue -= Math.floor(otherDue);
    for (const at of events) waited += now - at;
    seen += events.length;
    if (events.length > 0) lastNews = events.at(-1) ?? lastNews;
    if (now - usedAt >= 60) {
      use = useAt(now);
      usedAt = now;
      worstShare = Math.max(worstShare, use.used30d / use.allowance);
    }
    last = now;
    now += pollInterval(RHYTHM, now - lastNews, use);
  }
  return { worstShare, meanWait: seen === 0 ? 0 : waited / seen, ...useAt(options.days * DAY) };
}

const every = (seconds: number) => (from: number, to: number) => {
  const events: number[] = [];
  for (let at = (Math.floor(from / seconds) + 1) * seconds; at <= to; at += seconds) events.push(at);
  return events;
};

describe('the reads of an account over 30 days', () => {
  it('stay below 10,000 where nothing happens, with what rescans and refreshes need beside', () => {
    const quiet = live({ days: 35, events: () => [], transactions: 0, otherReadsPerDay: 30 });
    expect(quiet.worstShare).toBeLessThan(1);
    expect(quiet.used30d).toBeGreaterThan(8_000);
  });

  it.each([
    { title: 'each second', seconds: 1 },
    { title: 'each minute', seconds: 60 },
    { title: 'each hour', seconds: HOUR },
  ])('stay below 500 a transaction where one comes $title', ({ seconds }) => {
    const active = live({ days: seconds === 1 ? 2 : 32, events: every(seconds), transactions: 1 });
    expect(active.worstShare).toBeLessThan(1);
    expect(active.used30d / active.transactions).toBeLessThan(500);
  });

  it('exceed 10,000 by a fifth at most, and in the first month only, where events flow that pay for nothing', () => {
    const busy = live({ days: 62, events: every(30), transactions: 0 });
    expect(busy.worstShare).toBeLessThan(1.2);
    expect(busy.used30d).toBeLessThan(10_000);
  });
});

describe('the wait between two looks', () => {
  it('is short while events flow, and events that are paid for are seen within a second in the mean', () => {
    expect(pollInterval(RHYTHM, 0, { used30d: 0, used7d: 0, allowance: 10_000 })).toBe(1);
    expect(live({ days: 3, events: every(20), transactions: 0.5 }).meanWait).toBeLessThan(1);
  });

  it('grows with the time that nothing came, up to five minutes', () => {
    const waits = [0, 60, 600, HOUR, 5 * HOUR, DAY].map((quiet) => pollInterval(RHYTHM, quiet, null));
    expect(waits).toEqual([1, 1, 10, 60, 300, 300]);
  });

  it('grows with the part of the allowance that is used, and never beyond the slowest', () => {
    const waits = [0, 4_999, 7_500, 9_000, 10_000, 50_000].map((used30d) =>
      pollInterval(RHYTHM, 0, { used30d, used7d: 0, allowance: 10_000 }),
    );
    expect(waits.map(Math.round)).toEqual([1, 1, 17, 96, 300, 300]);
  });

  it('grows by the week too, so that a busy day does not use up the month', () => {
    const use = { used30d: 2_000, used7d: 2_000, allowance: 10_000 };
    expect(Math.round(pollInterval(RHYTHM, 0, use))).toBe(59);
  });

  it('is what somebody fixed it to, whatever happens', () => {
    const fixed = { fastestSeconds: 20, slowestSeconds: 20 };
    expect(pollInterval(fixed, DAY, { used30d: 99_999, used7d: 99_999, allowance: 10_000 })).toBe(20);
  });
});
