import { performance } from 'node:perf_hooks';
import type { Pool } from 'pg';
import { type PollRhythm, pollInterval, type ReadUse } from '../src/domain/poll-interval.js';
import { readUse } from '../src/postgres/read-use.js';

/** How far a fetch has seen, in seconds of Stripe's clock; null where it has not looked yet. */
interface Seen {
  readonly stripeNow: number | null;
  readonly frontier: number | null;
}

/** However many hints come, they cause no more reads than that. */
const HINTS_APART_SECONDS = 1;
/** Reads and transactions of a month change slowly. */
const USE_IS_FRESH_MS = 60_000;

/**
 * When each account is asked next, on a clock that nobody sets: a fetch that follows another at once must not ask Stripe
 * more often than its interval says, nor before Stripe's own `Retry-After` is over. All results are in milliseconds.
 */
export function createPollRhythm(pool: Pool) {
  const began = new Map<string, number>();
  const heldUntil = new Map<string, number>();
  const lastNews = new Map<string, number>();
  const uses = new Map<string, { readonly at: number; readonly use: ReadUse | null }>();

  const held = (account: string) => Math.max(0, (heldUntil.get(account) ?? 0) - performance.now());

  function after(account: string, seconds: number): number {
    const last = began.get(account);
    return last === undefined ? 0 : Math.max(0, last + seconds * 1000 - performance.now());
  }

  function quietSeconds(account: string, { stripeNow, frontier }: Seen): number {
    const now = performance.now();
    const since = lastNews.get(account);
    // An account that has no events yet has been quiet since this worker knows it.
    if (since === undefined && frontier === null) lastNews.set(account, now);
    const byUs = since === undefined ? Number.POSITIVE_INFINITY : (now - since) / 1000;
    if (frontier === null || stripeNow === null) return Number.isFinite(byUs) ? byUs : 0;
    return Math.min(byUs, Math.max(0, stripeNow - frontier));
  }

  async function useOf(account: string): Promise<ReadUse | null> {
    const known = uses.get(account);
    if (known !== undefined && performance.now() - known.at < USE_IS_FRESH_MS) return known.use;
    const use = await readUse(pool, account);
    uses.set(account, { at: performance.now(), use });
    return use;
  }

  return {
    passBegins: (account: string) => void began.set(account, performance.now()),
    /** A webhook told of something: the account is not quiet. */
    noteNews: (account: string) => void lastNews.set(account, performance.now()),
    hold: (account: string, milliseconds: number) =>
      void heldUntil.set(account, performance.now() + milliseconds),
    held,
    /** Where a hint says that there is something to see, whatever the rhythm. */
    soonest: (account: string) => Math.max(held(account), after(account, HINTS_APART_SECONDS)),
    async toNext(account: string, rhythm: PollRhythm, seen: Seen): Promise<number> {
      const isFixed = rhythm.slowestSeconds <= rhythm.fastestSeconds;
      const use = isFixed ? null : await useOf(account);
      return after(account, pollInterval(rhythm, quietSeconds(account, seen), use));
    },
  };
}
