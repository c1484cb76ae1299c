import type { Pool } from 'pg';
import type { Cursor } from '../domain/cursor.js';

/** The copy of an account's position that a later start goes on from. */
export interface AccountRow {
  readonly cursor: Cursor | null;
  /** Where to begin without a cursor, in seconds of Stripe's clock. */
  readonly anchor: number;
  readonly lagSeconds: number | null;
  readonly apiVersion: string | null;
  /** Whether a backfill of the account was ever finished. */
  readonly backfilled: boolean;
  /** Events are taken from here on, in seconds of Stripe's clock; null where an older version opened it. */
  readonly beganAt: number | null;
  /** Up to which `created` the last deep rescan has listed everything again; null where there was none. */
  readonly deepRescannedTo: number | null;
  /** When the list was last read to its end, in seconds of Stripe's clock; null where that is not known. */
  readonly lookedAt: number | null;
}

const READ_ACCOUNT = `
select cursor_id, extract(epoch from cursor_created)::bigint as cursor_created, lag_seconds, api_version,
  backfilled_at is not null as backfilled, extract(epoch from began_at)::bigint as began_at,
  extract(epoch from deep_rescanned_to)::bigint as deep_rescanned_to,
  extract(epoch from looked_at)::bigint as looked_at
from stripe_sync.accounts
where account = $1`;

/** The account's copy, or null where it was never opened. */
export async function readAccount(pool: Pool, account: string): Promise<AccountRow | null> {
  const { rows } = await pool.query<{
    cursor_id: string | null;
    cursor_created: string | number | null;
    lag_seconds: number | null;
    api_version: string | null;
    backfilled: boolean;
    began_at: string | number | null;
    deep_rescanned_to: string | number | null;
    looked_at: string | number | null;
  }>(READ_ACCOUNT, [account]);
  const row = rows[0];
  if (row === undefined || row.cursor_created === null) return null;
  const created = Number(row.cursor_created);
  return {
    cursor: row.cursor_id === null ? null : { id: row.cursor_id, created },
    anchor: created,
    lagSeconds: row.lag_seconds,
    apiVersion: row.api_version,
    backfilled: row.backfilled,
    beganAt: row.began_at === null ? null : Number(row.began_at),
    deepRescannedTo: row.deep_rescanned_to === null ? null : Number(row.deep_rescanned_to),
    lookedAt: row.looked_at === null ? null : Number(row.looked_at),
  };
}

const OPEN_ACCOUNT = `
insert into stripe_sync.accounts (account, cursor_id, cursor_created, api_version, began_at)
values ($1, $2, to_timestamp($3), $4, to_timestamp($5))
on conflict (account) do update set
  cursor_id = excluded.cursor_id, cursor_created = excluded.cursor_created,
  api_version = excluded.api_version, began_at = excluded.began_at, deep_rescanned_to = null, looked_at = null,
  updated_at = now()`;

/** Notes where an account begins. */
export async function writeAccount(
  pool: Pool,
  account: string,
  start: Pick<AccountRow, 'cursor' | 'anchor' | 'apiVersion'>,
): Promise<void> {
  const { cursor, anchor, apiVersion } = start;
  await pool.query(OPEN_ACCOUNT, [
    account,
    cursor?.id ?? null,
    cursor?.created ?? anchor,
    apiVersion,
    anchor,
  ]);
}

const NOTE_BEGINNING = `
update stripe_sync.accounts set began_at = cursor_created + interval '1 second'
where account = $1 and began_at is null`;

/** For an account that 0.1.0 opened: what lies behind its cursor now was never promised to be in the ledger. */
export async function noteBeginning(pool: Pool, account: string): Promise<void> {
  await pool.query(NOTE_BEGINNING, [account]);
}

const NOTE_DEEP_RESCAN = `
update stripe_sync.accounts set deep_rescanned_to = greatest(deep_rescanned_to, to_timestamp($2))
where account = $1`;

/** Notes up to which second a deep rescan has listed everything again, so that it outlives the workflow. */
export async function noteDeepRescan(pool: Pool, account: string, to: number): Promise<void> {
  await pool.query(NOTE_DEEP_RESCAN, [account, to]);
}

const NOTE_API_VERSION = `
update stripe_sync.accounts set api_version = $2 where account = $1 and api_version is null`;

/** For an account that had no event yet when it was opened: nobody could tell in which version they come. */
export async function noteApiVersion(pool: Pool, account: string, apiVersion: string): Promise<void> {
  await pool.query(NOTE_API_VERSION, [account, apiVersion]);
}

const MARK_BACKFILLED = `update stripe_sync.accounts set backfilled_at = now() where account = $1`;

const MARK_NOT_BACKFILLED = `update stripe_sync.accounts set backfilled_at = null where account = $1`;

/** Notes that the tables lack something, so that a later start fills them, whatever becomes of this run. */
export async function markNotBackfilled(pool: Pool, account: string): Promise<void> {
  await pool.query(MARK_NOT_BACKFILLED, [account]);
}

export async function markBackfilled(pool: Pool, account: string): Promise<void> {
  await pool.query(MARK_BACKFILLED, [account]);
}
