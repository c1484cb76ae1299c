import type { Cursor } from '../src/domain/cursor.js';
import { StripeFailure } from '../src/domain/failures.js';
import { isRefusedData } from '../src/postgres/errors.js';
import { type EventSource, insertEvents } from '../src/postgres/insert-events.js';
import type { StripeResponse } from '../src/stripe/client.js';
import { storableJson } from '../src/stripe/storable-json.js';
import { compositeKeys, storedObjects } from '../src/stripe/stored-objects.js';
import type { ActivityDeps } from './deps.js';

/** One page of /v1/events, as it was listed and put into the inbox. */
export interface EventPage {
  /** In the list's order, newest first, without entries that are no events. */
  readonly listed: readonly Cursor[];
  readonly hasMore: boolean;
  /** Events that the inbox did not hold yet. */
  readonly inserted: readonly Cursor[];
  readonly ignored: number;
  /** Entries without an id or a time, which no ledger row can stand for. */
  readonly malformed: number;
  /** Stripe's clock in seconds, or null without a `Date` header. */
  readonly date: number | null;
  /**
   * The earliest second in which Stripe may have read the list: a slow answer carries the `Date` of its end, and
   * what surfaced meanwhile is not on it.
   */
  readonly readAt: number | null;
  /** API version of the newest event on the page. */
  readonly apiVersion: string | null;
}

/** Lists one page of events and inserts it. */
export async function listEvents(
  deps: ActivityDeps,
  input: {
    readonly account: string;
    readonly query: string;
    readonly source: EventSource;
    readonly signal: AbortSignal;
  },
): Promise<EventPage> {
  const response = await deps.stripe(input.account).get(`/v1/events?${input.query}`, {
    signal: input.signal,
  });
  const { entries, hasMore } = readList(response);
  const events = entries.filter(isEvent);
  const listed = events.map(({ id, created }) => ({ id, created }));
  if (entries.length > events.length) {
    deps.log.warn(
      { account: input.account, requestId: response.requestId, entries: entries.length - events.length },
      'Stripe listed entries that are no events; they are counted and left out',
    );
  }
  const { inserted, ignored } = await insertPage(deps, input, response, events);
  if (ignored > 0) {
    deps.log.info(
      { account: input.account, requestId: response.requestId, events: ignored },
      'events that can never be applied are in the ledger with the reason',
    );
  }
  return {
    listed,
    hasMore,
    inserted,
    ignored,
    malformed: entries.length - events.length,
    date: response.date,
    readAt: response.date === null ? null : Math.floor(response.date - response.durationMs / 1000),
    apiVersion: events[0]?.api_version ?? null,
  };
}

interface ListedEvent extends Cursor {
  readonly api_version?: string | null;
}

function isEvent(entry: unknown): entry is ListedEvent {
  if (typeof entry !== 'object' || entry === null) return false;
  const { id, created } = entry as Partial<Record<'id' | 'created', unknown>>;
  return typeof id === 'string' && Number.isInteger(created) && Number(created) >= 0;
}

/** The entries of a list response. Throws `StripeFailure` of kind `malformed` where it is no list. */
export function readList(response: StripeResponse): { entries: readonly unknown[]; hasMore: boolean } {
  const body = response.body as { data?: unknown; has_more?: unknown } | null;
  if (typeof body === 'object' && body !== null && Array.isArray(body.data)) {
    return { entries: body.data, hasMore: body.has_more === true };
  }
  throw new StripeFailure('malformed', {
    message: `Stripe's answer is not a list (request ${response.requestId ?? 'without id'}); it is asked again.`,
    requestId: response.requestId ?? undefined,
  });
}

/**
 * Inserts the page as its own text. Should PostgreSQL refuse the page for what one of its events holds, the
 * events go in one by one, so that none holds up the others.
 */
async function insertPage(
  deps: ActivityDeps,
  input: { readonly account: string; readonly source: EventSource },
  response: StripeResponse,
  events: readonly ListedEvent[],
): Promise<{ inserted: readonly Cursor[]; ignored: number }> {
  const insert = (page: string) =>
    insertEvents(deps.pool, {
      account: input.account,
      page: storableJson(page),
      source: input.source,
      seenAt: response.date ?? Math.floor(Date.now() / 1000),
      objects: storedObjects(),
      keyFields: compositeKeys(),
    });
  try {
    return await insert(response.text);
  } catch (error) {
    if (!isRefusedData(error) || events.length === 0) throw error;
  }
  const inserted: Cursor[] = [];
  let ignored = 0;
  for (const event of events) {
    try {
      const one = await insert(JSON.stringify({ data: [event] }));
      inserted.push(...one.inserted);
      ignored += one.ignored;
    } catch (error) {
      if (!isRefusedData(error)) throw error;
      deps.log.warn(
        { account: input.account, event: event.id, requestId: response.requestId },
        'PostgreSQL cannot hold this event; it is left out',
      );
    }
  }
  return { inserted, ignored };
}
