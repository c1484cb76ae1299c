import type { RescanReport } from '../src/domain/account-state.js';
import { readWindow, WINDOW_BEGINS, type WindowProgress } from '../src/domain/window.js';
import { noteApiVersion, noteDeepRescan } from '../src/postgres/account-row.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { heartbeating } from './activity-context.js';
import type { ActivityDeps } from './deps.js';
import { readList } from './read-list.js';

/** Keeps a report small where a whole backlog had leaked. */
const MOST_REPORTED = 1_000;

export interface RescanInput {
  readonly account: string;
  /** Window of `created`, both ends included, in seconds of Stripe's clock; all of it behind the cursor. */
  readonly from: number;
  readonly to: number;
  /** Whether to note that everything up to `to` was listed again. */
  readonly deep?: boolean;
  /** The smallest lag, in seconds: so long after its second, at least, an event was not there yet. */
  readonly floorSeconds?: number;
}

/** What is heartbeat, so that the next attempt goes on from there. */
interface Progress {
  readonly window: WindowProgress;
  /** How many of its requests are in the account's count of reads. */
  readonly recorded: number;
  readonly leaked: number;
  readonly leaks: readonly number[];
  readonly stripeNow: number | null;
  /** In which the newest event comes; undefined where none was listed. */
  readonly apiVersion?: string | undefined;
}

/**
 * Lists a whole window behind the cursor again and puts into the inbox what the cursor missed. What it
 * inserts is a leak: it surfaced after the lag had let the cursor pass.
 */
export function rescanEvents(deps: ActivityDeps) {
  return (input: RescanInput): Promise<RescanReport> =>
    heartbeating(async (activity) => {
      const { account, from, to, deep = false, floorSeconds = 0 } = input;
      let progress = isProgress(activity.remembered) ? activity.remembered : BEGINS;
      const note = (change: Partial<Progress>) => {
        progress = { ...progress, ...change };
        activity.remember(progress);
      };
      try {
        await readList(deps, readWindow({ from, to }, progress.window), {
          account,
          source: 'rescan',
          signal: activity.signal,
          // The cursor had passed it by then, so the list had been read without it.
          lookedAt: (_, created) => created + 1 + floorSeconds,
          onStep: (step) => note({ window: step.progress }),
          onPage(page) {
            const leaks = page.inserted.map((leak) => Math.max(0, page.seenAt - leak.created));
            for (const [index, leak] of page.inserted.entries()) {
              deps.log.warn(
                { account, event: leak.id, created: leak.created, delaySeconds: leaks[index] },
                'an event surfaced behind the cursor; the rescan found it and the lag widens',
              );
            }
            note({
              leaked: progress.leaked + leaks.length,
              leaks: [...progress.leaks, ...leaks].slice(0, MOST_REPORTED),
              stripeNow: progress.stripeNow ?? page.readAt,
              apiVersion: progress.apiVersion ?? page.apiVersion ?? undefined,
            });
          },
        }).then(({ result }) => note({ window: result }));
      } finally {
        await recordReads(deps.pool, account, progress.window.requests - progress.recorded);
        note({ recorded: progress.window.requests });
      }
      if (deep) await noteDeepRescan(deps.pool, account, to);
      const { window, leaked, leaks, stripeNow, apiVersion } = progress;
      if (apiVersion !== undefined) await noteApiVersion(deps.pool, account, apiVersion);
      return { listed: window.listed, requests: window.requests, leaked, leaks, stripeNow };
    });
}

const BEGINS: Progress = { window: WINDOW_BEGINS, recorded: 0, leaked: 0, leaks: [], stripeNow: null };

/** Another version of the worker may have left something else. */
function isProgress(remembered: unknown): remembered is Progress {
  return typeof remembered === 'object' && remembered !== null && 'window' in remembered;
}
