import { performance } from 'node:perf_hooks';
import type { LimitFunction } from 'p-limit';
import type { Backlog, CatchUpReport } from '../src/domain/backlog.js';
import type { Cursor } from '../src/domain/cursor.js';
import { isTrouble } from '../src/domain/failures.js';
import type { Hydrate } from '../src/domain/hydrate.js';
import type { EventReference } from '../src/domain/references.js';
import { claimEvents } from '../src/postgres/claim-events.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { heartbeating } from './activity-context.js';
import { beginFetch } from './begin-fetch.js';
import type { ActivityDeps } from './deps.js';
import { walkBacklog } from './walk-backlog.js';
import { createEventWriter } from './write-events.js';

export interface CatchUpInput {
  readonly account: string;
  readonly backlog: Backlog;
  readonly cursor: Cursor | null;
  readonly anchor: number;
  readonly lookedAt: number | null;
  readonly lagSeconds: number;
  readonly hydrate: Hydrate;
  readonly apiVersion: string | null;
  /** How long it walks before it reports, in seconds. */
  readonly seconds: number;
  /** Pages that are under way at a time. */
  readonly walkers: number;
  /** How many references there is room for. */
  readonly room: number;
  /** As for a fetch. */
  readonly freeOlderThanSeconds: number | null;
}

export interface CatchUpResult {
  readonly report: CatchUpReport;
  readonly references: readonly EventReference[];
}

/** A webhook's change waits no longer than that for the walk to hand it on. */
const NEWS_AFTER_MS = 1_000;

interface Progress extends Omit<CatchUpReport, 'left' | 'newest' | 'trouble'> {
  readonly backlog: Backlog;
  /** How many of the requests are in the account's count of reads. */
  readonly recorded: number;
}

/**
 * Walks a backlog and applies it, whole pages together. What needs its entity waits in the inbox and is claimed at the
 * end; where there are handlers, only once all of the backlog is there, because an entity's changes come in the order
 * of the list, the newest first, and handlers run in the order of time.
 *
 * Failures of Stripe stay inside, as with a fetch: what is wrong is reported in words.
 */
export function catchUp(deps: ActivityDeps, writing: LimitFunction) {
  return (input: CatchUpInput): Promise<CatchUpResult> =>
    heartbeating(async (activity) => {
      const { account, lookedAt } = input;
      const { signal } = activity;
      const fence = await beginFetch(deps, activity, input);
      let progress = isProgress(activity.remembered) ? activity.remembered : begin(input);
      const note = (change: Partial<Progress>) => {
        progress = { ...progress, ...change };
      };
      const began = performance.now();
      const news = deps.inbox?.watch(account);
      let isTold = false;
      const isOver = () => {
        const taken = performance.now() - began;
        isTold ||= news?.heard() ?? false;
        const isLongEnough = taken >= (isTold ? NEWS_AFTER_MS : input.seconds * 1000);
        return deps.stopping.aborted || isLongEnough;
      };
      const writer = createEventWriter(deps, { ...input, lookedAt, signal, writing });
      let trouble: string | null = null;
      try {
        await walkBacklog(deps, {
          account,
          backlog: progress.backlog,
          walkers: input.walkers,
          signal,
          isOver,
          async write(page) {
            const { taken, applied, stale } = await writer.write(page);
            note({
              inserted: progress.inserted + taken,
              applied: progress.applied + applied,
              stale: progress.stale + stale,
            });
          },
          onRequest: () => note({ requests: progress.requests + 1 }),
          onPage: ({ readAt, malformed }) =>
            note({
              stripeNow: Math.max(progress.stripeNow ?? 0, readAt ?? 0) || null,
              malformed: progress.malformed + malformed,
            }),
          onProgress(backlog) {
            note({ backlog });
            activity.rememberSoon(progress);
          },
        });
      } catch (error) {
        if (!isTrouble(error)) throw error;
        trouble = error.message;
        deps.log.warn({ account }, error.message);
      } finally {
        news?.end();
        await recordReads(deps.pool, account, progress.requests - progress.recorded);
        note({ recorded: progress.requests });
        activity.remember(progress);
      }
      const { backlog, recorded: _, ...counts } = progress;
      const isDone = backlog.ranges.length === 0;
      const mayClaim = isDone || deps.handlers === undefined;
      const references = mayClaim
        ? await claimEvents(deps.pool, { account, fence, claimedBy: activity.id, limit: input.room })
        : [];
      return {
        references,
        report: { ...counts, left: isDone ? null : backlog, newest: backlog.newest, trouble },
      };
    });
}

function begin({ backlog }: CatchUpInput): Progress {
  return {
    backlog,
    inserted: 0,
    applied: 0,
    stale: 0,
    malformed: 0,
    requests: 0,
    recorded: 0,
    stripeNow: null,
  };
}

/** Another version of the worker may have left something else. */
function isProgress(remembered: unknown): remembered is Progress {
  return typeof remembered === 'object' && remembered !== null && 'backlog' in remembered;
}
