import { setTimeout as sleep } from 'node:timers/promises';
import type { LimitFunction } from 'p-limit';
import { type AppliedTogether, applyListed } from '../src/postgres/apply-together.js';
import { isRefusedData } from '../src/postgres/errors.js';
import { insertEventPage } from '../src/postgres/insert-event-page.js';
import { insertEvents } from '../src/postgres/insert-events.js';
import { noteListed } from '../src/postgres/note-listed.js';
import { changingTransaction } from '../src/postgres/number-changes.js';
import { PLAN_ONCE, withPrepared } from '../src/postgres/prepared-statements.js';
import { objectTexts } from '../src/stripe/json-items.js';
import { storableJson } from '../src/stripe/storable-json.js';
import { compositeKeys, storedObjects } from '../src/stripe/stored-objects.js';
import type { ActivityDeps } from './deps.js';
import { isInTheWay } from './in-the-way.js';
import { type PlannedEvents, type PlanOptions, planEvents, type ReadEvent } from './plan-events.js';
import { type BatchWriter, createBatchWriter } from './write-batches.js';

/** A page of /v1/events. */
export interface ListedPage {
  readonly text: string;
  readonly entries: readonly unknown[];
  readonly requestId: string | null;
  /** Stripe's clock in seconds. */
  readonly seenAt: number;
}

export interface WriteOptions extends Omit<PlanOptions, 'wants'> {
  readonly account: string;
  /** When the list was last read to its end, in seconds of Stripe's clock; null where nobody knows. */
  readonly lookedAt: number | null;
  readonly signal: AbortSignal;
  /** Bounds what writes to PostgreSQL at a time, over all accounts. */
  readonly writing: LimitFunction;
}

/** A deadlock with somebody else's transaction is over once this one has given way. */
const AGAIN_AFTER_MS = [20, 100, 500];

/**
 * Puts pages of events into the ledger and applies them, several pages in a transaction. What they add up to, the first
 * of them tells.
 */
export function createEventWriter(
  deps: ActivityDeps,
  options: WriteOptions,
): BatchWriter<ListedPage, AppliedTogether> {
  return createBatchWriter({
    writing: options.writing,
    rowsOf: (page) => rowsOf(page.entries),
    mayShareRows: true,
    lengthOf: (page) => page.text.length,
    write: async (pages) => {
      const total = await write(deps, options, pages);
      return pages.map((_, index) => (index === 0 ? total : NOTHING));
    },
  });
}

const NOTHING: AppliedTogether = { taken: 0, applied: 0, stale: 0, left: 0 };

function add(a: AppliedTogether, b: AppliedTogether): AppliedTogether {
  return {
    taken: a.taken + b.taken,
    applied: a.applied + b.applied,
    stale: a.stale + b.stale,
    left: a.left + b.left,
  };
}

/** By Stripe's own names: more than the rows' keys tell apart is no loss. */
function rowsOf(entries: readonly unknown[]): string[] {
  return entries.flatMap((entry) => {
    const { data } = (entry ?? {}) as { data?: { object?: { object?: unknown; id?: unknown } } };
    const object = data?.object;
    return object === undefined || object === null ? [] : [`${object.object}/${object.id ?? ''}`];
  });
}

async function write(
  deps: ActivityDeps,
  options: WriteOptions,
  pages: readonly ListedPage[],
): Promise<AppliedTogether> {
  const events = pages.flatMap((page) => eventsOf(page));
  const seenAt = Math.max(...pages.map((page) => page.seenAt));
  for (let attempt = 0; ; attempt += 1) {
    try {
      if (events.includes(null)) break;
      const planned = planEvents(events as ReadEvent[], {
        ...options,
        wants: (type) => deps.handlers?.wants(type) ?? false,
      });
      return await apply(deps, options, planned, seenAt);
    } catch (error) {
      if (isRefusedData(error)) break;
      const pause = AGAIN_AFTER_MS[attempt];
      if (pause === undefined || !isInTheWay(error)) throw error;
      await sleep(pause * (0.5 + Math.random()), undefined, { signal: options.signal });
    }
  }
  // One of them is something that PostgreSQL cannot hold: event by event, none holds up the others.
  let total = NOTHING;
  for (const page of pages) {
    const { account, lookedAt } = options;
    const { inserted, ignored } = await insertEventPage(deps, {
      ...page,
      account,
      source: 'poll',
      lookedAt: () => lookedAt,
    });
    total = add(total, { ...NOTHING, taken: inserted.length, left: inserted.length - ignored });
  }
  return total;
}

/** Its events with their texts; null in the place of all where the text and what JavaScript made of it differ. */
function eventsOf({ text, entries }: ListedPage): (ReadEvent | null)[] {
  const texts = objectTexts(storableJson(text), 'data');
  if (texts === null || texts.length !== entries.length) return [null];
  return texts.map((item, index) => ({ text: item, entry: entries[index] }));
}

function apply(
  deps: ActivityDeps,
  options: WriteOptions,
  { types, others }: PlannedEvents,
  seenAt: number,
): Promise<AppliedTogether> {
  const { account, lookedAt, signal } = options;
  return withPrepared(deps.pool, true, (prepare) =>
    changingTransaction(
      deps.pool,
      async (client) => {
        let total = NOTHING;
        await client.query(PLAN_ONCE);
        for (const type of types) {
          total = add(total, await applyListed(client, prepare, { ...type, account, seenAt, lookedAt }));
        }
        const ids = types.flatMap(({ planned }) => planned.map(({ id }) => id));
        if (ids.length > total.taken) await noteListed(client, account, ids, { seenAt, lookedAt });
        if (others.length === 0) return total;
        const { inserted, ignored } = await insertEvents(client, {
          account,
          page: `{"data":[${others.join(',')}]}`,
          source: 'poll',
          seenAt,
          objects: storedObjects(),
          keyFields: compositeKeys(),
        });
        return add(total, { ...NOTHING, taken: inserted.length, left: inserted.length - ignored });
      },
      signal,
    ),
  );
}
