/** How far an account is, put together from its workflow and from the ledger. */
import { type Client, isGrpcDeadlineError, ServiceError, WorkflowNotFoundError } from '@temporalio/client';
import type { Pool } from 'pg';
import { type AccountStatus, statusQuery } from '../../workflows/messages.js';
import type { Cursor } from '../domain/cursor.js';
import { UserError } from '../domain/failures.js';
import { accountWorkflowId } from '../domain/ids.js';
import { LATENESS_BUCKETS } from '../domain/lateness.js';
import { countLeaks, countOutcomes, type OutcomeCounts } from '../postgres/account-counts.js';
import { readAccount } from '../postgres/account-row.js';
import { type LastAudit, readLastAudit } from '../postgres/read-audits.js';
import { readUse } from '../postgres/read-use.js';
import { isFollowing } from '../temporal/follow-schedule.js';
import type { ScheduleName } from '../temporal/schedule-plans.js';
import { readSchedules, type ScheduleState } from '../temporal/schedules.js';
import { type MergedType, mergedTypes, type TotalPace, totalPace } from './backfill-bars.js';
import { messageOf } from './failure-text.js';
import { listingProgress } from './listing-progress.js';
import { createMovingPace } from './moving-pace.js';
import { hasWorker } from './task-queue.js';

/** The shape of `status --json`. Seconds are of Stripe's clock. Fields are added, never renamed. */
export interface AccountReport {
  readonly account: string;
  readonly state: 'running' | 'paused' | 'stopped';
  readonly cursor: Cursor | null;
  readonly lagSeconds: number | null;
  readonly behindSeconds: number | null;
  /** What goes through entity children, and the backlog that is caught up with; null while the account does not run. */
  readonly entities: AccountStatus['entities'] | null;
  readonly catchUp: NonNullable<AccountStatus['catchUp']> | null;
  readonly counts: OutcomeCounts;
  readonly late: {
    readonly count: number;
    readonly maxSeconds: number;
    /** Events per bucket; `upToSeconds` is null for what is later than the last bound. */
    readonly histogram: readonly { readonly upToSeconds: number | null; readonly count: number }[];
  };
  /** Events in the ledger that surfaced behind the cursor and were found by a rescan. */
  readonly leaks: number;
  readonly backfill: {
    readonly state: 'running' | 'done' | 'failed';
    /** `share` is of the types that are under way, 0 to 1; `unswept` counts rows that were too many to be looked for. */
    readonly types: readonly MergedType[];
    readonly number: number;
    readonly reason: string;
    /** While it runs, where PostgreSQL tells: rows a second since it began, and a guess from those under way. */
    readonly pace?: TotalPace;
  } | null;
  readonly reads: { readonly used30d: number; readonly allowance: number };
  /** Seconds between which events may be gone for good, where a cursor aged out, and what became of it. */
  readonly gap: AccountStatus['gap'];
  /** Answers of Stripe that were no use: passes that failed, and listed entries that are no events. */
  readonly failedPasses: number;
  readonly malformed: number;
  /** The last audit that came to its end. */
  readonly audit: LastAudit | null;
  /** What comes at set times, on Temporal's clock, null for what is switched off; null where Temporal does not tell. */
  readonly schedules: Readonly<Record<ScheduleName, ScheduleState | null>> | null;
  /** What stands in the way at present, in words. */
  readonly trouble: string | null;
}

const QUERY_TIMEOUT_MS = 10_000;
/** Where no worker was seen, nobody needs to wait for long. */
const NO_WORKER_TIMEOUT_MS = 3_000;

/**
 * The status of a running account's workflow, or null where it does not run.
 * @throws UserError where no worker answers for it
 */
export async function queryStatus(client: Client, account: string): Promise<AccountStatus | null> {
  const handle = client.workflow.getHandle(accountWorkflowId(account));
  let worked: boolean;
  try {
    const { status, taskQueue } = await handle.describe();
    if (status.name !== 'RUNNING') return null;
    worked = await hasWorker(client, taskQueue);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
  const timeout = worked ? QUERY_TIMEOUT_MS : NO_WORKER_TIMEOUT_MS;
  try {
    return await client.connection.withDeadline(Date.now() + timeout, () => handle.query(statusQuery));
  } catch (error) {
    // It can have been stopped between the two questions.
    if (error instanceof WorkflowNotFoundError) return null;
    throw unanswered(account, worked, error);
  }
}

function unanswered(account: string, worked: boolean, error: unknown): UserError {
  const cause = error instanceof ServiceError ? error.cause : error;
  const why = isGrpcDeadlineError(cause) ? `within ${QUERY_TIMEOUT_MS / 1000} s` : `(${messageOf(cause)})`;
  const told = new UserError(
    worked
      ? `${account} runs, but its worker did not answer ${why}. See whether the worker runs still, and its log.`
      : `${account} runs, but no worker polls its task queue. Start one with: stripe-sync worker`,
  );
  told.cause = error;
  return told;
}

/** @throws UserError where the account is unknown, or runs without a worker */
export async function reportAccount(client: Client, pool: Pool, account: string): Promise<AccountReport> {
  const status = await queryStatus(client, account);
  const row = await readAccount(pool, account);
  if (status === null && row === null) {
    throw new UserError(
      (await isFollowing(client, account).catch(() => false))
        ? `${account} is followed for its connected accounts, and not synced itself. See them: stripe-sync list`
        : `There is no account ${account}. Start it with: stripe-sync start ${account}`,
    );
  }
  const [counts, leaks, { used30d, allowance }, audit, schedules] = await Promise.all([
    countOutcomes(pool, account),
    countLeaks(pool, account),
    readUse(pool, account),
    readLastAudit(pool, account),
    schedulesOf(client, account),
  ]);
  const lateness = status?.lateness ?? null;
  const backfill = status?.backfill ? await withListings(pool, account, status.backfill) : null;
  return {
    account,
    state: status === null ? 'stopped' : status.state === 'stopping' ? 'running' : status.state,
    cursor: status === null ? (row?.cursor ?? null) : status.cursor,
    lagSeconds: status?.lagSeconds ?? row?.lagSeconds ?? null,
    behindSeconds: status === null ? null : behindOf(status),
    entities: status?.entities ?? null,
    catchUp: status?.catchUp ?? null,
    counts,
    late: {
      count: lateness?.count ?? 0,
      maxSeconds: lateness?.maxSeconds ?? 0,
      histogram: [...LATENESS_BUCKETS, null].map((upToSeconds, index) => ({
        upToSeconds,
        count: lateness?.histogram[index] ?? 0,
      })),
    },
    leaks,
    backfill,
    reads: { used30d, allowance },
    gap: status?.gap ?? null,
    failedPasses: status?.counters.failedPasses ?? 0,
    malformed: status?.counters.malformed ?? 0,
    audit,
    schedules,
    trouble: status?.trouble ?? null,
  };
}

const looked = new WeakMap<Client, { account: string; at: number; schedules: AccountReport['schedules'] }>();
/** Whoever watches an account asks every second, and each look costs Temporal three queries. */
const LOOK_AGAIN_MS = 10_000;

/** Without leave to look at schedules, the rest of the report stands. */
async function schedulesOf(client: Client, account: string): Promise<AccountReport['schedules']> {
  const last = looked.get(client);
  if (last?.account === account && performance.now() - last.at < LOOK_AGAIN_MS) return last.schedules;
  const schedules = await readSchedules(client, account).catch(() => null);
  looked.set(client, { account, at: performance.now(), schedules });
  return schedules;
}

/** What the workflow says of its backfill, and how far PostgreSQL knows each type to be. */
async function withListings(
  pool: Pool,
  account: string,
  backfill: NonNullable<AccountStatus['backfill']>,
): Promise<NonNullable<AccountReport['backfill']>> {
  const listings = await listingProgress(pool, account, backfill);
  const types = mergedTypes(backfill.types, listings);
  if (backfill.state !== 'running' || listings.length === 0) return { ...backfill, types };
  const pace = createMovingPace();
  pace.take(listings);
  return { ...backfill, types, pace: totalPace(types, listings, pace) };
}

/** Seconds. A paused account falls behind by the clock; a stopped one by a time that nobody measures. */
export function behindOf(status: AccountStatus): number {
  if (status.state !== 'paused' || status.stripeNow === null) return status.behindSeconds;
  return Math.max(status.behindSeconds, Math.round(Date.now() / 1000 - status.stripeNow));
}
