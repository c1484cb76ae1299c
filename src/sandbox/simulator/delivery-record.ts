/** What became of the deliveries: totals, each event's own, and the last attempts one by one. */

/** One POST. Times are seconds of the simulator's clock, with a fraction. */
export interface DeliveryAttempt {
  readonly event: string;
  readonly endpoint: string;
  /** 2 for the second of a delivery that was doubled. */
  readonly copy: number;
  /** 1 for the first one. */
  readonly attempt: number;
  readonly sentAt: number;
  readonly answeredAt: number;
  /** Null when no whole answer came, and then `problem` says why. */
  readonly status: number | null;
  readonly problem?: string;
}

export interface EventDelivery {
  /** Attempts made, at all endpoints. */
  readonly attempts: number;
  /** When the first 2xx came, in seconds of the simulator's clock; null before. */
  readonly deliveredAt: number | null;
  /** The last answer's, at any endpoint; null when there was none, or none that was whole. */
  readonly lastStatus: number | null;
  /** Endpoints that have not answered with a 2xx: those still to come, lost and given up alike. */
  readonly pending: number;
}

export interface DeliveryStats {
  /** POSTs, whatever came of them; `retried` of them were no first attempts. */
  readonly sent: number;
  readonly retried: number;
  /** Deliveries that ended with a 2xx, and those that were given up; each copy is one. */
  readonly delivered: number;
  readonly failed: number;
  /** Events that were lost on the way to an endpoint, and those that went there twice. */
  readonly dropped: number;
  readonly duplicated: number;
  /** Deliveries that are neither delivered nor given up. */
  readonly open: number;
}

export interface DeliveryRecord {
  /** An event is meant for one more endpoint, and goes there in so many copies: none when it is lost. */
  planned(event: string, copies: number): void;
  sent(event: string, isRetry: boolean): void;
  answered(attempt: DeliveryAttempt): void;
  /** A copy has arrived; `isFirst` unless another copy had at this endpoint. */
  delivered(event: string, at: number, isFirst: boolean): void;
  failed(): void;
  /** Endpoints that have not acknowledged the event: its `pending_webhooks`. */
  pendingOf(event: string): number;
  of(event: string): EventDelivery | undefined;
  all(): Iterable<EventDelivery & { readonly event: string }>;
  attempts(): readonly DeliveryAttempt[];
  stats(): DeliveryStats;
}

/** The attempts that are kept, oldest thrown away first. */
const MOST_ATTEMPTS = 20_000;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export function createDeliveryRecord(mostAttempts = MOST_ATTEMPTS): DeliveryRecord {
  const byEvent = new Map<string, Mutable<EventDelivery>>();
  const totals = { sent: 0, retried: 0, delivered: 0, failed: 0, dropped: 0, duplicated: 0, open: 0 };
  let attempts: DeliveryAttempt[] = [];

  const entryOf = (event: string): Mutable<EventDelivery> => {
    let entry = byEvent.get(event);
    if (entry === undefined) {
      entry = { attempts: 0, deliveredAt: null, lastStatus: null, pending: 0 };
      byEvent.set(event, entry);
    }
    return entry;
  };

  return {
    planned(event, copies) {
      entryOf(event).pending += 1;
      if (copies === 0) totals.dropped += 1;
      if (copies > 1) totals.duplicated += 1;
      totals.open += copies;
    },
    sent(event, isRetry) {
      entryOf(event).attempts += 1;
      totals.sent += 1;
      if (isRetry) totals.retried += 1;
    },
    answered(attempt) {
      entryOf(attempt.event).lastStatus = attempt.status;
      attempts.push(attempt);
      if (attempts.length >= 2 * mostAttempts) attempts = attempts.slice(-mostAttempts);
    },
    delivered(event, at, isFirst) {
      const entry = entryOf(event);
      entry.deliveredAt ??= at;
      if (isFirst) entry.pending -= 1;
      totals.delivered += 1;
      totals.open -= 1;
    },
    failed() {
      totals.failed += 1;
      totals.open -= 1;
    },
    pendingOf: (event) => byEvent.get(event)?.pending ?? 0,
    of(event) {
      const entry = byEvent.get(event);
      return entry === undefined ? undefined : { ...entry };
    },
    *all() {
      for (const [event, entry] of byEvent) yield { event, ...entry };
    },
    attempts: () => attempts.slice(-mostAttempts),
    stats: () => ({ ...totals }),
  };
}
