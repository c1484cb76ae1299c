/** What can go wrong between Stripe and its client, switched on and off while the simulator runs. */

import type { Random } from './random.js';
import type { RateLimitReason } from './rate-limits.js';

export type FaultKind =
  /** 429 with `Stripe-Rate-Limited-Reason`. */
  | 'rate_limit'
  /** 429 without it: an object was locked by another request. */
  | 'lock_timeout'
  /** A 5xx with Stripe's JSON error. */
  | 'server_error'
  /** 502 from something in between, with HTML. */
  | 'bad_gateway'
  /** 200, and the body is no JSON. */
  | 'not_json'
  | 'cut_before_headers'
  | 'cut_body'
  /** One event of a page comes without `data.object`, or with null in its place. */
  | 'event_without_object'
  | 'event_null_object';

export interface FaultRule {
  readonly kind: FaultKind;
  /** The share of matching requests, from 0 to 1. */
  readonly probability?: number;
  /** The next so many matching requests. */
  readonly next?: number;
  /** Only paths that begin like this, such as `/v1/customers`; all of `/v1` when missing. */
  readonly path?: string;
  /** For `server_error`; 500 by default. */
  readonly status?: number;
  /** For `rate_limit`; `global-rate` by default. */
  readonly reason?: RateLimitReason;
  /** Sent as `Retry-After`, in seconds, with a 429. */
  readonly retryAfterSeconds?: number;
}

export interface Latency {
  readonly fixedMs: number;
  /** Up to so much more, drawn for each request. */
  readonly jitterMs?: number;
}

export interface FaultSettings {
  readonly latency?: Latency;
  readonly rules?: readonly FaultRule[];
}

export interface Faults {
  set(settings: FaultSettings): void;
  add(rule: FaultRule): void;
  /** Milliseconds that this request takes. */
  latency(): number;
  /** The fault that hits this request, if one does. Faults of an event hit only where there is a page with events. */
  take(path: string, eventsListed?: boolean): FaultRule | undefined;
  served(): Record<string, number>;
}

export function createFaults(random: Random, settings: FaultSettings = {}): Faults {
  let latency: Latency | undefined;
  let rules: { readonly rule: FaultRule; left: number }[] = [];
  const served: Record<string, number> = {};
  const set = (next: FaultSettings): void => {
    latency = next.latency;
    rules = (next.rules ?? []).map((rule) => ({ rule, left: rule.next ?? 0 }));
  };
  set(settings);

  return {
    set,
    add: (rule) => void rules.push({ rule, left: rule.next ?? 0 }),
    latency: () => (latency === undefined ? 0 : latency.fixedMs + random.next() * (latency.jitterMs ?? 0)),
    take(path, eventsListed = false) {
      for (const entry of rules) {
        const { rule } = entry;
        if (rule.kind.startsWith('event_') !== eventsListed) continue;
        if (rule.path !== undefined && !path.startsWith(rule.path)) continue;
        const hits = entry.left > 0 || (rule.probability !== undefined && random.chance(rule.probability));
        if (!hits) continue;
        if (entry.left > 0) entry.left -= 1;
        served[rule.kind] = (served[rule.kind] ?? 0) + 1;
        return rule;
      }
      return undefined;
    },
    served: () => ({ ...served }),
  };
}
