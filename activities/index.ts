/** The only I/O that workflows reach. */

import pLimit from 'p-limit';
import { StripeFailure } from '../src/domain/failures.js';
import type { StripeClient } from '../src/stripe/client.js';
import { applyChanges } from './apply-changes.js';
import { beginAudit } from './audit-begin.js';
import { auditEvents } from './audit-events.js';
import { healAudit } from './audit-heal.js';
import { auditType } from './audit-type.js';
import { verifyAudit } from './audit-verify.js';
import { backfillType } from './backfill-type.js';
import { catchUp } from './catch-up.js';
import { checkAccount } from './check-account.js';
import type { ActivityDeps } from './deps.js';
import { endBackfill, failListing } from './end-backfill.js';
import { fetchEvents } from './fetch-events.js';
import { finishAudit } from './finish-audit.js';
import { finishBackfill } from './finish-backfill.js';
import { followConnected } from './follow-connected.js';
import { listType } from './list-type.js';
import { listTypes } from './list-types.js';
import { openAccount } from './open-account.js';
import { parkChanges } from './park-changes.js';
import { planBackfill } from './plan-backfill.js';
import { planRefresh } from './plan-refresh.js';
import { pruneAccount } from './prune-account.js';
import { reportFailures } from './report-failures.js';
import { rescanEvents } from './rescan-events.js';
import { settleEntity } from './settle-entity.js';
import { createStripeClock, type StripeClock } from './stripe-clock.js';

/** Pages that are written at a time: more connections than PostgreSQL has cores make none of them faster. */
const BULK_WRITES = 4;

export function createActivities(given: ActivityDeps) {
  const clock = createStripeClock();
  const writing = pLimit(BULK_WRITES);
  const deps = { ...given, stripe: (account: string) => timed(given.stripe(account), account, clock) };
  return {
    checkAccount: reportFailures(checkAccount(deps)),
    openAccount: reportFailures(openAccount(deps)),
    fetchEvents: reportFailures(fetchEvents(deps)),
    catchUp: reportFailures(catchUp(deps, writing)),
    rescanEvents: reportFailures(rescanEvents(deps)),
    applyChanges: reportFailures(applyChanges(deps)),
    settleEntity: reportFailures(settleEntity(deps, clock)),
    parkChanges: reportFailures(parkChanges(deps)),
    beginAudit: reportFailures(beginAudit(deps)),
    auditEvents: reportFailures(auditEvents(deps)),
    auditType: reportFailures(auditType(deps, clock)),
    verifyAudit: reportFailures(verifyAudit(deps, clock)),
    healAudit: reportFailures(healAudit(deps, clock)),
    finishAudit: reportFailures(finishAudit(deps)),
    planBackfill: reportFailures(planBackfill(deps)),
    listType: reportFailures(listType(deps, clock, writing)),
    failListing: reportFailures(failListing(deps)),
    endBackfill: reportFailures(endBackfill(deps)),
    planRefresh: reportFailures(planRefresh(deps)),
    pruneAccount: reportFailures(pruneAccount(deps)),
    followConnected: reportFailures(followConnected(deps)),
    // Of 0.2.0.
    backfillType: reportFailures(backfillType(deps)),
    listTypes: reportFailures(listTypes()),
    finishBackfill: reportFailures(finishBackfill(deps)),
  };
}

export type { AccountLauncher, ActivityDeps, ActivityLog } from './deps.js';

export type Activities = ReturnType<typeof createActivities>;

/** Answers with the time that Stripe's clock must have shown, whatever a machine on the way made of it. */
function timed(client: StripeClient, account: string, clock: StripeClock): StripeClient {
  return {
    ...client,
    async get(path, options) {
      try {
        const response = await client.get(path, options);
        return { ...response, date: clock.correct(account, response.date), saidDate: response.date };
      } catch (error) {
        throw timedFailure(error, (date) => clock.correct(account, date) ?? date);
      }
    },
  };
}

/** The version of a tombstone is made of a `Date` as well, and is believed no more than that of an answer. */
function timedFailure(error: unknown, correct: (date: number) => number): unknown {
  if (!(error instanceof StripeFailure) || error.version === undefined) return error;
  const { asOf, asOfUntil } = error.version;
  // A read's interval ends in the second after its `Date`.
  const shift = correct(asOfUntil - 1) + 1 - asOfUntil;
  if (shift === 0) return error;
  const { kind, message, requestId, status, reason, retryAfterMs, missingPermission } = error;
  const version = { asOf: asOf + shift, asOfUntil: asOfUntil + shift };
  return new StripeFailure(kind, {
    message,
    requestId,
    status,
    reason,
    retryAfterMs,
    missingPermission,
    version,
  });
}
