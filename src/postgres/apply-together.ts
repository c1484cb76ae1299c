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
import { arrayParameter } from './array-parameter.js';
import { changedOf, changeKind } from './changed-keys.js';
import { TRANSACTION } from './insert-events.js';
import { jsonbArray } from './jsonb-parameter.js';
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

export interface WaitingTogether extends OfType {
  /** Where each of `planned` was in the ledger when it was read (`ctid`). */
  readonly places: readonly string[];
}

export interface AppliedTogether {
  /** Changes that the ledger did not hold before; where they waited there, those that were taken. */
  readonly taken: number;
  readonly applied: number;
  readonly stale: number;
  /** What waits for its entity. */
  readonly left: number;
}

const PARTS = 'unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::boolean[])';

/**
 * Changes on a page, those that the ledger holds among them: what has its outcome is not newer than its row, so it
 * changes nothing, and what waits finds the row in its state.
 */
const LISTED = `
  select q.*, to_timestamp((q.e->>'created')::bigint) as created
  from rows from (${PARTS}, jsonb_array_elements($8::jsonb)) as q(id, key, part, doubtful, e)`;

/**
 * Changes that wait in the ledger and that nobody is about to hand on. By their place: a plan that is made while the
 * ledger is small takes any index, and is kept. A row that has moved since is somebody else's.
 */
const WAITING = `
  select q.*, x.event as e, x.created
  from (select * from rows from (${PARTS}, unnest($8::tid[])) as q(id, key, part, doubtful, place) order by id) as q,
    lateral (
      select event, created from stripe_sync.events
      where ctid = q.place and account = $1 and id = q.id and outcome is null and claimed_by is null
      for update skip locked
    ) as x`;

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
  where x.ctid = v.place and v.outcome is not null
  returning x.id, x.outcome
)`;

/**
 * Nothing here is left to what PostgreSQL guesses of the number of rows, and no plan compares each change with each: what
 * is looked up is looked up by its key, and what was written is a set that is hashed.
 */
const together = (table: string, open: string, settled: string) => `
with planned as materialized (
  select p.*, b.*, p.part in ('state', 'deletion') as is_winner
  from (${open}) as p left join lateral (
    select o.as_of as b_as_of, o.as_of_until as b_as_of_until, o.deleted as b_deleted, o.xmin::text as b_version,
      case when p.part in ('state', 'deletion') then o.data end as b_data
    from stripe.${escapeIdentifier(table)} o
    where o.account = $1 and o.id = p.key
    limit 1
  ) as b on true
), written as (
  insert into stripe.${escapeIdentifier(table)} as r (account, id, data, as_of, as_of_until, deleted, source)
  select $1, key, e->'data'->'object', created, created, part = 'deletion', id
  from planned
  where is_winner
    and (b_version is null or (b_as_of_until < created and (not b_deleted or part = 'deletion' or $6::boolean)))
  order by key
  on conflict (account, id) do update set
    data = excluded.data, as_of = excluded.as_of, as_of_until = excluded.as_of_until,
    deleted = excluded.deleted, source = excluded.source
  where r.as_of_until < excluded.as_of and (not r.deleted or excluded.deleted or $6::boolean)
    and (r.id, r.xmin::text) in (select key, b_version from planned where is_winner)
  returning r.id
), verdict as (
  select *,
    case
      when key in (select id from written) then case when part = 'older' then 'stale' else 'applied' end
      when b_as_of > created and (not doubtful or b_deleted) then 'stale'
    end as outcome
  from planned
), settled as (${settled}, change as (
  insert into stripe_sync.unnumbered_changes (account, object, id, event_id, kind, as_of, changed)
  select $1, $7, key, id, ${changeKind('b_deleted', "(part = 'deletion')")}, created,
    ${changedOf('b_version is null', 'b_data', "e->'data'->'object'")}
  from planned
  where is_winner and key in (select id from written)
    and (b_version is null or b_data <> e->'data'->'object' or b_deleted <> (part = 'deletion'))
  order by key
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
    values: [...partsOf(input), object, jsonbArray(texts), seenAt, lookedAt],
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
  input: WaitingTogether,
): Promise<AppliedTogether> {
  const { table, object } = input;
  const { rows } = await client.query<Counts>({
    ...prepare(together(table, WAITING, UPDATED)),
    values: [...partsOf(input), object, input.places],
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
    arrayParameter(planned.map(({ id }) => id)),
    arrayParameter(planned.map(({ key }) => key)),
    arrayParameter(planned.map(({ part }) => part)),
    arrayParameter(planned.map(({ doubtful }) => doubtful)),
    recreatable,
  ];
}
