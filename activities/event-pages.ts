import type { Position } from '../src/domain/cursor.js';
import { StripeFailure } from '../src/domain/failures.js';
import type { FirstListed } from '../src/domain/lateness.js';
import type { ListRequest } from '../src/domain/list-request.js';
import { PAGE } from '../src/domain/trail.js';
import { type EventToInsert, insertEventPage, isEvent } from '../src/postgres/insert-event-page.js';
import type { EventSource } from '../src/postgres/insert-events.js';
import type { StripeResponse } from '../src/stripe/client.js';
import type { ActivityDeps } from './deps.js';

/** One page of /v1/events, as it was listed and put into the inbox. */
export interface EventPage {
  /** In the list's order, newest first, without entries that are no events. */
  readonly listed: readonly Position[];
  readonly hasMore: boolean;
  /** Events that the inbox did not hold yet. */
  readonly inserted: readonly Position[];
  /** Events that the list showed for the first time, new or known from a webhook. */
  readonly firstListed: readonly (Position & FirstListed)[];
  /** Entries without an id or a time, which no ledger row can stand for. */
  readonly malformed: number;
  /**
   * The latest second in which Stripe may have read the list. Without a `Date` header it is the newest event's, or
   * our own clock where there is none; then it bounds nothing, and serves a log and a column only.
   */
  readonly seenAt: number;
  /** What the `Date` header says, however odd; null without one. */
  readonly saidAt: number | null;
  /**
   * The earliest second in which Stripe may have read the list: a slow answer carries the `Date` of its end, and
   * what surfaced meanwhile is not on it. What is on it existed, which is all that is known without a `Date`.
   */
  readonly readAt: number | null;
  /** API version of the newest event on the page. */
  readonly apiVersion: string | null;
}

/** One page as Stripe lists it; nothing is inserted. */
export async function askForEvents(
  deps: ActivityDeps,
  input: { readonly account: string; readonly request: ListRequest; readonly signal: AbortSignal },
): Promise<Omit<EventPage, 'inserted' | 'firstListed'> & { readonly answer: Answer }> {
  const response = await deps.stripe(input.account).get(`/v1/events?${queryOf(input.request)}`, {
    signal: input.signal,
  });
  const { entries, hasMore } = readList(response);
  const events = entries.filter(isEvent);
  const listed = events.map(({ id, created }) => ({ id, created }));
  const newest = listed.length === 0 ? null : Math.max(...listed.map(({ created }) => created));
  if (entries.length > events.length) {
    deps.log.warn(
      { account: input.account, requestId: response.requestId, entries: entries.length - events.length },
      'Stripe listed entries that are no events; they are counted and left out',
    );
  }
  return {
    answer: { response, events },
    listed,
    hasMore,
    malformed: entries.length - events.length,
    saidAt: response.saidDate ?? response.date,
    seenAt: response.date ?? newest ?? Math.floor(Date.now() / 1000),
    readAt: latest(newest, response.date === null ? null : response.date - response.durationMs / 1000),
    apiVersion: events[0]?.api_version ?? null,
  };
}

/** Lists one page of events and inserts it. */
export async function listEvents(
  deps: ActivityDeps,
  input: {
    readonly account: string;
    readonly request: ListRequest;
    readonly source: EventSource;
    readonly signal: AbortSignal;
    /** When the place of an event of that second was last read without it, in seconds of Stripe's clock. */
    readonly lookedAt: (created: number) => number | null;
  },
): Promise<EventPage> {
  const { answer, ...page } = await askForEvents(deps, input);
  const { account, source, lookedAt } = input;
  const { inserted, knownBefore, ignored } = await insertEventPage(deps, {
    account,
    source,
    lookedAt,
    seenAt: page.seenAt,
    text: answer.response.text,
    entries: readList(answer.response).entries,
    requestId: answer.response.requestId,
  });
  if (ignored > 0) {
    deps.log.info(
      { account, requestId: answer.response.requestId, events: ignored },
      'events that can never be applied are in the ledger with the reason',
    );
  }
  const first = (known: boolean) => (event: Position) => ({
    ...event,
    lookedAt: lookedAt(event.created),
    knownBefore: known,
  });
  return { ...page, inserted, firstListed: [...inserted.map(first(false)), ...knownBefore.map(first(true))] };
}

interface Answer {
  readonly response: StripeResponse;
  readonly events: readonly EventToInsert[];
}

function latest(newest: number | null, readAt: number | null): number | null {
  if (readAt === null) return newest;
  return Math.max(newest ?? 0, Math.floor(readAt));
}

export function queryOf(request: ListRequest): string {
  if (request.kind === 'after') return `limit=${PAGE}&ending_before=${encodeURIComponent(request.id)}`;
  const { from, to, below, limit } = request;
  return [
    `limit=${limit}`,
    ...(from === null ? [] : [`created[gte]=${from}`]),
    ...(to === null ? [] : [`created[lte]=${to}`]),
    ...(below === null ? [] : [`starting_after=${encodeURIComponent(below)}`]),
  ].join('&');
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
