import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import type { WorkerDeploymentVersion } from '@temporalio/common';
import {
  DefaultLogger,
  makeTelemetryFilterString,
  type NativeConnection,
  Runtime,
  Worker,
  type WorkerDeploymentOptions,
} from '@temporalio/worker';
import type { Pool } from 'pg';
import { type ActivityLog, createActivities } from '../../activities/index.js';
import { UserError } from '../domain/failures.js';
import type { HandlerRunner } from '../handlers/run-handler.js';
import type { InboxNews } from '../postgres/inbox-news.js';
import type { StripeClient } from '../stripe/client.js';
import { createAccountLauncher } from './launch-account.js';

export interface WorkerOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly taskQueue: string;
  readonly pool: Pool;
  readonly stripe: (account: string) => StripeClient;
  readonly log: ActivityLog;
  /** Tells of what others put into an inbox. */
  readonly inbox?: InboxNews | undefined;
  /** Runs the user's handlers, where there are any. */
  readonly handlers?: HandlerRunner | undefined;
  /** Which version of which deployment it is. Without it, the worker takes what is not of a version. */
  readonly version?: WorkerDeploymentVersion | undefined;
  /** Aborts when the worker begins to shut down. */
  readonly stopping: AbortSignal;
}

/** Each account's long poll holds a slot all the time, so slots bound how many accounts a worker serves. */
const ACTIVITY_SLOTS = 1_000;
/** PostgreSQL's connections, not these, bound how many applies run at a time. */
const LOCAL_ACTIVITY_SLOTS = 200;
/** How long activities have to end once the worker was told to stop. */
const SHUTDOWN_GRACE = '10 seconds';

/** A worker for all workflows and activities, not running yet. */
export function createWorker(options: WorkerOptions): Promise<Worker> {
  const { connection, namespace, taskQueue, pool, stripe, log, inbox, handlers, stopping } = options;
  // Each account's long poll listens to it.
  setMaxListeners(0, stopping);
  const accounts = createAccountLauncher(new Client({ connection, namespace }), log);
  return Worker.create({
    connection,
    namespace,
    taskQueue,
    workflowBundle: { codePath: workflowBundlePath() },
    activities: createActivities({ pool, stripe, log, inbox, handlers, accounts, stopping }),
    maxConcurrentActivityTaskExecutions: ACTIVITY_SLOTS,
    maxConcurrentLocalActivityExecutions: LOCAL_ACTIVITY_SLOTS,
    shutdownGraceTime: SHUTDOWN_GRACE,
    ...(options.version === undefined ? {} : { workerDeploymentOptions: deploymentOptions(options.version) }),
  });
}

/**
 * An account's workflow never ends, so it has to move on to the version that is the current one, as do all others: the
 * code is changed so that the histories of older versions replay, and no old worker has to be kept for what it began.
 */
function deploymentOptions(version: WorkerDeploymentVersion): WorkerDeploymentOptions {
  return { version, useWorkerVersioning: true, defaultVersioningBehavior: 'AUTO_UPGRADE' };
}

/** The bundle that the build makes: beside the compiled code, or in dist where the sources run. */
export function workflowBundlePath(): string {
  for (const place of ['../../workflow-bundle.js', '../../dist/workflow-bundle.js']) {
    const path = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new UserError('The workflow bundle is missing: run npm run build.');
}

/**
 * Sends the SDK's own log lines to ours. Once per process, before the first worker.
 *
 * @param metricsAddress where Prometheus may scrape the core's metrics (`127.0.0.1:9464`); none are kept without it
 */
export function installRuntime(log: ActivityLog, metricsAddress?: string): void {
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      const { workflowId, runId, activityType, error } = meta ?? {};
      const fields = { component: 'temporal', workflowId, runId, activityType, error: messageOf(error) };
      if (level === 'WARN') log.warn(fields, message);
      else log.error(fields, message);
    }),
    // The core's warnings tell of activities that were cancelled and ended all the same, which is as it should be.
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }) },
      ...(metricsAddress === undefined ? {} : { metrics: { prometheus: { bindAddress: metricsAddress } } }),
    },
    shutdownSignals: [],
  });
}

function messageOf(error: unknown): string | undefined {
  return error instanceof Error ? error.message : undefined;
}
