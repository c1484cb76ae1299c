import type { Pool, PoolClient } from 'pg';

export type Outcome = 'applied' | 'stale' | 'fetched' | 'ignored' | 'parked';

const SETTLE_EVENTS = `
update stripe_sync.events
set outcome = $3, applied_at = clock_timestamp(),
  error = case when $3 = 'parked' then coalesce(error, $4) else $4 end,
  attempts = case when $3 = 'parked' then greatest(attempts, 1) else attempts + 1 end
where account = $1 and id = any($2) and outcome is null`;

/**
 * Gives events their outcome. Those that have one keep it. Returns how many got it now. A parked one keeps the
 * error of its last attempt, which says more than the reason.
 */
export async function settleEvents(
  client: Pool | PoolClient,
  settle: {
    readonly account: string;
    readonly ids: readonly string[];
    readonly outcome: Outcome;
    /** Why, for `ignored` and `parked`. */
    readonly reason?: string;
  },
): Promise<number> {
  if (settle.ids.length === 0) return 0;
  const { rowCount } = await client.query(SETTLE_EVENTS, [
    settle.account,
    settle.ids,
    settle.outcome,
    settle.reason ?? null,
  ]);
  return rowCount ?? 0;
}

const NOTE_FAILURE = `
update stripe_sync.events
set attempts = attempts + 1, error = left($3, 2000)
where account = $1 and id = any($2) and outcome is null`;

/**
 * Notes an attempt that failed, so that `stripe-sync failures` shows what is being tried again. The words may quote
 * data: they stay in this database.
 */
export async function noteFailure(
  pool: Pool,
  failure: { readonly account: string; readonly ids: readonly string[]; readonly error: string },
): Promise<void> {
  if (failure.ids.length > 0) await pool.query(NOTE_FAILURE, [failure.account, failure.ids, failure.error]);
}
