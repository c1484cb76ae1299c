/**
 * The order in which requests go to Stripe, and when: each under the limit of its endpoint and the limit of all. The
 * oldest that may go is the next, live ones before those of a backfill. Whoever runs it brings the clock: milliseconds
 * that never go back.
 */
import { createLimit, type Hold, type Lane, type Limit, type LimitSettings } from './pace-limit.js';

export interface PaceSettings {
  readonly total: LimitSettings;
  readonly of: (endpoint: string) => LimitSettings;
}

export interface Ask {
  readonly endpoint: string;
  readonly lane: Lane;
  /** How long it is worth waiting for the end of a hold that Stripe asked for, in milliseconds. */
  readonly patienceMs: number;
  /** The place of a request that is sent again; without it, the request goes to the end of its lane. */
  readonly place?: number | undefined;
}

/** A request that waits or, from `sentAt` on, is under way. */
export interface Ticket extends Ask {
  readonly place: number;
  readonly askedAt: number;
  sentAt: number | null;
}

/** What became of a request: answered, refused by a limiter, or anything else. */
export type Fate = 'ok' | 'other' | Refusal;

export interface Refusal {
  /** Stripe's name for the limiter; null for an object that another request has locked. */
  readonly reason: string | null;
  readonly retryAfterMs: number | null;
}

export interface Turn {
  readonly granted: readonly Ticket[];
  /** Those that are held for longer than they can wait. */
  readonly tooLong: readonly { readonly ticket: Ticket; readonly hold: Hold }[];
  /** When to ask again; null where only a new request or the end of one changes anything. */
  readonly wakeAt: number | null;
}

export interface Pace {
  ask(request: Ask, now: number): Ticket;
  /** Takes back what still waits. */
  withdraw(ticket: Ticket): void;
  /** Who may go now. Each of them has to be settled once it is over. */
  turn(now: number): Turn;
  settle(ticket: Ticket, fate: Fate, now: number): void;
  waiting(): number;
  /** Requests a second as of now, by endpoint and for all. */
  rates(now: number): { readonly total: number; readonly endpoints: Readonly<Record<string, number>> };
}

export function createPace(settings: PaceSettings): Pace {
  const total = createLimit(settings.total);
  const limits = new Map<string, Limit>();
  const queues: Record<Lane, Ticket[]> = { live: [], bulk: [] };
  let lastPlace = 0;

  const limitOf = (endpoint: string): Limit => {
    const known = limits.get(endpoint);
    if (known !== undefined) return known;
    const limit = createLimit(settings.of(endpoint));
    limits.set(endpoint, limit);
    return limit;
  };

  return {
    ask(request, now) {
      lastPlace += 1;
      const ticket = { ...request, place: request.place ?? lastPlace, askedAt: now, sentAt: null };
      const queue = queues[request.lane];
      queue.splice(queue.findLastIndex(({ place }) => place < ticket.place) + 1, 0, ticket);
      return ticket;
    },
    withdraw(ticket) {
      const queue = queues[ticket.lane];
      const index = queue.indexOf(ticket);
      if (index >= 0) queue.splice(index, 1);
    },
    turn(now) {
      const granted: Ticket[] = [];
      const tooLong: { ticket: Ticket; hold: Hold }[] = [];
      let wakeAt = Number.POSITIVE_INFINITY;
      for (const lane of ['live', 'bulk'] as const) {
        // Others of the endpoint that are younger cannot go either.
        const blocked = new Set<string>();
        queues[lane] = queues[lane].filter((ticket) => {
          const limit = limitOf(ticket.endpoint);
          const hold = longer(limit.held(), total.held());
          if (hold.until - now > ticket.patienceMs) {
            tooLong.push({ ticket, hold });
            return false;
          }
          if (blocked.has(ticket.endpoint)) return true;
          const readyAt = Math.max(limit.readyAt(lane, now), total.readyAt(lane, now));
          if (readyAt > now) {
            blocked.add(ticket.endpoint);
            wakeAt = Math.min(wakeAt, readyAt);
            return true;
          }
          limit.take(lane, now);
          total.take(lane, now);
          ticket.sentAt = now;
          granted.push(ticket);
          return false;
        });
      }
      return { granted, tooLong, wakeAt: wakeAt === Number.POSITIVE_INFINITY ? null : wakeAt };
    },
    settle(ticket, fate, now) {
      const limit = limitOf(ticket.endpoint);
      limit.release();
      total.release();
      // A lock says nothing of the rate, and its Retry-After is for that one object.
      if (typeof fate === 'string' || fate.reason === null) return;
      const refused = fate.reason.startsWith('global') ? total : limit;
      const what = fate.reason.endsWith('concurrency') ? 'concurrency' : 'rate';
      refused.refuse(what, ticket.sentAt ?? now, now);
      if (fate.retryAfterMs !== null) refused.hold({ until: now + fate.retryAfterMs, reason: fate.reason });
    },
    waiting: () => queues.live.length + queues.bulk.length,
    rates: (now) => ({
      total: total.rate(now),
      endpoints: Object.fromEntries([...limits].map(([endpoint, limit]) => [endpoint, limit.rate(now)])),
    }),
  };
}

function longer(a: Hold, b: Hold): Hold {
  return a.until >= b.until ? a : b;
}
