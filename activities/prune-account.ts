import { type Keeping, leastAgeOfEvent } from '../src/domain/pruning.js';
import { pruneChanges } from '../src/postgres/prune-changes.js';
import { type LedgerPosition, pruneEvents } from '../src/postgres/prune-events.js';
import { pruneListings } from '../src/postgres/prune-listings.js';
import { pruneReads } from '../src/postgres/prune-reads.js';
import { heartbeating, type RunningActivity } from './activity-context.js';
import type { ActivityDeps } from './deps.js';

export interface PruneInput extends Keeping {
  readonly account: string;
}

/** Rows that went. */
export interface Pruned {
  readonly events: number;
  readonly changes: number;
  readonly listings: number;
  readonly reads: number;
}

/** Rows that one statement looks at: some tens of milliseconds. */
const BATCH = 5_000;
/** Between two statements, so that what live changes need of PostgreSQL stays theirs. */
const PAUSE_MS = 20;
/** A walk from the cursor begins behind it, by the lag: at most a day. */
const BEHIND_CURSOR_SECONDS = 2 * 86_400;
const KEEP_LISTINGS_SECONDS = 14 * 86_400;
const KEEP_READS_SECONDS = 60 * 86_400;

/** What is heartbeat, so that the next attempt goes on from there. */
interface Progress {
  /** Null once the walk over the ledger is done. */
  readonly ledger: LedgerPosition | 'begins' | null;
  /** The change after which the walk over the feed goes on; null once it is done. */
  readonly feed: number | null;
  readonly pruned: Pruned;
}

const BEGINS: Progress = {
  ledger: 'begins',
  feed: 0,
  pruned: { events: 0, changes: 0, listings: 0, reads: 0 },
};

/** Deletes what is past its age of an account's ledger, change feed and notes, in many short transactions. */
export function pruneAccount(deps: ActivityDeps, batch: number = BATCH) {
  return (input: PruneInput): Promise<Pruned> =>
    heartbeating(async (activity) => {
      let progress = isProgress(activity.remembered) ? activity.remembered : BEGINS;
      const note = (change: Partial<Progress>, pruned: Partial<Pruned>) => {
        progress = { ...progress, ...change, pruned: { ...progress.pruned, ...pruned } };
        activity.remember(progress);
      };
      const { account, eventsSeconds, changesSeconds } = input;
      if (eventsSeconds === null) note({ ledger: null }, {});
      while (eventsSeconds !== null && progress.ledger !== null) {
        const { deleted, next } = await pruneEvents(deps.pool, {
          account,
          leastAge: leastAgeOfEvent(eventsSeconds),
          keepSeconds: eventsSeconds,
          behindCursor: BEHIND_CURSOR_SECONDS,
          after: progress.ledger === 'begins' ? null : progress.ledger,
          atMost: batch,
        });
        note({ ledger: next }, { events: progress.pruned.events + deleted });
        if (next !== null) await pause(activity);
      }
      if (changesSeconds === null) note({ feed: null }, {});
      while (changesSeconds !== null && progress.feed !== null) {
        const { deleted, next } = await pruneChanges(deps.pool, {
          account,
          keepSeconds: changesSeconds,
          after: progress.feed,
          atMost: batch,
        });
        note({ feed: next }, { changes: progress.pruned.changes + deleted });
        if (next !== null) await pause(activity);
      }
      const listings = await pruneListings(deps.pool, { account, keepSeconds: KEEP_LISTINGS_SECONDS });
      const reads = await pruneReads(deps.pool, { account, keepSeconds: KEEP_READS_SECONDS });
      return { ...progress.pruned, listings, reads };
    });
}

async function pause(activity: RunningActivity): Promise<void> {
  await activity.sleep(PAUSE_MS);
}

/** Another version of the worker may have left something else. */
function isProgress(remembered: unknown): remembered is Progress {
  return typeof remembered === 'object' && remembered !== null && 'ledger' in remembered;
}
