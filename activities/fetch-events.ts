import { performance } from 'node:perf_hooks';
import { ApplicationFailure } from '@temporalio/common';
import type { FetchReport } from '../src/domain/account-state.js';
import { BACKLOG_FROM_SECONDS, type Entities } from '../src/domain/backlog.js';
import type { Cursor } from '../src/domain/cursor.js';
import { isTrouble, StripeFailure } from '../src/domain/failures.js';
import type { Hydrate } from '../src/domain/hydrate.js';
import type { LagLimits } from '../src/domain/lag.js';
import { evidentLateness, latenessOf } from '../src/domain/lateness.js';
import { pass, type Reading } from '../src/domain/pass.js';
import type { EventReference } from '../src/domain/references.js';
import { lookedAt, type Trail } from '../src/domain/trail.js';
import { markNotBackfilled, noteApiVersion } from '../src/postgres/account-row.js';
import { claimEvents } from '../src/postgres/claim-events.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { holdsFence } from '../src/postgres/take-fence.js';
import { heartbeating, type RunningActivity } from './activity-context.js';
import { beginFetch } from './begin-fetch.js';
import type { ActivityDeps } from './deps.js';
import { drainInbox } from './drain-inbox.js';
import { createPollRhythm } from './poll-rhythm.js';
import { readList } from './read-list.js';

export interface FetchInput {
  readonly account: string;
  readonly cursor: Cursor | null;
  /** Where a walk begins while there is no cursor, in seconds of Stripe's clock. */
  readonly anchor: number;
  /** What was read past the cursor, when the list's end was last reached, and how much news there was. */
  readonly trail?: Trail;
  readonly lookedAt?: number | null;
  readonly news?: number;
  readonly lagSeconds: number;
  readonly limits: LagLimits;
  readonly frontier: number | null;
  /** How many references there is room for. */
  readonly room: number;
  readonly waitSeconds: number;
  /** Between two passes, while events flow; not more than `slowestSeconds`, which 0.3.0 does not know, while none do. */
  readonly pollSeconds: number;
  readonly slowestSeconds?: number;
  readonly pageCap: number;
  /** Frees claims that are older than so many seconds and not settled; null frees none. */
  readonly freeOlderThanSeconds: number | null;
  /** Whether the workflow knows already that the last walk reached the end of the list. */
  readonly caughtUp: boolean;
  /** The trouble that the workflow knows of already. */
  readonly trouble: string | null;
  /** What is applied without an entity, and how; without these, which 0.4.0 does not know, nothing is. */
  readonly entities?: Entities;
  readonly hydrate?: Hydrate;
  readonly apiVersion?: string | null;
}

export interface FetchResult {
  readonly report: FetchReport;
  readonly references: readonly EventReference[];
}

/** Longest wait after a failed pass, in seconds. */
const LONGEST_BACKOFF_SECONDS = 15;
const LONGEST_BACKOFF_OF_REFUSED_SECONDS = 60;

/** What the passes of one fetch add up to. It is heartbeat, so that the next attempt goes on from there. */
interface Progress {
  readonly reading: Reading;
  readonly frontier: number | null;
  readonly stripeNow: number | null;
  readonly complete: boolean;
  readonly inserted: number;
  readonly malformed: number;
  readonly failedPasses: number;
  readonly requests: number;
  /** How many of the requests are in the account's count of reads. */
  readonly recorded: number;
  readonly passes: number;
  readonly lateness: readonly number[];
  readonly lagEvidence: number;
  readonly apiVersion: string | null;
  readonly applied: number;
  readonly stale: number;
  /** Whether the last pass left a backlog behind its news. */
  readonly isBacklog: boolean;
}

/**
 * The long poll of an account: passes over the events list until there is something to hand on or the wait
 * is over. Each pass puts what is new into the inbox, and what is in the inbox is claimed.
 *
 * Failures of Stripe stay inside: a pass is repeated after a growing wait, and what is wrong is reported in
 * words. Failures of PostgreSQL end the attempt, and Temporal repeats it.
 */
export function fetchEvents(deps: ActivityDeps) {
  const rhythm = createPollRhythm(deps.pool);
  return (input: FetchInput): Promise<FetchResult> =>
    heartbeating(async (activity) => {
      const { account } = input;
      const fence = await beginFetch(deps, activity, input);
      const claim = async () => {
        const { isBacklog = false } = progress;
        const drained = await drainInbox(deps, { ...input, isBacklog, signal: activity.signal });
        note({ applied: progress.applied + drained.applied, stale: progress.stale + drained.stale });
        return claimEvents(deps.pool, { account, fence, claimedBy: activity.id, limit: input.room });
      };
      let progress = begin(input, activity);
      const note = (change: Partial<Progress>) => {
        progress = { ...progress, ...change };
      };
      const poll = {
        fastestSeconds: input.pollSeconds,
        slowestSeconds: input.slowestSeconds ?? input.pollSeconds,
      };
      const toNext = () =>
        rhythm.toNext(account, poll, {
          ...progress,
          stripeNow: progress.stripeNow ?? input.lookedAt ?? null,
        });
      const isPaced = input.caughtUp && input.waitSeconds > 0 && activity.attempt === 1;
      const passOnce = passWith(deps, input, activity);
      let failures = 0;
      let hasFailed = false;
      let trouble: string | null = null;
      let refused = false;
      const began = performance.now();
      const firstWait = Math.max(rhythm.held(account), isPaced ? await toNext() : 0);
      let passAt = began + firstWait;
      // A wait that is longer than a fetch would only cost another fetch.
      const end = Math.max(began + input.waitSeconds * 1000, isPaced ? passAt : began);
      const news = deps.inbox?.watch(account);
      try {
        // What is left in the inbox need not wait for the next pass.
        const left = firstWait > 0 ? await claim() : [];
        if (left.length > 0) return result(input, progress, left, input.trouble);
        for (;;) {
          const now = performance.now();
          const wait = Math.max(0, passAt - now);
          const remaining = Math.max(0, end - now);
          if (news === undefined) await activity.sleep(Math.min(wait, remaining), deps.stopping);
          else await activity.sleep(Math.min(wait, remaining), deps.stopping, news.signal());
          if (news?.heard() && !deps.stopping.aborted) {
            rhythm.noteNews(account);
            const references = await claim();
            if (references.length > 0) return result(input, progress, references, trouble);
            // A hint: there is something to see. While Stripe fails, it is asked no sooner for it.
            if (failures === 0) passAt = Math.min(passAt, performance.now() + rhythm.soonest(account));
            continue;
          }
          // An interval that is longer than the wait goes on in the next fetch.
          if (wait > 0 && (wait > remaining || deps.stopping.aborted))
            return result(input, progress, await claim(), trouble);
          rhythm.passBegins(account);
          try {
            await passOnce(() => progress, note);
            failures = 0;
            trouble = null;
          } catch (error) {
            if (!isTrouble(error)) throw error;
            failures += 1;
            note({ failedPasses: progress.failedPasses + 1 });
            trouble = error.message;
            refused = error instanceof StripeFailure && error.kind === 'authentication';
            if (error instanceof StripeFailure) rhythm.hold(account, error.retryAfterMs ?? 0);
            deps.log.warn({ account, ...(error instanceof StripeFailure && facts(error)) }, error.message);
            const isKnown = input.trouble !== null && isSameTrouble(trouble, input.trouble);
            if (failures >= 3 && !isKnown) return result(input, progress, [], trouble);
          }
          const references = await claim();
          if (references.length === 0 && !(await holdsFence(deps.pool, account, fence))) throw fenceLost();
          const over =
            deps.stopping.aborted || performance.now() >= end || (failures === 0 && !progress.complete);
          const isTold = failures === 0 && (input.trouble !== null || !input.caughtUp);
          if (references.length > 0 || over || isTold || progress.reading.reanchored?.gap) {
            return result(input, progress, references, trouble);
          }
          const pause =
            failures === 0
              ? await toNext()
              : Math.max(backoff(failures, input.pollSeconds, refused) * 1000, rhythm.held(account));
          passAt = performance.now() + pause;
        }
      } catch (error) {
        hasFailed = true;
        throw error;
      } finally {
        news?.end();
        await recordReads(deps.pool, account, progress.requests - progress.recorded);
        note({ recorded: progress.requests });
        // Where it ended well, nobody asks what it remembers, and each heartbeat is a Temporal action.
        if (hasFailed) activity.remember(progress);
      }
    });
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

function begin(input: FetchInput, { attempt, remembered }: RunningActivity): Progress {
  if (attempt > 1 && isProgress(remembered))
    return {
      ...remembered,
      applied: remembered.applied ?? 0,
      stale: remembered.stale ?? 0,
      isBacklog: false,
      complete: false,
    };
  return {
    reading: {
      cursor: input.cursor,
      anchor: input.anchor,
      trail: input.trail ?? [],
      lookedAt: input.lookedAt ?? null,
      news: input.news ?? 0,
      reanchored: null,
    },
    frontier: input.frontier,
    stripeNow: null,
    complete: input.caughtUp && attempt === 1,
    inserted: 0,
    malformed: 0,
    failedPasses: 0,
    requests: 0,
    recorded: 0,
    passes: 0,
    lateness: [],
    lagEvidence: 0,
    apiVersion: null,
    applied: 0,
    stale: 0,
    isBacklog: false,
  };
}

/** Another version of the worker may have left something else. */
function isProgress(remembered: unknown): remembered is Progress {
  return typeof remembered === 'object' && remembered !== null && 'reading' in remembered;
}

/** @param refused whether Stripe refused the key: then somebody has to do something first */
function backoff(failures: number, pollSeconds: number, refused: boolean): number {
  const longest = refused ? LONGEST_BACKOFF_OF_REFUSED_SECONDS : LONGEST_BACKOFF_SECONDS;
  return Math.min(longest, Math.max(1, Math.min(pollSeconds, longest)) * 2 ** (failures - 1));
}

/** Passes of one attempt. What a pass has read and inserted counts, also where it fails on its way. */
function passWith(deps: ActivityDeps, input: FetchInput, activity: RunningActivity) {
  const { account } = input;
  let told: Reading['reanchored'] = null;
  // Where the account was opened before it had any event.
  let isVersionNoted = input.apiVersion != null;
  return async (progress: () => Progress, note: (change: Partial<Progress>) => void): Promise<void> => {
    const { frontier } = progress();
    // Until the list's end is reached, a second may be half read: nobody must take it for done.
    note({ complete: false });
    const remember = (reading: Reading) => {
      note({ reading });
      activity.remember(progress());
    };
    const read = pass(progress().reading, {
      pageCap: input.pageCap,
      backlogSeconds: (input.entities ?? 'always') === 'always' ? null : BACKLOG_FROM_SECONDS,
      lagSeconds: input.lagSeconds,
      maxLagSeconds: input.limits.maxSeconds,
      ourNow: Math.floor(Date.now() / 1000),
    });
    const { result: passed, lost } = await readList(deps, read, {
      account,
      source: 'poll',
      signal: activity.signal,
      lookedAt: ({ reading }, created) => lookedAt(reading.trail, created, reading.lookedAt),
      onStep({ reading }) {
        note({ requests: progress().requests + 1 });
        remember(reading);
      },
      onPage(page) {
        const isTimed = page.saidAt !== null;
        const late = isTimed ? latenessOf(page.firstListed, frontier, page.seenAt, input.pollSeconds) : [];
        const { inserted, malformed, lateness, lagEvidence, apiVersion } = progress();
        note({
          inserted: inserted + page.inserted.length,
          malformed: malformed + page.malformed,
          lateness: [...lateness, ...late.map(({ atMost }) => atMost)].slice(-MOST_OBSERVATIONS),
          lagEvidence: Math.max(lagEvidence, ...late.map(evidentLateness)),
          apiVersion: page.apiVersion ?? apiVersion,
        });
      },
    });
    remember(passed.reading);
    const { apiVersion } = progress();
    if (apiVersion !== null && !isVersionNoted) {
      await noteApiVersion(deps.pool, account, apiVersion);
      isVersionNoted = true;
    }
    const { reanchored, trail, cursor } = passed.reading;
    if (reanchored !== told) {
      if (reanchored?.gap) await markNotBackfilled(deps.pool, account);
      deps.log.warn(
        { account, gap: reanchored?.gap ?? null },
        'the cursor is out of reach of what Stripe lists; the walk goes on by time',
      );
      told = reanchored;
    }
    if (passed.nowhere && lost !== null) throw lost;
    const newest = trail.at(-1) ?? cursor;
    note({
      frontier: newest === null ? frontier : Math.max(frontier ?? 0, newest.created),
      passes: progress().passes + 1,
      complete: passed.complete,
      isBacklog: passed.isBacklog,
      stripeNow: passed.readAt ?? progress().stripeNow,
    });
  };
}

function result(
  input: FetchInput,
  progress: Progress,
  references: readonly EventReference[],
  trouble: string | null,
): FetchResult {
  const { reading } = progress;
  return {
    references,
    report: {
      trail: reading.trail,
      lookedAt: reading.lookedAt,
      news: reading.news,
      anchor: reading.anchor,
      stripeNow: progress.stripeNow,
      frontier: progress.frontier,
      caughtUp: progress.complete,
      inserted: progress.inserted,
      malformed: progress.malformed,
      failedPasses: progress.failedPasses,
      requests: progress.requests,
      passes: progress.passes,
      lateness: progress.lateness,
      lagEvidence: progress.lagEvidence,
      reanchored: reading.reanchored && {
        ...reading.reanchored,
        cursor: reading.cursor,
        anchor: reading.anchor,
      },
      apiVersion: progress.apiVersion,
      applied: progress.applied,
      stale: progress.stale,
      trouble: trouble ?? (progress.passes === 0 ? input.trouble : null),
    },
  };
}

/** Keeps a result small where a whole backlog is late. */
const MOST_OBSERVATIONS = 1_000;
