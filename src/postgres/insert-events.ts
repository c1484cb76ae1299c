import type { Pool, PoolClient } from 'pg';
import type { Position } from '../domain/cursor.js';
import { INBOX_CHANNEL } from './inbox-news.js';

export type EventSource = 'poll' | 'webhook' | 'rescan';

export interface InsertEvents {
  readonly account: string;
  /** JSON text of an object whose `data` is an array of Stripe events, such as a page of /v1/events. */
  readonly page: string;
  readonly source: EventSource;
  /** Stripe's clock in seconds. */
  readonly seenAt: number;
  /** Objects that have a table. */
  readonly objects: readonly string[];
  /** Objects whose key is not their id alone, with the fields that make it, in order. */
  readonly keyFields: Readonly<Record<string, readonly string[]>>;
  /** Per event id, when its place in the list was last read without it; Stripe's clock in seconds. */
  readonly lookedAt?: Readonly<Record<string, number>>;
}

/** What Stripe's allowance of reads is measured by. */
export const TRANSACTION = 'charge.succeeded';

/**
 * Puts a page of events into the inbox, unclaimed, and returns those that were not there yet. An event that
 * is there already stays as it is, whoever saw it first; where a webhook did, it is noted when the list first
 * showed it, and the event is returned as well.
 *
 * PostgreSQL parses the page's own text, so that nothing is lost on the way through JavaScript's numbers.
 * What can never be applied gets its outcome and the reason at once. So does what a platform's webhook endpoint is
 * sent of a connected account, or of the other mode; the list of an account holds its own events only. Entries that are no events (no id, no
 * `created`) are left out. Rows go in by id, so that two inserters of overlapping pages cannot deadlock.
 * What somebody else than the poll brings is told to the one who hands it on, and transactions are counted.
 */
const INSERT_EVENTS = `
with listed as (
  select distinct on (e->>'id') e, e->'data'->'object' as o
  from jsonb_array_elements(
    case when jsonb_typeof($2::jsonb->'data') = 'array' then $2::jsonb->'data' else '[]' end
  ) as e
  where jsonb_typeof(e->'id') = 'string'
    and jsonb_typeof(e->'created') = 'number'
    and e->>'created' ~ '^[0-9]{1,11}$'
  order by e->>'id'
), routed as (
  select e,
    o->>'object' as object,
    case when k.lacking is null then k.key end as object_id,
    case
      when $3 = 'webhook' and jsonb_typeof(e->'account') = 'string' and e->>'account' is distinct from
          (select stripe_account from stripe_sync.accounts where account = $1)
        then 'it belongs to the connected account ' || (e->>'account')
      when $3 = 'webhook' and e->'livemode' =
          (select to_jsonb(not livemode) from stripe_sync.accounts where account = $1)
        then 'it is of ' || case e->>'livemode' when 'true' then 'live' else 'test' end || ' mode'
      when jsonb_typeof(o) is distinct from 'object' then 'the event carries no object'
      when not coalesce(o->>'object' = any($5), false)
        then 'no table for the object ' || coalesce(quote_literal(o->>'object'), 'without a name')
      when k.lacking is not null then 'the object in the event has no ' || k.lacking
    end as reason
  from listed, lateral (
    select string_agg(o->>field, ':' order by n) as key,
      string_agg(field, ' and no ' order by n) filter (where jsonb_typeof(o->field) is distinct from 'string') as lacking
    from jsonb_array_elements_text(coalesce($6::jsonb->(o->>'object'), '["id"]')) with ordinality as f(field, n)
  ) as k
), inserted as (
  insert into stripe_sync.events
    (account, id, type, created, object, object_id, api_version, event, source, seen_at, listed_at, looked_at,
     outcome, error, applied_at)
  select $1, e->>'id', coalesce(e->>'type', ''), to_timestamp((e->>'created')::bigint), object, object_id,
    e->>'api_version', e, $3, to_timestamp($4),
    case when $3 <> 'webhook' then to_timestamp($4) end, to_timestamp(($7::jsonb->>(e->>'id'))::bigint),
    case when reason is not null then 'ignored' end, reason,
    case when reason is not null then clock_timestamp() end
  from routed
  order by e->>'id'
  on conflict (account, id) do nothing
  returning id, type, created, outcome
), paid as (
  insert into stripe_sync.reads as r (account, hour, transactions)
  select $1, date_trunc('hour', created), count(*) from inserted where type = '${TRANSACTION}'
  group by 2
  order by 2
  on conflict (account, hour) do update set transactions = r.transactions + excluded.transactions
), listed_now as (
  update stripe_sync.events e
  set listed_at = to_timestamp($4), looked_at = to_timestamp(($7::jsonb->>e.id)::bigint)
  from (
    select w.id from stripe_sync.events w join routed on w.id = routed.e->>'id'
    where $3 <> 'webhook' and w.account = $1 and w.source = 'webhook' and w.listed_at is null
    order by w.id
    for update of w
  ) as unlisted
  where e.account = $1 and e.id = unlisted.id
  returning e.id, e.created, e.outcome
)
select id, extract(epoch from created)::bigint as created, outcome, false as known_before from inserted
union all
select id, extract(epoch from created)::bigint, outcome, true from listed_now
union all
-- A poll hands on itself what it inserts.
select null, null, pg_notify('${INBOX_CHANNEL}', $1)::text, null
where $3 <> 'poll' and exists (select from inserted where outcome is null)`;

export interface InsertedEvents {
  /** Events that were not in the inbox yet. */
  readonly inserted: readonly Position[];
  /** Events that a webhook had put there, and the list shows now for the first time. */
  readonly knownBefore: readonly Position[];
  /** How many of them can never be applied. */
  readonly ignored: number;
}

export async function insertEvents(pool: Pool | PoolClient, input: InsertEvents): Promise<InsertedEvents> {
  const { rows: all } = await pool.query<{
    id: string | null;
    created: string | number;
    outcome: string | null;
    known_before: boolean | null;
  }>(INSERT_EVENTS, [
    input.account,
    input.page,
    input.source,
    input.seenAt,
    input.objects,
    JSON.stringify(input.keyFields),
    JSON.stringify(input.lookedAt ?? {}),
  ]);
  const rows = all.flatMap(({ id, ...row }) => (id === null ? [] : [{ id, ...row }]));
  const positions = (knownBefore: boolean) =>
    rows
      .filter((row) => row.known_before === knownBefore)
      .map((row) => ({ id: row.id, created: Number(row.created) }));
  return {
    inserted: positions(false),
    knownBefore: positions(true),
    ignored: rows.filter((row) => row.outcome === 'ignored' && !row.known_before).length,
  };
}
