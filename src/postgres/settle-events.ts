import type { Pool, PoolClient } from 'pg';

export type Outcome = 'applied' | 'stale' | 'fetched' | 'ignored' | 'parked';

const SETTLE_EVENTS = `
update stripe_sync.events
set outcome = $3, applied_at = clock_timestamp(),
  error = case when $3 = 'parked' then coalesce(error, $4) else $4 end,
  attempts = case when $3 = 'parked' then greatest(attempts, 1) else attempts + 1 end
where account = $1 and id = any($2) and outcome is null and ($3 <> 'parked' or claimed_by is not null)`;

/**
 * Gives events their outcome. Those that have one keep it. Returns how many got it now. A parked one keeps the
 * error of its last attempt, which says more than the reason.
 *
 * Whoever parks holds a claim. Without one, an event was taken again by `retryEvents` or freed, and is about to be
 * delivered: the second attempt of a park that took place already must not undo that.
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
with noted as (
  update stripe_sync.events
  set attempts = attempts + 1, error = left($3, 2000)
  where account = $1 and id = any($2) and outcome is null
  returning attempts
)
select max(attempts) as attempts from noted`;

/**
 * Notes an attempt that failed, so that `stripe-sync failures` shows what is being tried again. The words may quote
 * data: they stay in this database.
 *
 * @returns how many attempts were noted of the one that failed most; null where none of them waits any more
 */
export async function noteFailure(
  pool: Pool,
  failure: { readonly account: string; readonly ids: readonly string[]; readonly error: string },
): Promise<number | null> {
  const { account, ids, error } = failure;
  if (ids.length === 0) return null;
  const { rows } = await pool.query<{ attempts: number | null }>(NOTE_FAILURE, [account, ids, error]);
  return rows[0]?.attempts ?? null;
}

/** Once for each event, so that an outage of hours writes no row again and again, and counts as one attempt. */
const NOTE_OUTAGE = `
update stripe_sync.events
set attempts = greatest(attempts, 1), error = left($3, 2000)
where account = $1 and id = any($2) and outcome is null and error is null`;

/** Notes that changes wait for Stripe. Nothing is parked for it, so it counts as one attempt, however long it lasts. */
export async function noteOutage(
  pool: Pool,
  outage: { readonly account: string; readonly ids: readonly string[]; readonly error: string },
): Promise<void> {
  if (outage.ids.length > 0) await pool.query(NOTE_OUTAGE, [outage.account, outage.ids, outage.error]);
}
