import type { Pool } from 'pg';

/** A change that could not be applied so far. */
export interface FailedChange {
  readonly id: string;
  readonly type: string;
  readonly object: string | null;
  readonly objectId: string | null;
  /** Seconds of Stripe's clock. */
  readonly created: number;
  readonly attempts: number;
  /** When it was parked, in seconds of PostgreSQL's clock; null while it is tried again. */
  readonly parkedAt: number | null;
  readonly error: string;
}

export interface FailureReason {
  /** Stripe's ids are left out (`…`), so that one defect is one reason whatever objects it meets. */
  readonly error: string;
  readonly count: number;
}

export interface Failures {
  readonly count: number;
  /** The most frequent first. */
  readonly reasons: readonly FailureReason[];
  /** Newest first, `limit` of them at most. */
  readonly changes: readonly FailedChange[];
}

/** Those that were given up, and those that failed and are tried again. */
export interface ReadFailures {
  readonly parked: Failures;
  readonly retrying: Failures;
}

const FAILED = {
  parked: `account = $1 and outcome = 'parked'`,
  retrying: `account = $1 and outcome is null and error is not null and attempts > 0`,
} as const;

/** A Stripe id: a prefix, and at least eight letters and digits with a digit among them. */
const STRIPE_ID = String.raw`\m[a-z]{2,}(?:_[a-z]+)?_(?=[A-Za-z]*[0-9])[A-Za-z0-9]{8,}\M`;

const readReasonsSql = (failed: string) => `
select regexp_replace(coalesce(error, 'for a reason that nobody noted'), '${STRIPE_ID}', '…', 'g') as error,
  count(*) as count
from stripe_sync.events
where ${failed}
group by 1
order by 2 desc, 1`;

const readChangesSql = (failed: string) => `
select id, type, object, object_id as "objectId", extract(epoch from created)::bigint as created, attempts,
  case when outcome = 'parked' then extract(epoch from applied_at)::bigint end as "parkedAt",
  coalesce(error, 'for a reason that nobody noted') as error
from stripe_sync.events
where ${failed}
order by stripe_sync.events.created desc, id desc
limit $2`;

/** @param limit how many changes of each kind are read; null reads all */
export async function readFailures(pool: Pool, account: string, limit: number | null): Promise<ReadFailures> {
  const [parked, retrying] = await Promise.all([
    readOnes(pool, FAILED.parked, account, limit),
    readOnes(pool, FAILED.retrying, account, limit),
  ]);
  return { parked, retrying };
}

async function readOnes(
  pool: Pool,
  failed: string,
  account: string,
  limit: number | null,
): Promise<Failures> {
  const { rows } = await pool.query<{ error: string; count: string | number }>(readReasonsSql(failed), [
    account,
  ]);
  const reasons = rows.map(({ error, count }) => ({ error, count: Number(count) }));
  const count = reasons.reduce((sum, reason) => sum + reason.count, 0);
  if (count === 0) return { count, reasons, changes: [] };
  const changes = await pool.query<
    Omit<FailedChange, 'created' | 'parkedAt'> & {
      created: string | number;
      parkedAt: string | number | null;
    }
  >(readChangesSql(failed), [account, limit]);
  return {
    count,
    reasons,
    changes: changes.rows.map((row) => ({
      ...row,
      created: Number(row.created),
      parkedAt: row.parkedAt === null ? null : Number(row.parkedAt),
    })),
  };
}
