import type { Pool, PoolClient } from 'pg';

export type Outcome = 'applied' | 'stale' | 'fetched' | 'ignored' | 'parked';

const SETTLE_EVENTS = `
update stripe_sync.events
set outcome = $3, error = $4, applied_at = clock_timestamp(), attempts = attempts + 1
where account = $1 and id = any($2) and outcome is null`;

/** Gives events their outcome. Those that have one keep it. Returns how many got it now. */
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
