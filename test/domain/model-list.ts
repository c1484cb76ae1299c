/** A model of Stripe's list of events: it is eventually consistent, and ids say nothing about order. */
import type { Position } from '../../src/domain/cursor.js';
import type { ListAnswer, ListRequest } from '../../src/domain/list-request.js';

/** Times are seconds with fractions; `order` is the event's arbitrary, but stable place within its second. */
export interface ModelEvent {
  readonly id: string;
  readonly at: number;
  readonly visibleAt: number;
  readonly order: number;
}

export const createdOf = (event: ModelEvent) => Math.floor(event.at);

export interface ModelListOptions {
  /** Stripe may show fewer than it was asked for. */
  readonly pageSize: number;
  /** How long events are listed, in seconds. */
  readonly retentionSeconds?: number;
  /** What the `Date` of an answer says at a time; null where there is none. */
  readonly date?: (now: number) => number | null;
}

/** The list, and what a client has inserted of it. */
export function createModelList(events: readonly ModelEvent[], options: ModelListOptions) {
  const inOrder = events.toSorted((a, b) => createdOf(b) - createdOf(a) || b.order - a.order);
  const seen = new Set<string>();
  const { retentionSeconds = Infinity, date = Math.floor } = options;

  function answer(request: ListRequest, now: number): ListAnswer {
    const isKept = (event: ModelEvent) => event.at >= now - retentionSeconds;
    const shown = inOrder.filter((event) => event.visibleAt <= now && isKept(event));
    const placeOf = (id: string) => shown.findIndex((event) => event.id === id);
    let entries: ModelEvent[];
    let hasMore: boolean;
    if (request.kind === 'after') {
      const place = placeOf(request.id);
      if (place === -1) return 'lost';
      const newer = shown.slice(0, place);
      entries = newer.slice(-options.pageSize);
      hasMore = newer.length > entries.length;
    } else {
      const { from, to, below, limit } = request;
      const place = below === null ? -1 : placeOf(below);
      if (below !== null && place === -1) return 'lost';
      const window = shown
        .slice(place + 1)
        .filter((event) => createdOf(event) >= (from ?? 0) && createdOf(event) <= (to ?? Infinity));
      entries = window.slice(0, Math.min(limit, options.pageSize));
      hasMore = window.length > entries.length;
    }
    const listed: Position[] = entries.map((event) => ({ id: event.id, created: createdOf(event) }));
    const news = listed.filter(({ id }) => !seen.has(id)).length;
    for (const { id } of listed) seen.add(id);
    const newest = listed.length === 0 ? null : Math.max(...listed.map(({ created }) => created));
    return { listed, hasMore, news, readAt: date(now) ?? newest, saidAt: date(now) };
  }

  return { answer, seen };
}

export type ModelList = ReturnType<typeof createModelList>;

/** Ids that are in no order of time, as Stripe's are. */
export function modelId(index: number, order: number): string {
  return `evt_${(order * 7919 + index * 104_729) % 1_000_003}_${index}`;
}
