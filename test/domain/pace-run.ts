/** Runs a pace on a simulated clock against a model of Stripe's limiter, event by event. */
import type { Fate, PaceSettings, Ticket } from '../../src/domain/pace.js';
import { createPace } from '../../src/domain/pace.js';
import type { Lane } from '../../src/domain/pace-limit.js';

export interface Arrival {
  readonly at: number;
  readonly endpoint: string;
  readonly lane: Lane;
}

export interface Sent extends Arrival {
  /** When it was asked for, went, and was over, in milliseconds; null where that never came. */
  readonly sentAt: number | null;
  readonly endedAt: number | null;
  readonly fate: Fate | null;
}

export interface Run {
  readonly settings: PaceSettings;
  /** Requests whoever happens. */
  readonly arrivals?: readonly Arrival[];
  /** Each sends one request after the other. */
  readonly walkers?: readonly { readonly endpoint: string; readonly lane: Lane }[];
  readonly latencyMs?: (index: number) => number;
  /** Asked when a request arrives there, half way. */
  readonly stripe?: (endpoint: string, now: number) => Fate;
  readonly forMs: number;
}

/** Everything that was asked for, in that order. */
export function run({ settings, arrivals = [], walkers = [], latencyMs, stripe, forMs }: Run): Sent[] {
  const pace = createPace(settings);
  const agenda: { at: number; what: () => void }[] = [];
  const all: { -readonly [K in keyof Sent]: Sent[K] }[] = [];
  const owners = new Map<Ticket, { entry: (typeof all)[number]; over: () => void }>();
  let now = 0;
  let sent = 0;
  const plan = (at: number, what: () => void) => {
    const index = agenda.findIndex((entry) => entry.at > at);
    agenda.splice(index < 0 ? agenda.length : index, 0, { at, what });
  };
  const ask = (arrival: Arrival, over: () => void) => {
    const entry = { ...arrival, sentAt: null, endedAt: null, fate: null };
    all.push(entry);
    owners.set(pace.ask({ ...arrival, patienceMs: Number.POSITIVE_INFINITY }, now), { entry, over });
  };
  const walk = (walker: { endpoint: string; lane: Lane }) =>
    ask({ ...walker, at: now }, () => void walk(walker));
  for (const arrival of arrivals) plan(arrival.at, () => ask(arrival, () => undefined));
  for (const walker of walkers) plan(0, () => walk(walker));

  while (agenda.length > 0 && (agenda[0]?.at ?? 0) <= forMs) {
    const next = agenda.shift();
    if (next === undefined) break;
    now = next.at;
    next.what();
    const { granted, wakeAt } = pace.turn(now);
    for (const ticket of granted) {
      const owner = owners.get(ticket);
      if (owner === undefined) throw new Error('a permit for nobody');
      owners.delete(ticket);
      owner.entry.sentAt = now;
      const latency = latencyMs?.(sent) ?? 0;
      sent += 1;
      plan(now + latency / 2, () => {
        const fate = stripe?.(ticket.endpoint, now) ?? 'ok';
        plan(now + latency / 2, () => {
          pace.settle(ticket, fate, now);
          Object.assign(owner.entry, { fate, endedAt: now });
          owner.over();
        });
      });
    }
    if (wakeAt !== null && !agenda.some(({ at }) => at <= wakeAt)) plan(wakeAt, () => undefined);
  }
  return all;
}

/** A limiter with a bucket that holds a second of its rate. */
export function bucketOf(
  perSecond: number,
  reason = 'endpoint-rate',
): (endpoint: string, now: number) => Fate {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return (endpoint, now) => {
    const name = reason.startsWith('global') ? '' : endpoint;
    const { tokens, at } = buckets.get(name) ?? { tokens: perSecond, at: now };
    const filled = Math.min(perSecond, tokens + ((now - at) / 1000) * perSecond);
    buckets.set(name, { tokens: filled >= 1 ? filled - 1 : filled, at: now });
    return filled >= 1 ? 'ok' : { reason, retryAfterMs: null };
  };
}
