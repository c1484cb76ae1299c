import type { RescanReport } from '../src/domain/account-state.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { heartbeating } from './activity-context.js';
import type { ActivityDeps } from './deps.js';
import { walkWindow } from './walk-events.js';

/** Keeps a report small where a whole backlog had leaked. */
const MOST_REPORTED = 1_000;

export interface RescanInput {
  readonly account: string;
  /** Window of `created`, both ends included, in seconds of Stripe's clock; all of it behind the cursor. */
  readonly from: number;
  readonly to: number;
}

/**
 * Lists a whole window behind the cursor again and puts into the inbox what the cursor missed. What it
 * inserts is a leak: it surfaced after the lag had let the cursor pass.
 */
export function rescanEvents(deps: ActivityDeps) {
  return (input: RescanInput): Promise<RescanReport> =>
    heartbeating(async ({ signal }) => {
      const { account, from, to } = input;
      const walk = await walkWindow(deps, { account, from, to, source: 'rescan', signal });
      await recordReads(deps.pool, account, walk.requests);
      const now = walk.overAt ?? to;
      for (const leak of walk.inserted) {
        deps.log.warn(
          { account, event: leak.id, created: leak.created, delaySeconds: now - leak.created },
          'an event surfaced behind the cursor; the rescan found it and the lag widens',
        );
      }
      return {
        listed: walk.newestFirst.length,
        requests: walk.requests,
        leaked: walk.inserted.length,
        leaks: walk.inserted.slice(0, MOST_REPORTED).map((leak) => Math.max(0, now - leak.created)),
        stripeNow: walk.stripeNow,
      };
    });
}
