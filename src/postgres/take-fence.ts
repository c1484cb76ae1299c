import type { Pool } from 'pg';
import type { Cursor } from '../domain/cursor.js';

/**
 * Makes `fetchId` the only fetch that may claim events of the account, and keeps a copy of the workflow's
 * cursor and lag. An older fetch that is still running (cancelled, timed out) finds the fence taken.
 */
const TAKE_FENCE = `
insert into stripe_sync.accounts as a (account, fetch_id, cursor_id, cursor_created, lag_seconds, looked_at, updated_at)
values ($1, $2, $3, to_timestamp($4), $5, to_timestamp($6), now())
on conflict (account) do update set
  fetch_id = excluded.fetch_id,
  cursor_id = excluded.cursor_id,
  cursor_created = excluded.cursor_created,
  lag_seconds = excluded.lag_seconds,
  looked_at = coalesce(excluded.looked_at, a.looked_at),
  updated_at = now()`;

const HOLDS_FENCE = `select 1 from stripe_sync.accounts where account = $1 and fetch_id = $2`;

export interface Fence {
  readonly account: string;
  readonly fetchId: string;
  readonly cursor: Cursor | null;
  /** Where a walk begins while there is no cursor, in seconds of Stripe's clock. */
  readonly anchor: number;
  readonly lagSeconds: number;
  /** When the list was last read to its end, in seconds of Stripe's clock. */
  readonly lookedAt?: number | null;
}

export async function takeFence(pool: Pool, fence: Fence): Promise<void> {
  const { account, fetchId, cursor, anchor, lagSeconds, lookedAt = null } = fence;
  const position = [cursor?.id ?? null, cursor?.created ?? anchor];
  await pool.query(TAKE_FENCE, [account, fetchId, ...position, lagSeconds, lookedAt]);
}

/** Whether no other fetch has taken the fence since. */
export async function holdsFence(pool: Pool, account: string, fetchId: string): Promise<boolean> {
  const { rowCount } = await pool.query(HOLDS_FENCE, [account, fetchId]);
  return rowCount === 1;
}
