import { ApplicationFailure } from '@temporalio/common';
import type { FetchReport } from '../src/domain/account-state.js';
import { advanceCursor, type Cursor, marksOf, usefulMarks } from '../src/domain/cursor.js';
import { StripeFailure, UserError } from '../src/domain/failures.js';
import type { LagLimits } from '../src/domain/lag.js';
import { latenessOf } from '../src/domain/lateness.js';
import type { EventReference } from '../src/domain/references.js';
import { markNotBackfilled } from '../src/postgres/account-row.js';
import { claimEvents } from '../src/postgres/claim-events.js';
import { freeClaims } from '../src/postgres/free-claims.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { holdsFence, takeFence } from '../src/postgres/take-fence.js';
import { heartbeating, type RunningActivity } from './activity-context.js';
import type { ActivityDeps } from './deps.js';
import { reanchor } from './reanchor.js';
import { type Walk, walkForward, walkWindow } from './walk-events.js';

export interface FetchInput {
  readonly account: string;
  readonly cursor: Cursor | null;
  /** Where a walk begins while there is no cursor, in seconds of Stripe's clock. */
  readonly anchor: number;
  readonly lagSeconds: number;
  readonly limits: LagLimits;
  readonly frontier: number | null;
  /** How many references there is room for. */
  readonly room: number;
  readonly waitSeconds: number;
  readonly pollSeconds: number;
  readonly pageCap: number;
  /** Frees claims that are older than so many seconds and not settled; null frees none. */
  readonly freeOlderThanSeconds: number | null;
  /** Whether the workflow knows already that the last walk reached the end of the list. */
  readonly caughtUp: boolean;
  /** The trouble that the workflow knows of already. */
  readonly trouble: string | null;
}

export interface FetchResult {
  readonly report: FetchReport;
  readonly references: readonly EventReference[];
}

/** Longest wait after a failed pass, in seconds. */
const LONGEST_BACKOFF_SECONDS = 15;

/** What the passes of one fetch add up to. */
interface Progress {
  cursor: Cursor | null;
  anchor: number;
  frontier: number | null;
  marks: Cursor[];
  stripeNow: number | null;
  complete: boolean;
  inserted: number;
  malformed: number;
  failedPasses: number;
  requests: number;
  passes: number;
  lateness: number[];
  reanchored: FetchReport['reanchored'];
  apiVersion: string | null;
}

/**
 * The long poll of an account: passes over the events list until there is something to hand on or the wait
 * is over. Each pass walks from the cursor to the newest event, puts what is new into the inbox, and claims.
 *
 * Failures of Stripe stay inside: a pass is repeated after a growing wait, and what is wrong is reported in
 * words. Failures of PostgreSQL end the attempt, and Temporal repeats it.
 */
export function fetchEvents(deps: ActivityDeps) {
  return (input: FetchInput): Promise<FetchResult> =>
    heartbeating(async (activity) => {
      const { account } = input;
      const fence = `${activity.id}#${activity.attempt}`;
      await takeFence(deps.pool, { ...input, fetchId: fence });
      // What a lost attempt claimed, it can no longer hand on.
      const freeOlderThanSeconds = activity.attempt > 1 ? 0 : input.freeOlderThanSeconds;
      if (freeOlderThanSeconds !== null) await freeClaims(deps.pool, account, freeOlderThanSeconds);
      const progress = begin(input);
      const end = Date.now() + input.waitSeconds * 1000;
      let failures = 0;
      let trouble: string | null = null;
      let retryAfterSeconds = 0;
      try {
        for (;;) {
          try {
            await pass(deps, input, activity, progress);
            failures = 0;
            trouble = null;
            retryAfterSeconds = 0;
          } catch (error) {
            if (!isTrouble(error)) throw error;
            failures += 1;
            progress.failedPasses += 1;
            trouble = error.message;
            retryAfterSeconds = error instanceof StripeFailure ? (error.retryAfterMs ?? 0) / 1000 : 0;
            deps.log.warn({ account, ...(error instanceof StripeFailure && facts(error)) }, error.message);
            const isKnown = input.trouble !== null && isSameTrouble(trouble, input.trouble);
            if (failures >= 3 && !isKnown) return result(input, progress, [], trouble);
          }
          const references = await claimEvents(deps.pool, {
            account,
            fence,
            claimedBy: activity.id,
            limit: input.room,
          });
          if (references.length === 0 && !(await holdsFence(deps.pool, account, fence))) throw fenceLost();
          const over = deps.stopping.aborted || Date.now() >= end || (failures === 0 && !progress.complete);
          const news = failures === 0 && (input.trouble !== null || !input.caughtUp);
          if (references.length > 0 || over || news || progress.reanchored?.gap) {
            return result(input, progress, references, trouble);
          }
          const wait =
            failures === 0
              ? input.pollSeconds
              : Math.max(backoff(failures, input.pollSeconds), retryAfterSeconds);
          await activity.sleep(Math.min(wait * 1000, Math.max(0, end - Date.now())), deps.stopping);
        }
      } finally {
        await recordReads(deps.pool, account, progress.requests);
      }
    });
}

/** What the loop waits out by itself: Stripe's failures, and a key that is missing. */
function isTrouble(error: unknown): error is StripeFailure | UserError {
  return error instanceof UserError || (error instanceof StripeFailure && error.kind !== 'cancelled');
}

/** The same trouble comes with another request id each time. */
function isSameTrouble(a: string, b: string): boolean {
  const requestId = /request [\w[\].-]+/g;
  return a.replace(requestId, '') === b.replace(requestId, '');
}

/**
 * An attempt that was given up can be late enough to take the fence back. Whoever finds it gone ends: the one
 * that Temporal still waits for is repeated at once and takes it again, the other one is not.
 */
function fenceLost(): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'FenceLost',
    // An ordinary end of a fetch that was cancelled: nobody needs to look into it.
    category: 'BENIGN',
    message: 'Another fetch of the account has taken the place of this one.',
  });
}

function facts({ kind, status, requestId }: StripeFailure): Record<string, unknown> {
  return { kind, status, requestId };
}

function begin(input: FetchInput): Progress {
  return {
    cursor: input.cursor,
    anchor: input.anchor,
    frontier: input.frontier,
    marks: [],
    stripeNow: null,
    complete: false,
    inserted: 0,
    malformed: 0,
    failedPasses: 0,
    requests: 0,
    passes: 0,
    lateness: [],
    reanchored: null,
    apiVersion: null,
  };
}

function backoff(failures: number, pollSeconds: number): number {
  return Math.min(LONGEST_BACKOFF_SECONDS, Math.max(1, pollSeconds) * 2 ** (failures - 1));
}

async function pass(
  deps: ActivityDeps,
  input: FetchInput,
  activity: RunningActivity,
  progress: Progress,
  mayReanchor = true,
): Promise<void> {
  const walkInput = { account: input.account, source: 'poll', signal: activity.signal } as const;
  let walk: Walk;
  try {
    walk =
      progress.cursor === null
        ? await walkWindow(deps, { ...walkInput, from: progress.anchor, to: null })
        : await walkForward(deps, { ...walkInput, cursor: progress.cursor, pageCap: input.pageCap });
  } catch (error) {
    progress.requests += 1;
    const isLost = error instanceof StripeFailure && error.kind === 'cursor-lost';
    // A position that Stripe has just listed and does not know is waited out like any other trouble.
    if (!isLost || progress.cursor === null || !mayReanchor) throw error;
    const { requests, ...found } = await reanchor(deps, {
      account: input.account,
      cursor: progress.cursor,
      lagSeconds: input.lagSeconds,
      signal: activity.signal,
    });
    progress.requests += requests;
    if (found.gap !== null) await markNotBackfilled(deps.pool, input.account);
    progress.reanchored = { ...found, gap: progress.reanchored?.gap ?? found.gap };
    progress.cursor = found.cursor;
    progress.anchor = found.anchor;
    progress.marks = [];
    deps.log.warn(
      { account: input.account, gap: found.gap },
      'Stripe no longer knows the cursor; the walk goes on by time',
    );
    return pass(deps, input, activity, progress, false);
  }
  take(input, progress, walk);
}

/** Folds a walk into the progress, by the same rules as the workflow's. */
function take(input: FetchInput, progress: Progress, walk: Walk): void {
  const lateness = latenessOf(walk.inserted, progress.frontier, walk.overAt);
  const newest = walk.newestFirst[0]?.created ?? null;
  progress.passes += 1;
  progress.requests += walk.requests;
  progress.inserted += walk.inserted.length;
  progress.malformed += walk.malformed;
  progress.lateness.push(...lateness);
  progress.complete = walk.complete;
  progress.apiVersion ??= walk.apiVersion;
  if (newest !== null) progress.frontier = Math.max(progress.frontier ?? 0, newest);
  if (walk.stripeNow === null) return;
  progress.stripeNow = walk.stripeNow;
  const known = progress.marks.filter(
    (mark) => mark.created < (walk.newestFirst.at(-1)?.created ?? Infinity),
  );
  progress.marks = usefulMarks([...marksOf(walk.newestFirst), ...known], walk.stripeNow, input.limits);
  progress.cursor = advanceCursor(progress.cursor, progress.marks, walk.stripeNow, input.lagSeconds);
}

function result(
  input: FetchInput,
  progress: Progress,
  references: readonly EventReference[],
  trouble: string | null,
): FetchResult {
  return {
    references,
    report: {
      marks: progress.marks,
      stripeNow: progress.stripeNow,
      frontier: progress.frontier,
      caughtUp: progress.complete,
      inserted: progress.inserted,
      claimed: references.length,
      malformed: progress.malformed,
      failedPasses: progress.failedPasses,
      requests: progress.requests,
      passes: progress.passes,
      lateness: progress.lateness.slice(-MOST_OBSERVATIONS),
      reanchored: progress.reanchored,
      apiVersion: progress.apiVersion,
      trouble: trouble ?? (progress.passes === 0 ? input.trouble : null),
    },
  };
}

/** Keeps a result small where a whole backlog is late. */
const MOST_OBSERVATIONS = 1_000;
