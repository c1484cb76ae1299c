/** Stripe's limiters: requests a second and requests at once, for the whole account and for each endpoint. */
export type RateLimitReason =
  | 'global-rate'
  | 'global-concurrency'
  | 'endpoint-rate'
  | 'endpoint-concurrency'
  | 'resource-specific';

export interface RateLimitSettings {
  /** Requests a second. Stripe documents 100 live, 25 in a sandbox, and 25 for one endpoint. */
  readonly perSecond?: number;
  readonly perEndpointPerSecond?: number;
  /** Requests at the same time. */
  readonly concurrency?: number;
  readonly endpointConcurrency?: number;
}

export interface RateLimits {
  set(settings: RateLimitSettings): void;
  /** Counts a request in; the reason why it is refused, or undefined. A request that got in has to leave. */
  enter(endpoint: string): RateLimitReason | undefined;
  leave(endpoint: string): void;
  refused(): Record<string, number>;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** `now` in seconds; it has to run evenly, so it is not the simulated clock, which can jump. */
export function createRateLimits(now: () => number, initial: RateLimitSettings = {}): RateLimits {
  let settings = initial;
  const buckets = new Map<string, Bucket>();
  const running = new Map<string, number>();
  let runningAll = 0;
  const refused: Record<string, number> = {};

  const hasToken = (name: string, rate: number): boolean => {
    const at = now();
    const bucket = buckets.get(name) ?? { tokens: rate, at };
    bucket.tokens = Math.min(rate, bucket.tokens + (at - bucket.at) * rate);
    bucket.at = at;
    buckets.set(name, bucket);
    return bucket.tokens >= 1;
  };
  const spend = (name: string): void => {
    const bucket = buckets.get(name);
    if (bucket !== undefined) bucket.tokens -= 1;
  };

  const reasonAgainst = (endpoint: string): RateLimitReason | undefined => {
    const { perSecond, perEndpointPerSecond, concurrency, endpointConcurrency } = settings;
    if (concurrency !== undefined && runningAll >= concurrency) return 'global-concurrency';
    if (endpointConcurrency !== undefined && (running.get(endpoint) ?? 0) >= endpointConcurrency) {
      return 'endpoint-concurrency';
    }
    if (perSecond !== undefined && !hasToken('', perSecond)) return 'global-rate';
    if (perEndpointPerSecond !== undefined && !hasToken(endpoint, perEndpointPerSecond))
      return 'endpoint-rate';
    return undefined;
  };

  return {
    set(next) {
      settings = next;
      buckets.clear();
    },
    enter(endpoint) {
      const reason = reasonAgainst(endpoint);
      if (reason !== undefined) {
        refused[reason] = (refused[reason] ?? 0) + 1;
        return reason;
      }
      spend('');
      spend(endpoint);
      runningAll += 1;
      running.set(endpoint, (running.get(endpoint) ?? 0) + 1);
      return undefined;
    },
    leave(endpoint) {
      runningAll -= 1;
      running.set(endpoint, (running.get(endpoint) ?? 1) - 1);
    },
    refused: () => ({ ...refused }),
  };
}
