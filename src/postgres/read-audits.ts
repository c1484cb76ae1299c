import type { Pool } from 'pg';
import type { AuditResult } from '../domain/audit-result.js';

/** The last audit of an account that came to its end. Fields are added, never renamed. */
export interface LastAudit {
  /** When it ended, in seconds of PostgreSQL's clock. */
  readonly at: number;
  readonly number: number;
  /** Events that were created from then on were compared, in seconds of Stripe's clock. */
  readonly since: number;
  readonly differences: {
    readonly missing: number;
    readonly stale: number;
    readonly extra: number;
    readonly events: number;
  };
  /** How many of them were repaired. */
  readonly healed: number;
  /** What looked different and could not be looked at again. */
  readonly unverified: number;
  /** Types that should have been compared and could not be. */
  readonly notCompared: number;
}

const LAST = `
select number, extract(epoch from ended_at)::bigint as at, extract(epoch from window_from)::bigint as since,
  result->'totals' as totals
from stripe_sync.audits
where account = $1 and state = 'done'
order by number desc limit 1`;

/** Null where none has ended yet. */
export async function readLastAudit(pool: Pool, account: string): Promise<LastAudit | null> {
  const { rows } = await pool.query<{
    number: number;
    at: string | number;
    since: string | number;
    totals: AuditResult['totals'];
  }>(LAST, [account]);
  const row = rows[0];
  if (row === undefined) return null;
  const { missing, stale, extra, events, healed, unverified, notCompared } = row.totals;
  return {
    at: Number(row.at),
    number: row.number,
    since: Number(row.since),
    differences: { missing, stale, extra, events },
    healed,
    unverified,
    notCompared,
  };
}

/** One audit as it ended. Seconds. */
export interface EndedAudit {
  readonly account: string;
  readonly number: number;
  readonly state: 'done' | 'failed' | 'cancelled';
  /** On PostgreSQL's clock. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** Window of the events that were compared, on Stripe's clock. */
  readonly since: number;
  readonly to: number;
  readonly heal: boolean;
  readonly reason: string | null;
  readonly result: AuditResult | null;
}

const READ = `
select account, number, state, extract(epoch from started_at)::bigint as "startedAt",
  extract(epoch from ended_at)::bigint as "endedAt", extract(epoch from window_from)::bigint as since,
  extract(epoch from window_to)::bigint as "to", heal, reason, result
from stripe_sync.audits
where account = $1 and number = $2 and state <> 'running'`;

/** Null where there is no such audit, or it is under way. */
export async function readAudit(pool: Pool, account: string, number: number): Promise<EndedAudit | null> {
  const { rows } = await pool.query<EndedAudit>(READ, [account, number]);
  const row = rows[0];
  if (row === undefined) return null;
  const { startedAt, endedAt, since, to } = row;
  return {
    ...row,
    startedAt: Number(startedAt),
    endedAt: Number(endedAt),
    since: Number(since),
    to: Number(to),
  };
}
