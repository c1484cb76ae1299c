import type { Position } from '../src/domain/cursor.js';
import { StripeFailure } from '../src/domain/failures.js';
import type { FirstListed } from '../src/domain/lateness.js';
import type { ListRequest } from '../src/domain/list-request.js';
import { PAGE } from '../src/domain/trail.js';
import { isRefusedData, postgresErrorSummary } from '../src/postgres/errors.js';
import { type EventSource, type InsertedEvents, insertEvents } from '../src/postgres/insert-events.js';
import { insertUnholdable, type UnholdableEvent } from '../src/postgres/insert-unholdable.js';
import type { StripeResponse } from '../src/stripe/client.js';
import { itemTexts } from '../src/stripe/json-text.js';
import { storableJson } from '../src/stripe/storable-json.js';
import { compositeKeys, storedObjects } from '../src/stripe/stored-objects.js';
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
  const insert = { account, source, lookedAt, seenAt: page.seenAt };
  const { inserted, knownBefore, ignored } = await insertPage(deps, insert, answer);
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
  readonly events: readonly ListedEvent[];
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

interface ListedEvent extends Position {
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
 * events go in one by one, each as its own text, so that none holds up the others; what it refuses even so gets a
 * ledger row without its payload.
 */
async function insertPage(
  deps: ActivityDeps,
  input: {
    readonly account: string;
    readonly source: EventSource;
    readonly seenAt: number;
    readonly lookedAt: (created: number) => number | null;
  },
  { response, events }: Answer,
): Promise<InsertedEvents> {
  const looks = events.flatMap(({ id, created }) => {
    const at = input.lookedAt(created);
    return at === null ? [] : [[id, at] as const];
  });
  const { account, source, seenAt } = input;
  const tables = { objects: storedObjects(), keyFields: compositeKeys() };
  const lookedAt = Object.fromEntries(looks);
  const insert = (page: string) =>
    insertEvents(deps.pool, { account, page: storableJson(page), source, seenAt, ...tables, lookedAt });
  try {
    return await insert(response.text);
  } catch (error) {
    if (!isRefusedData(error) || events.length === 0) throw error;
  }
  const inserted: Position[] = [];
  const knownBefore: Position[] = [];
  let ignored = 0;
  const texts = itemTexts(response.text, 'data');
  for (const [index, entry] of readList(response).entries.entries()) {
    if (!isEvent(entry)) continue;
    try {
      const one = await insert(`{"data":[${texts[index]}]}`);
      inserted.push(...one.inserted);
      knownBefore.push(...one.knownBefore);
      ignored += one.ignored;
    } catch (error) {
      const reason = postgresErrorSummary(error);
      if (!isRefusedData(error) || reason === null) throw error;
      const { id, created } = entry;
      const row = { account, source, seenAt, lookedAt: input.lookedAt(created), ...tables, reason };
      const one = await insertWithoutPayload(deps, row, { ...entry });
      if (one.inserted) inserted.push({ id, created });
      if (one.knownBefore) knownBefore.push({ id, created });
      deps.log.warn(
        { account, event: id, requestId: response.requestId, reason, inLedger: one.inLedger },
        'PostgreSQL cannot hold this event; its payload is left out',
      );
    }
  }
  return { inserted, knownBefore, ignored };
}

/** Where even its names are refused (an id too long for an index), first the object's are left out, then the event. */
async function insertWithoutPayload(
  deps: ActivityDeps,
  row: Omit<UnholdableEvent, 'event'>,
  event: UnholdableEvent['event'],
): Promise<{ readonly inserted: boolean; readonly knownBefore: boolean; readonly inLedger: boolean }> {
  for (const reduced of [event, { ...event, data: null }]) {
    try {
      return { ...(await insertUnholdable(deps.pool, { ...row, event: reduced })), inLedger: true };
    } catch (error) {
      if (!isRefusedData(error)) throw error;
    }
  }
  return { inserted: false, knownBefore: false, inLedger: false };
}
