import type { Pool } from 'pg';
import type { AuditResult } from '../domain/audit-result.js';
import { transaction } from './pool.js';

/** One audit of an account. */
export interface AuditKey {
  readonly account: string;
  readonly number: number;
}

export interface NewAudit {
  readonly account: string;
  /** Temporal's id of the run, so that a begin that is repeated finds its audit. */
  readonly run: string;
  /** Window of `created`, in seconds of Stripe's clock. */
  readonly from: number;
  readonly to: number;
  readonly types: readonly string[] | null;
  readonly heal: boolean;
}

/** Results that are kept of an account. A scheduled audit would pile them up for ever. */
const KEPT = 100;

const LOCK = `select pg_advisory_xact_lock(hashtextextended('stripe_sync.audits/' || $1, 0))`;

/** An audit whose workflow was ended from outside never says so. */
const END_LOST = `
update stripe_sync.audits set state = 'failed', ended_at = clock_timestamp(), reason = 'it was ended from outside'
where account = $1 and state = 'running' and started_at < clock_timestamp() - interval '7 days'`;

const FORGET_OLD = `
delete from stripe_sync.audits
where account = $1 and number <= (select max(number) from stripe_sync.audits where account = $1) - ${KEPT}`;

const DROP_WORK = (table: 'audit_pages' | 'audit_differences') => `
delete from stripe_sync.${table} w using stripe_sync.audits a
where w.account = $1 and a.account = $1 and a.number = w.number and a.state <> 'running'`;

const OPEN = `
insert into stripe_sync.audits (account, number, run, window_from, window_to, types, heal)
select $1, coalesce(max(number), 0) + 1, $2, to_timestamp($3), to_timestamp($4), $5, $6
from stripe_sync.audits where account = $1
on conflict (account, run) do nothing`;

const FIND = `
select number, extract(epoch from window_from)::bigint as "from", extract(epoch from window_to)::bigint as "to"
from stripe_sync.audits where account = $1 and run = $2`;

/** Notes an audit that begins, and returns it. The run's own, where it began before. */
export function openAudit(
  pool: Pool,
  { account, run, from, to, types, heal }: NewAudit,
): Promise<{ readonly number: number; readonly from: number; readonly to: number }> {
  return transaction(pool, async (client) => {
    await client.query(LOCK, [account]);
    await client.query(END_LOST, [account]);
    await client.query(FORGET_OLD, [account]);
    await client.query(OPEN, [account, run, from, to, types, heal]);
    const { rows } = await client.query<{ number: number; from: string | number; to: string | number }>(
      FIND,
      [account, run],
    );
    const row = rows[0];
    if (row === undefined) throw new Error('the audit vanished while it was opened');
    return { number: row.number, from: Number(row.from), to: Number(row.to) };
  });
}

const CLOSE = `
update stripe_sync.audits set state = $3, reason = $4, result = $5, ended_at = clock_timestamp()
where account = $1 and number = $2 and state = 'running'`;

/** Notes how the audit ended, once, and lets go of what it worked on. */
export function closeAudit(
  pool: Pool,
  { account, number }: AuditKey,
  end: {
    readonly state: 'done' | 'failed' | 'cancelled';
    readonly reason: string | null;
    readonly result: AuditResult | null;
  },
): Promise<void> {
  return transaction(pool, async (client) => {
    const result = end.result === null ? null : JSON.stringify(end.result);
    await client.query(CLOSE, [account, number, end.state, end.reason, result]);
    await client.query(DROP_WORK('audit_pages'), [account]);
    await client.query(DROP_WORK('audit_differences'), [account]);
  });
}
