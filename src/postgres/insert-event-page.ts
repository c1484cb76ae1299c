import type { Pool } from 'pg';
import type { Position } from '../domain/cursor.js';
import { itemTexts } from '../stripe/json-text.js';
import { storableJson } from '../stripe/storable-json.js';
import { compositeKeys, storedObjects } from '../stripe/stored-objects.js';
import { isRefusedData, postgresErrorSummary } from './errors.js';
import { type EventSource, type InsertedEvents, insertEvents } from './insert-events.js';
import { insertUnholdable, type UnholdableEvent } from './insert-unholdable.js';

export interface EventToInsert extends Position {
  readonly api_version?: string | null;
}

/** Whether a ledger row can stand for it: it has an id and a time. */
export function isEvent(entry: unknown): entry is EventToInsert {
  if (typeof entry !== 'object' || entry === null) return false;
  const { id, created } = entry as Partial<Record<'id' | 'created', unknown>>;
  return typeof id === 'string' && Number.isInteger(created) && Number(created) >= 0;
}

export interface InsertEventPage {
  readonly account: string;
  readonly source: EventSource;
  /** Stripe's clock in seconds. */
  readonly seenAt: number;
  /** When the place of an event of that second was last read without it; Stripe's clock in seconds. */
  readonly lookedAt: (created: number) => number | null;
  /** JSON text of an object whose `data` is an array of Stripe events. */
  readonly text: string;
  /** What JavaScript parsed of that array. */
  readonly entries: readonly unknown[];
  /** Of the answer that brought it, for the log. */
  readonly requestId: string | null;
}

export interface InsertDeps {
  readonly pool: Pool;
  readonly log: { warn(fields: Record<string, unknown>, message: string): void };
}

/**
 * Inserts the page as its own text. Should PostgreSQL refuse the page for what one of its events holds, the
 * events go in one by one, each as its own text, so that none holds up the others; what it refuses even so gets a
 * ledger row without its payload.
 */
export async function insertEventPage(deps: InsertDeps, page: InsertEventPage): Promise<InsertedEvents> {
  const { account, source, seenAt, requestId } = page;
  const events = page.entries.filter(isEvent);
  const looks = events.flatMap(({ id, created }) => {
    const at = page.lookedAt(created);
    return at === null ? [] : [[id, at] as const];
  });
  const tables = { objects: storedObjects(), keyFields: compositeKeys() };
  const lookedAt = Object.fromEntries(looks);
  const insert = (text: string) =>
    insertEvents(deps.pool, { account, page: storableJson(text), source, seenAt, ...tables, lookedAt });
  try {
    return await insert(page.text);
  } catch (error) {
    if (!isRefusedData(error) || events.length === 0) throw error;
  }
  const inserted: Position[] = [];
  const knownBefore: Position[] = [];
  let ignored = 0;
  const texts = itemTexts(page.text, 'data');
  for (const [index, entry] of page.entries.entries()) {
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
      const row = { account, source, seenAt, lookedAt: page.lookedAt(created), ...tables, reason };
      const one = await insertWithoutPayload(deps.pool, row, { ...entry });
      if (one.inserted) inserted.push({ id, created });
      if (one.knownBefore) knownBefore.push({ id, created });
      deps.log.warn(
        { account, event: id, requestId, reason, inLedger: one.inLedger },
        'PostgreSQL cannot hold this event; its payload is left out',
      );
    }
  }
  return { inserted, knownBefore, ignored };
}

/** Where even its names are refused (an id too long for an index), first the object's are left out, then the event. */
async function insertWithoutPayload(
  pool: Pool,
  row: Omit<UnholdableEvent, 'event'>,
  event: UnholdableEvent['event'],
): Promise<{ readonly inserted: boolean; readonly knownBefore: boolean; readonly inLedger: boolean }> {
  for (const reduced of [event, { ...event, data: null }]) {
    try {
      return { ...(await insertUnholdable(pool, { ...row, event: reduced })), inLedger: true };
    } catch (error) {
      if (!isRefusedData(error)) throw error;
    }
  }
  return { inserted: false, knownBefore: false, inLedger: false };
}
