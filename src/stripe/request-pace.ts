/**
 * Keeps the requests of one key at nearly the rate that Stripe allows: whoever sends one takes a permit first, and
 * gives it back with what became of the request. The decisions are in src/domain/pace.ts; clock and timers are here.
 */
import { performance } from 'node:perf_hooks';
import { StripeFailure } from '../domain/failures.js';
import { createPace, type Fate, type PaceSettings, type Ticket } from '../domain/pace.js';
import type { Lane } from '../domain/pace-limit.js';

export type { Fate, Refusal } from '../domain/pace.js';
export type { Lane } from '../domain/pace-limit.js';

/**
 * How long a request waits for the end of a hold that Stripe asked for. A live one has a retry above it that knows
 * what to do with a longer one; a backfill has time.
 */
const PATIENCE_MS: Readonly<Record<Lane, number>> = { live: 5_000, bulk: 30_000 };

export interface TakeOptions {
  /** As `endpointOf` names it. */
  readonly endpoint: string;
  readonly lane: Lane;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the end of a hold, in milliseconds; by lane unless it is given. */
  readonly patienceMs?: number | undefined;
  /** That of the permit before, for a request that is sent again. */
  readonly place?: number | undefined;
}

export interface Permit {
  readonly place: number;
  /** Gives the permit back; the first call counts. */
  settle(fate: Fate): void;
}

export interface PaceStats {
  /** Permits given, and for how long they were waited for in all. */
  readonly permits: Readonly<Record<Lane, number>>;
  readonly waitedMs: Readonly<Record<Lane, number>>;
  /** Requests that wait now. */
  readonly waiting: number;
  /** Answers with status 429 by Stripe's reason; those without one under `lock`. */
  readonly refused: Readonly<Record<string, number>>;
  /** Requests a second as of now; Infinity where there is no limit. */
  readonly rates: { readonly total: number; readonly endpoints: Readonly<Record<string, number>> };
}

export interface RequestPace {
  /**
   * Waits until a request may be sent. Throws a `StripeFailure`: `cancelled` where the signal aborts or the pace is
   * closed, `rate-limited` where Stripe wants a longer wait than this request can bear.
   */
  take(options: TakeOptions): Promise<Permit>;
  stats(): PaceStats;
  /** Ends all waits, now and from now on. */
  close(): void;
}

interface Waiter {
  readonly resolve: (permit: Permit) => void;
  readonly reject: (failure: StripeFailure) => void;
}

export function createRequestPace(settings: PaceSettings): RequestPace {
  const pace = createPace(settings);
  const waiters = new Map<Ticket, Waiter>();
  const permits: Record<Lane, number> = { live: 0, bulk: 0 };
  const waitedMs: Record<Lane, number> = { live: 0, bulk: 0 };
  const refused: Record<string, number> = {};
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const permitOf = (ticket: Ticket): Permit => {
    let isSettled = false;
    return {
      place: ticket.place,
      settle(fate) {
        if (isSettled) return;
        isSettled = true;
        if (typeof fate !== 'string') {
          const name = fate.reason ?? 'lock';
          refused[name] = (refused[name] ?? 0) + 1;
        }
        pace.settle(ticket, fate, performance.now());
        nextTurn();
      },
    };
  };

  function nextTurn(): void {
    clearTimeout(timer);
    const now = performance.now();
    const { granted, tooLong, wakeAt } = pace.turn(now);
    for (const ticket of granted) {
      permits[ticket.lane] += 1;
      waitedMs[ticket.lane] += now - ticket.askedAt;
      leave(ticket)?.resolve(permitOf(ticket));
    }
    for (const { ticket, hold } of tooLong) leave(ticket)?.reject(heldFailure(hold.until - now, hold.reason));
    if (wakeAt !== null && !closed) timer = setTimeout(nextTurn, Math.max(1, Math.ceil(wakeAt - now)));
  }

  function leave(ticket: Ticket): Waiter | undefined {
    const waiter = waiters.get(ticket);
    waiters.delete(ticket);
    return waiter;
  }

  return {
    take({ endpoint, lane, signal, patienceMs = PATIENCE_MS[lane], place }) {
      return new Promise((resolve, reject) => {
        if (closed || signal?.aborted === true) return reject(cancelledFailure());
        const ticket = pace.ask({ endpoint, lane, patienceMs, place }, performance.now());
        const cancel = () => {
          pace.withdraw(ticket);
          leave(ticket)?.reject(cancelledFailure());
          // Somebody else may be the next, and the timer was for this one.
          nextTurn();
        };
        const end =
          <T>(settle: (value: T) => void) =>
          (value: T) => {
            signal?.removeEventListener('abort', cancel);
            settle(value);
          };
        waiters.set(ticket, { resolve: end(resolve), reject: end(reject) });
        signal?.addEventListener('abort', cancel, { once: true });
        nextTurn();
      });
    },
    stats: () => ({
      permits: { ...permits },
      waitedMs: { ...waitedMs },
      waiting: pace.waiting(),
      refused: { ...refused },
      rates: pace.rates(performance.now()),
    }),
    close() {
      closed = true;
      clearTimeout(timer);
      for (const ticket of [...waiters.keys()]) {
        pace.withdraw(ticket);
        leave(ticket)?.reject(cancelledFailure());
      }
    },
  };
}

export function cancelledFailure(): StripeFailure {
  return new StripeFailure('cancelled', {
    message: 'The request to Stripe was cancelled before it was sent.',
  });
}

function heldFailure(heldMs: number, reason: string): StripeFailure {
  const retryAfterMs = Math.ceil(heldMs);
  return new StripeFailure('rate-limited', {
    message:
      `Stripe's limit on requests was reached (${reason}), and Stripe asks for a wait of ` +
      `${Math.ceil(retryAfterMs / 1000)} s: the request was not sent; send fewer, then try again.`,
    reason,
    retryAfterMs,
  });
}
