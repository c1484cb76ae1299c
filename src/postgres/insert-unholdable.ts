import type { Pool } from 'pg';
import type { Position } from '../domain/cursor.js';
import type { EventSource } from './insert-events.js';

export interface UnholdableEvent {
  readonly account: string;
  /** The event as JavaScript parsed it: only its names and ids are used. */
  readonly event: Readonly<Record<string, unknown>> & Position;
  readonly source: EventSource;
  /** Stripe's clock in seconds. */
  readonly seenAt: number;
  /** When the event's place in the list was last read without it; Stripe's clock in seconds. */
  readonly lookedAt: number | null;
  /** Objects that have a table. */
  readonly objects: readonly string[];
  /** Objects whose key is not their id alone, with the fields that make it, in order. */
  readonly keyFields: Readonly<Record<string, readonly string[]>>;
  /** Why PostgreSQL refuses the event: its code, without its words. */
  readonly reason: string;
}

/**
 * A ledger row for an event that PostgreSQL cannot hold (a number beyond its range, JSON nested too deep): parked
 * with the reason, and without its object, so that nothing can be taken for the object's state. What becomes of its
 * entity is for a retry to find out, which has to read the object. An event that nothing would ever be applied of is
 * ignored.
 */
const INSERT_UNHOLDABLE = `
with inserted as (
  insert into stripe_sync.events
    (account, id, type, created, object, object_id, api_version, event, source, seen_at, listed_at, looked_at,
     outcome, error, applied_at)
  values ($1, $2, $3, to_timestamp($4), $5, $6, $7,
    jsonb_build_object('id', $2::text, 'object', 'event', 'type', $3::text, 'created', $4::bigint),
    $8, to_timestamp($9), case when $8 <> 'webhook' then to_timestamp($9) end, to_timestamp($10),
    $11, $12, clock_timestamp())
  on conflict (account, id) do nothing
  returning 1
), listed_now as (
  update stripe_sync.events
  set listed_at = to_timestamp($9), looked_at = to_timestamp($10)
  where $8 <> 'webhook' and account = $1 and id = $2 and source = 'webhook' and listed_at is null
  returning 1
)
select exists (select from inserted) as inserted, exists (select from listed_now) as known_before`;

/** Says whether the event was new, or known from a webhook and listed for the first time, like `insertEvents`. */
export async function insertUnholdable(
  pool: Pool,
  input: UnholdableEvent,
): Promise<{ readonly inserted: boolean; readonly knownBefore: boolean }> {
  const { event } = input;
  const { type, api_version: apiVersion } = event;
  const data = event.data as { object?: unknown } | null | undefined;
  const state = (data?.object ?? {}) as Record<string, unknown>;
  const object = textOf(state.object);
  const parts = (input.keyFields[object ?? ''] ?? ['id']).map((field) => textOf(state[field]));
  const objectId = parts.includes(null) ? null : parts.join(':');
  const applicable = object !== null && objectId !== null && input.objects.includes(object);
  const { rows } = await pool.query<{ inserted: boolean; known_before: boolean }>(INSERT_UNHOLDABLE, [
    input.account,
    textOf(event.id),
    textOf(type) ?? '',
    event.created,
    object,
    objectId,
    textOf(apiVersion),
    input.source,
    input.seenAt,
    input.lookedAt,
    applicable ? 'parked' : 'ignored',
    `its payload cannot be kept, so the ledger has the event without it: ${input.reason}`,
  ]);
  return { inserted: rows[0]?.inserted === true, knownBefore: rows[0]?.known_before === true };
}

/** PostgreSQL's text has no U+0000; a lone surrogate becomes U+FFFD on its way there. */
function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value.replaceAll('\u0000', '\ufffd') : null;
}
