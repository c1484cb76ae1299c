/** How each activity is run, with the reason. */
import { ActivityCancellationType, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';

/**
 * The long poll. A heartbeat that stays away tells of a dead worker. A cancelled poll is not waited for: a
 * pause takes effect at once, and the fence keeps what is left of the poll from claiming.
 */
export const { fetchEvents } = proxyActivities<Activities>({
  startToCloseTimeout: '30 minutes',
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  retry: { initialInterval: '1 second', maximumInterval: '30 seconds' },
});

/** A walk over a backlog, one slice of it at a time. Interrupted and fenced like the long poll. */
export const { catchUp } = proxyActivities<Activities>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  retry: { initialInterval: '1 second', maximumInterval: '30 seconds' },
});

/**
 * Walks whose length nobody knows. They heartbeat, so only a lost worker ends them. A cancelled one is not
 * waited for: what it still inserts is guarded, and harmless.
 */
export const { rescanEvents, backfillType, listType } = proxyActivities<Activities>({
  startToCloseTimeout: '2 hours',
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});

/** Single steps, repeated for as long as Stripe or PostgreSQL are away. */
export const { openAccount, finishBackfill, listTypes, parkChanges, planBackfill, endBackfill, failListing } =
  proxyActivities<Activities>({
    startToCloseTimeout: '1 minute',
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
  });

/**
 * An audit's first step answers a person who waits; its last one is all that is left of what the others found, so it
 * is repeated for as long as PostgreSQL is away.
 */
export const { beginAudit } = proxyActivities<Activities>({
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: '1 second', maximumAttempts: 4 },
});
export const { finishAudit } = proxyActivities<Activities>({
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});

/** Walks of an audit. They are repeated so often that an outage of a minute or two is nothing to report. */
export const { auditEvents, auditType, verifyAudit, healAudit } = proxyActivities<Activities>({
  startToCloseTimeout: '2 hours',
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute', maximumAttempts: 8 },
});

/** Walks over tables of our own, in many short statements: they heartbeat, and go on where the last attempt was. */
export const { planRefresh, pruneAccount } = proxyActivities<Activities>({
  startToCloseTimeout: '2 hours',
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  heartbeatTimeout: '1 minute',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});

/**
 * A walk over the connected accounts of a platform. Somebody waits for the first one, and each later one is followed
 * by another soon, so what goes on failing is told. It has ended when the workflow has: what it starts can be counted.
 */
export const { followConnected } = proxyActivities<Activities>({
  startToCloseTimeout: '30 minutes',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  heartbeatTimeout: '30 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '10 seconds', maximumAttempts: 3 },
});

/** A preflight answers a person who waits. */
export const { checkAccount } = proxyActivities<Activities>({
  startToCloseTimeout: '20 seconds',
  retry: { maximumAttempts: 1 },
});

/**
 * The apply as a local activity: no task queue, one workflow task for the whole child. Its timeout lies above
 * the statement's and the lock's, so that PostgreSQL gives up first. What takes longer goes to the queue.
 */
export const { applyChanges: applyLocally } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '20 seconds',
  retry: { initialInterval: '100 milliseconds', maximumAttempts: 3 },
});

/** The apply where the local one failed: as long as PostgreSQL is away, and never when it refuses. */
export const { applyChanges: applyPatiently } = proxyActivities<Activities>({
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});

/** Reads of an object: repeated while Stripe is away; what Stripe refuses for good fails at once. */
export const { settleEntity } = proxyActivities<Activities>({
  startToCloseTimeout: '3 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
});
