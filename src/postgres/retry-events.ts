import type { Pool } from 'pg';
import { INBOX_CHANNEL } from './inbox-news.js';

/**
 * Takes parked events again: without an outcome and a claim, the next fetch hands them on like new ones, and the
 * rules of ordering decide (what has moved on since makes them stale). Error and attempts begin anew, so that what the
 * ledger shows next belongs to this try.
 *
 * All or nothing: where one of the named events is not parked, none changes. One statement, and the rows are locked
 * first, so that of two retries at the same time one takes them.
 */
const RETRY_EVENTS = `
with asked as (
  select distinct id from unnest($2::text[]) as id
), locked as (
  select e.id, e.outcome
  from stripe_sync.events e
  where e.account = $1 and (e.id = any($2) or ($2::text[] is null and e.outcome = 'parked'))
  order by e.id
  for update
), refused as (
  select asked.id, locked.id is not null as known, locked.outcome
  from asked left join locked on locked.id = asked.id
  where locked.outcome is distinct from 'parked'
), taken as (
  update stripe_sync.events e
  set outcome = null, applied_at = null, claimed_by = null, claimed_at = null, error = null, attempts = 0
  from locked
  where e.account = $1 and e.id = locked.id and locked.outcome = 'parked' and not exists (select from refused)
  returning e.id
)
select id, false as refused, true as known, null as outcome from taken
union all
select id, true, known, outcome from refused
union all
select null, false, true, pg_notify('${INBOX_CHANNEL}', $1)::text where exists (select from taken)
order by id`;

export interface RetriedEvents {
  readonly taken: readonly string[];
  /** Named events that are not parked, for which nothing was taken. `outcome` is null while one is pending. */
  readonly refused: readonly {
    readonly id: string;
    readonly known: boolean;
    readonly outcome: string | null;
  }[];
}

/** @param ids the events to take again; null takes all that are parked */
export async function retryEvents(
  pool: Pool,
  account: string,
  ids: readonly string[] | null,
): Promise<RetriedEvents> {
  const { rows: all } = await pool.query<{
    id: string | null;
    refused: boolean;
    known: boolean;
    outcome: string | null;
  }>(RETRY_EVENTS, [account, ids]);
  const rows = all.flatMap(({ id, ...row }) => (id === null ? [] : [{ id, ...row }]));
  return {
    taken: rows.filter((row) => !row.refused).map((row) => row.id),
    refused: rows.filter((row) => row.refused).map(({ id, known, outcome }) => ({ id, known, outcome })),
  };
}

const READ_RETRIED = `
select id, outcome, error from stripe_sync.events where account = $1 and id = any($2) order by id`;

export interface RetriedEvent {
  readonly id: string;
  /** Null while it is pending. */
  readonly outcome: string | null;
  readonly error: string | null;
}

/** What became of events that were taken again. */
export async function readRetried(
  pool: Pool,
  account: string,
  ids: readonly string[],
): Promise<RetriedEvent[]> {
  const { rows } = await pool.query<RetriedEvent>(READ_RETRIED, [account, ids]);
  return rows;
}
