import { CancelledFailure } from '@temporalio/common';
import { isAhead, isEqual } from '../src/domain/audit.js';
import { StripeFailure } from '../src/domain/failures.js';
import { readWindow, WINDOW_BEGINS } from '../src/domain/window.js';
import {
  type Candidate,
  markCandidates,
  objectsWith,
  readCandidates,
} from '../src/postgres/audit-candidates.js';
import { missingWindow, noteHealedEvents } from '../src/postgres/audit-event-page.js';
import { isTransientPostgresError, postgresErrorSummary } from '../src/postgres/errors.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { tableOf } from '../src/stripe/catalog.js';
import { heartbeating, type RunningActivity } from './activity-context.js';
import { eachAtOnce } from './audit-request.js';
import { READS_AT_ONCE, type ReadAgain, readAndCompare } from './audit-verify.js';
import type { ActivityDeps } from './deps.js';
import { inBulk } from './in-bulk.js';
import { readList } from './read-list.js';
import { settleEntity } from './settle-entity.js';
import type { StripeClock } from './stripe-clock.js';

export interface HealAuditInput {
  readonly account: string;
  readonly number: number;
  readonly apiVersion: string | null;
  /** How long to go on before reporting, in seconds. */
  readonly seconds: number;
}

export interface HealAuditResult {
  readonly done: boolean;
}

/** So often an object is settled that changes while it is compared again. */
const ROUNDS = 3;
/** Differences of a type that are healed between two looks at the clock. */
const BATCH = 100;

/**
 * Repairs what differs, through the path that everything else takes: a read, written under the version guard. Missing
 * events go into the ledger, as a rescan finds them. What was repaired is compared again.
 */
export function healAudit(deps: ActivityDeps, clock: StripeClock) {
  return (input: HealAuditInput): Promise<HealAuditResult> =>
    heartbeating(async (activity) => {
      const end = Date.now() + input.seconds * 1000;
      const { account, number, apiVersion } = input;
      await healEvents(deps, input, activity);
      for (const object of await objectsWith(deps.pool, { account, number }, 'differs')) {
        const of = { account, number, object, table: tableOf(object), apiVersion };
        for (;;) {
          const candidates = await readCandidates(deps.pool, of, { state: 'differs', most: BATCH });
          if (candidates.length === 0) break;
          if (deps.stopping.aborted || Date.now() >= end) return { done: false };
          await eachAtOnce(candidates, READS_AT_ONCE, (candidate) =>
            heal(deps, clock, of, activity, candidate),
          );
        }
      }
      return { done: true };
    });
}

async function heal(
  deps: ActivityDeps,
  clock: StripeClock,
  of: ReadAgain,
  activity: RunningActivity,
  candidate: Candidate,
): Promise<void> {
  const { account, object, apiVersion } = of;
  const { id, row } = candidate;
  if (row !== null && isAhead(row, clock.now(account))) {
    return markCandidates(deps.pool, of, [id], 'unhealed', { note: aheadText(row.asOfUntil) });
  }
  const after = candidate.shown?.asOfUntil ?? Math.floor(clock.now(account));
  try {
    for (let round = 1; round <= ROUNDS; round += 1) {
      await settleEntity(inBulk(deps), clock)({ account, object, objectId: id, ids: [], after, apiVersion });
      await recordReads(deps.pool, account, 1);
      if (await readAndCompare(deps, of, activity, id)) {
        return markCandidates(deps.pool, of, [id], 'healed');
      }
    }
    const [now] = await readCandidates(deps.pool, of, { state: 'differs', id });
    const isHealed = now !== undefined && isEqual({ ...now, stripeNow: clock.now(account) });
    const note = 'it was read and written, and differs again';
    await markCandidates(deps.pool, of, [id], isHealed ? 'healed' : 'unhealed', {
      note: isHealed ? null : note,
    });
  } catch (error) {
    const reason = finalReason(error, activity.attempt);
    if (reason === null) throw error;
    await markCandidates(deps.pool, of, [id], 'unhealed', { note: reason });
  }
}

function aheadText(until: number): string {
  return (
    `its row says that it is of ${new Date(until * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC, which ` +
    "lies ahead of Stripe's clock, so that nothing older may replace it: set its as_of and as_of_until back by hand"
  );
}

/** Attempts after which an object that cannot be healed holds up the others no longer. */
const PATIENCE = 4;

/** Why one object cannot be healed; null where trying again may help. */
function finalReason(error: unknown, attempt: number): string | null {
  if (error instanceof CancelledFailure) return null;
  if (error instanceof StripeFailure) {
    const waits =
      error.kind === 'rate-limited' || error.kind === 'authentication' || error.kind === 'cancelled';
    const mayPass = waits || error.kind === 'transient' || error.kind === 'malformed';
    return waits || (mayPass && attempt < PATIENCE) ? null : error.message;
  }
  return isTransientPostgresError(error) ? null : postgresErrorSummary(error);
}

/** Lists the window in which events are missing again, as a rescan does: the account's loop takes what it inserts. */
async function healEvents(
  deps: ActivityDeps,
  { account, number }: HealAuditInput,
  activity: RunningActivity,
): Promise<void> {
  const window = await missingWindow(deps.pool, { account, number });
  if (window !== null) {
    const { result } = await readList(inBulk(deps), readWindow(window, WINDOW_BEGINS), {
      account,
      source: 'rescan',
      signal: activity.signal,
      lookedAt: () => null,
      onStep: () => undefined,
      onPage: () => undefined,
    });
    await recordReads(deps.pool, account, result.requests);
  }
  await noteHealedEvents(deps.pool, { account, number });
}
