/**
 * Applies changes of one type together, each row's newest in one statement, and gives them their outcome with it. The
 * changes come on pages that are not in the ledger yet, and go into it with their outcome; or they wait in the ledger.
 *
 * A row gives way only where it is wholly older than what it takes (src/domain/set-plan.ts), and only as the statement
 * saw it: one that came or changed meanwhile stays, as in upsert-page.ts. Where a row is newer, its changes are stale.
 * All others get no outcome: they wait in the ledger, for their entity.
 */
import { escapeIdentifier, type PoolClient } from 'pg';
import type { PlannedChange } from '../domain/set-plan.js';
import { changedOf, changeKind } from './changed-keys.js';
import { TRANSACTION } from './insert-events.js';
import type { Prepare } from './prepared-statements.js';

interface OfType {
  readonly account: string;
  /** Stripe's `object` name, and its table. */
  readonly object: string;
  readonly table: string;
  /** Whether an object may follow the tombstone of its id. */
  readonly recreatable: boolean;
  readonly planned: readonly PlannedChange[];
}

export interface ListedTogether extends OfType {
  /** JSON texts of the events, in the order of `planned`. */
  readonly texts: readonly string[];
  /** Stripe's clock in seconds. */
  readonly seenAt: number;
  /** When the list was last read to its end, in seconds of Stripe's clock; null where nobody knows. */
  readonly lookedAt: number | null;
}

export interface AppliedTogether {
  /** Changes that the ledger did not hold before; where they waited there, those that were taken. */
  readonly taken: number;
  readonly applied: number;
  readonly stale: number;
  /** What waits for its entity. */
  readonly left: number;
}

const PARTS = 'unnest($2::text[], $3::text[], $4::text[], $5::boolean[])';

/** Changes on a page, without those that the ledger holds. */
const LISTED = `
  select q.id, q.key, q.part, q.doubtful, p.e, to_timestamp((p.e->>'created')::bigint) as created
  from jsonb_array_elements($8::jsonb) with ordinality as p(e, n)
  join ${PARTS} with ordinality as q(id, key, part, doubtful, n) using (n)
  where not exists (select from stripe_sync.events x where x.account = $1 and x.id = q.id)`;

/** Changes that wait in the ledger and that nobody is about to hand on. */
const WAITING = `
  select q.id, q.key, q.part, q.doubtful, x.event as e, x.created
  from ${PARTS} as q(id, key, part, doubtful)
  join stripe_sync.events x on x.account = $1 and x.id = q.id
  where x.outcome is null and x.claimed_by is null
  order by q.id
  for update of x skip locked`;

const INSERTED = (object: string) => `
  insert into stripe_sync.events
    (account, id, type, created, object, object_id, api_version, event, source, seen_at, listed_at, looked_at,
     outcome, applied_at, attempts)
  select $1, id, coalesce(e->>'type', ''), created, $7, key, e->>'api_version', e, 'poll', to_timestamp($9),
    to_timestamp($9), to_timestamp($10),
    outcome, case when outcome is not null then clock_timestamp() end, case when outcome is null then 0 else 1 end
  from verdict
  order by id
  on conflict (account, id) do nothing
  returning id, type, created, outcome
)${
  TRANSACTION.startsWith(`${object}.`)
    ? `, paid as (
  insert into stripe_sync.reads as r (account, hour, transactions)
  select $1, date_trunc('hour', created), count(*) from settled where type = '${TRANSACTION}'
  group by 2
  order by 2
  on conflict (account, hour) do update set transactions = r.transactions + excluded.transactions
)`
    : ''
}`;

const UPDATED = `
  update stripe_sync.events x
  set outcome = v.outcome, applied_at = clock_timestamp(), error = null, attempts = x.attempts + 1
  from verdict v
  where x.account = $1 and x.id = v.id and v.outcome is not null
  returning x.id, x.outcome
)`;

const together = (table: string, planned: string, settled: string) => `
with planned as materialized (${planned}
), before as materialized (
  select r.*
  from (select distinct key from planned) as k, lateral (
    select o.id, o.data, o.deleted, o.as_of, o.as_of_until, o.xmin::text as version
    from stripe.${escapeIdentifier(table)} o
    where o.account = $1 and o.id = k.key
    limit 1
  ) as r
), written as (
  insert into stripe.${escapeIdentifier(table)} as r (account, id, data, as_of, as_of_until, deleted, source)
  select $1, p.key, p.e->'data'->'object', p.created, p.created, p.part = 'deletion', p.id
  from planned p left join before b on b.id = p.key
  where p.part in ('state', 'deletion')
    and (b.id is null or (b.as_of_until < p.created and (not b.deleted or p.part = 'deletion' or $6::boolean)))
  order by p.key
  on conflict (account, id) do update set
    data = excluded.data, as_of = excluded.as_of, as_of_until = excluded.as_of_until,
    deleted = excluded.deleted, source = excluded.source
  where r.as_of_until < excluded.as_of and (not r.deleted or excluded.deleted or $6::boolean)
    and (r.id, r.xmin::text) in (select id, version from before)
  returning r.id, r.deleted, r.as_of
), verdict as (
  select p.id, p.key, p.e, p.created,
    case
      when w.id is not null then case when p.part = 'older' then 'stale' else 'applied' end
      when b.as_of > p.created and (not p.doubtful or b.deleted) then 'stale'
    end as outcome
  from planned p left join written w on w.id = p.key left join before b on b.id = p.key
), settled as (${settled}, change as (
  insert into stripe_sync.unnumbered_changes (account, object, id, event_id, kind, as_of, changed)
  select $1, $7, w.id, p.id, ${changeKind('b.deleted', 'w.deleted')}, w.as_of,
    ${changedOf('b.id is null', 'b.data', "p.e->'data'->'object'")}
  from written w join planned p on p.key = w.id and p.part in ('state', 'deletion') left join before b on b.id = w.id
  where b.id is null or b.data <> p.e->'data'->'object' or b.deleted <> w.deleted
  order by w.id
)
select (select count(*) from planned) as planned, count(*) as settled,
  count(*) filter (where outcome = 'applied') as applied, count(*) filter (where outcome = 'stale') as stale
from settled`;

interface Counts {
  readonly planned: string | number;
  readonly settled: string | number;
  readonly applied: string | number;
  readonly stale: string | number;
}

/** In a transaction of `changingTransaction`, as the waiting ones too. */
export async function applyListed(
  client: PoolClient,
  prepare: Prepare,
  input: ListedTogether,
): Promise<AppliedTogether> {
  const { table, object, texts, seenAt, lookedAt } = input;
  const { rows } = await client.query<Counts>({
    ...prepare(together(table, LISTED, INSERTED(object))),
    values: [...partsOf(input), object, `[${texts.join(',')}]`, seenAt, lookedAt],
  });
  const [counts] = rows;
  const applied = Number(counts?.applied);
  const stale = Number(counts?.stale);
  const taken = Number(counts?.settled);
  return { taken, applied, stale, left: taken - applied - stale };
}

/** Changes that wait in the ledger unclaimed; what somebody claims or holds meanwhile is left to them. */
export async function applyWaiting(
  client: PoolClient,
  prepare: Prepare,
  input: OfType,
): Promise<AppliedTogether> {
  const { table, object } = input;
  const { rows } = await client.query<Counts>({
    ...prepare(together(table, WAITING, UPDATED)),
    values: [...partsOf(input), object],
  });
  const [counts] = rows;
  const applied = Number(counts?.applied);
  const stale = Number(counts?.stale);
  const taken = Number(counts?.planned);
  return { taken, applied, stale, left: taken - applied - stale };
}

function partsOf({ account, planned, recreatable }: OfType): unknown[] {
  return [
    account,
    planned.map(({ id }) => id),
    planned.map(({ key }) => key),
    planned.map(({ part }) => part),
    planned.map(({ doubtful }) => doubtful),
    recreatable,
  ];
}
