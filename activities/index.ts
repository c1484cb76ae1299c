/** The only I/O that workflows reach. */

import type { StripeClient } from '../src/stripe/client.js';
import { applyChanges } from './apply-changes.js';
import { backfillType } from './backfill-type.js';
import { checkAccount } from './check-account.js';
import type { ActivityDeps } from './deps.js';
import { fetchEvents } from './fetch-events.js';
import { finishBackfill } from './finish-backfill.js';
import { listTypes } from './list-types.js';
import { openAccount } from './open-account.js';
import { parkChanges } from './park-changes.js';
import { reportFailures } from './report-failures.js';
import { rescanEvents } from './rescan-events.js';
import { settleEntity } from './settle-entity.js';
import { createStripeClock, type StripeClock } from './stripe-clock.js';

export function createActivities(given: ActivityDeps) {
  const clock = createStripeClock();
  const deps = { ...given, stripe: (account: string) => timed(given.stripe(account), account, clock) };
  return {
    checkAccount: reportFailures(checkAccount(deps)),
    openAccount: reportFailures(openAccount(deps)),
    fetchEvents: reportFailures(fetchEvents(deps)),
    rescanEvents: reportFailures(rescanEvents(deps)),
    applyChanges: reportFailures(applyChanges(deps)),
    settleEntity: reportFailures(settleEntity(deps, clock)),
    parkChanges: reportFailures(parkChanges(deps)),
    backfillType: reportFailures(backfillType(deps)),
    listTypes: reportFailures(listTypes()),
    finishBackfill: reportFailures(finishBackfill(deps)),
  };
}

export type { ActivityDeps, ActivityLog } from './deps.js';

export type Activities = ReturnType<typeof createActivities>;

/** Answers with the time that Stripe's clock must have shown, whatever a machine on the way made of it. */
function timed(client: StripeClient, account: string, clock: StripeClock): StripeClient {
  return {
    ...client,
    async get(path, options) {
      const response = await client.get(path, options);
      return { ...response, date: clock.correct(account, response.date), saidDate: response.date };
    },
  };
}
