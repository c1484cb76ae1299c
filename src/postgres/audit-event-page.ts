import type { Pool } from 'pg';
import type { AuditKey } from './audit-row.js';

export interface EventPageComparison extends AuditKey {
  readonly events: readonly { readonly id: string; readonly type: string; readonly created: number }[];
  /** When Stripe listed them, at the latest; seconds of its clock. */
  readonly shownAt: number;
  /** How many more differences may be kept. */
  readonly room: number;
}

/** What Stripe lists and the ledger lacks, or has without an end. */
const COMPARE = `
with different as (
  select s.id, s.type, s.created,
    case when e.id is null then 'missing' when e.outcome is null then 'pending' else 'parked' end as kind,
    row_number() over (order by s.created, s.id) as place
  from unnest($3::text[], $4::text[], $5::bigint[]) as s(id, type, created)
  left join stripe_sync.events e on e.account = $1 and e.id = s.id
  where e.id is null or e.outcome is null or e.outcome = 'parked'
), noted as (
  insert into stripe_sync.audit_differences
    (account, number, object, id, kind, read_as_of, read_until, note)
  select $1, $2, 'event', id, kind, to_timestamp(created), to_timestamp($6), type
  from different where place <= $7
  on conflict do nothing
)
select count(*) filter (where place <= $7) as stored, count(*) filter (where place > $7) as overflow
from different`;

/** Compares a page of events with the ledger, and keeps what differs. */
export async function compareEventPage(
  pool: Pool,
  { account, number, events, shownAt, room }: EventPageComparison,
): Promise<{ readonly stored: number; readonly overflow: number }> {
  const { rows } = await pool.query<{ stored: string | number; overflow: string | number }>(COMPARE, [
    account,
    number,
    events.map(({ id }) => id),
    events.map(({ type }) => type),
    events.map(({ created }) => created),
    shownAt,
    Math.max(0, room),
  ]);
  return { stored: Number(rows[0]?.stored ?? 0), overflow: Number(rows[0]?.overflow ?? 0) };
}

const LOOK_AGAIN = `
with looked as (
  select d.id, e.id is null as absent, e.outcome
  from stripe_sync.audit_differences d
  left join stripe_sync.events e on e.account = d.account and e.id = d.id
  where d.account = $1 and d.number = $2 and d.object = 'event' and d.state = 'open' and d.looks = $3
), explained as (
  delete from stripe_sync.audit_differences d using looked l
  where d.account = $1 and d.number = $2 and d.object = 'event' and d.id = l.id
    and not l.absent and l.outcome is not null and l.outcome <> 'parked'
)
update stripe_sync.audit_differences d set
  looks = d.looks + 1, looked_at = to_timestamp($5),
  kind = case when l.absent then 'missing' when l.outcome is null then 'pending' else 'parked' end,
  state = case when $4 then 'differs' else 'open' end
from looked l
where d.account = $1 and d.number = $2 and d.object = 'event' and d.id = l.id
  and (l.absent or l.outcome is null or l.outcome = 'parked')`;

/** Looks at the ledger again, `at` this second of Stripe's clock: what has got its end meanwhile is no difference any more. */
export async function lookAtEvents(
  pool: Pool,
  { account, number }: AuditKey,
  { looks, last, at }: { readonly looks: number; readonly last: boolean; readonly at: number },
): Promise<void> {
  await pool.query(LOOK_AGAIN, [account, number, looks, last, at]);
}

const HEALED_EVENTS = `
update stripe_sync.audit_differences d set
  state = case when d.kind = 'missing' and exists (
    select from stripe_sync.events e where e.account = d.account and e.id = d.id
  ) then 'healed' else 'unhealed' end
where d.account = $1 and d.number = $2 and d.object = 'event' and d.state = 'differs'`;

/** Notes which of the events that were missing are in the ledger now. Those that wait or are parked are not healed. */
export async function noteHealedEvents(pool: Pool, { account, number }: AuditKey): Promise<void> {
  await pool.query(HEALED_EVENTS, [account, number]);
}

const MISSING_WINDOW = `
select extract(epoch from min(read_as_of))::bigint as "from", extract(epoch from max(read_as_of))::bigint as "to"
from stripe_sync.audit_differences
where account = $1 and number = $2 and object = 'event' and state = 'differs' and kind = 'missing'`;

/** The window of `created` in which events are missing, in seconds; null where none are. */
export async function missingWindow(
  pool: Pool,
  { account, number }: AuditKey,
): Promise<{ readonly from: number; readonly to: number } | null> {
  const { rows } = await pool.query<{ from: string | number | null; to: string | number | null }>(
    MISSING_WINDOW,
    [account, number],
  );
  const row = rows[0];
  return row?.from == null || row.to === null ? null : { from: Number(row.from), to: Number(row.to) };
}
