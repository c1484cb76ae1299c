import type { DeliveryStats } from './delivery-record.js';
import type { SimulatedEvent } from './event-log.js';
import type { ServedPages } from './page-record.js';

export type RequestKind = 'events' | 'list' | 'retrieve' | 'other';

export interface RequestStats {
  readonly requests: Readonly<Record<RequestKind, number>>;
  /** By HTTP status; `cut` for connections that were cut. */
  readonly answers: Readonly<Record<string, number>>;
}

export interface Stats extends RequestStats {
  readonly changes: number;
  readonly events: number;
  /** Seconds from `created` to being listed: how many events below each bound, and the most. */
  readonly surfaced: { readonly histogram: Readonly<Record<string, number>>; readonly maxSeconds: number };
  /** Events that surfaced behind a newer one that was listed already, and the most that one lay behind, in seconds. */
  readonly late: { readonly count: number; readonly maxSeconds: number };
  readonly faults: Readonly<Record<string, number>>;
  readonly rateLimited: Readonly<Record<string, number>>;
  /** Pages of lists that were served while `recordPages` was on, by path; events aside. */
  readonly pages: Readonly<Record<string, ServedPages>>;
  readonly webhooks: DeliveryStats;
}

const BOUNDS = [1, 2, 3, 5, 10, 20, 40, 80, 160];

export function surfacing(events: readonly SimulatedEvent[]): Pick<Stats, 'surfaced' | 'late'> {
  const histogram: Record<string, number> = {};
  let maxSeconds = 0;
  for (const event of events) {
    const seconds = event.visibleAt - event.created;
    maxSeconds = Math.max(maxSeconds, seconds);
    const bound = BOUNDS.find((limit) => seconds < limit);
    const name = bound === undefined ? `>=${BOUNDS.at(-1)}` : `<${bound}`;
    histogram[name] = (histogram[name] ?? 0) + 1;
  }
  let count = 0;
  let mostBehind = 0;
  let newest: SimulatedEvent | undefined;
  for (const event of [...events].sort((a, b) => a.visibleAt - b.visibleAt)) {
    if (newest === undefined || comesAfter(event, newest)) {
      newest = event;
    } else if (event.visibleAt > newest.visibleAt) {
      count += 1;
      mostBehind = Math.max(mostBehind, newest.created - event.created);
    }
  }
  return { surfaced: { histogram, maxSeconds }, late: { count, maxSeconds: mostBehind } };
}

function comesAfter(event: SimulatedEvent, other: SimulatedEvent): boolean {
  return event.created > other.created || (event.created === other.created && event.tie > other.tie);
}
