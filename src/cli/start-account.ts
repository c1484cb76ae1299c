import { type Client, WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { type AccountSettings, DEFAULT_SETTINGS } from '../../workflows/settings.js';
import type { Entities } from '../domain/backlog.js';
import { UserError } from '../domain/failures.js';
import { type AccountTerms, isRunning, launchAccount, scheduleAccount } from '../temporal/launch-account.js';
import { hasSearchAttributes } from '../temporal/search-attributes.js';
import { orSay } from './schedule-failure.js';
import { type ScheduleOptions, scheduleSettings } from './schedule-options.js';
import { whyNoWorker } from './task-queue.js';

/** Durations in seconds. What is left out is as in `DEFAULT_SETTINGS`. */
export interface StartOptions extends ScheduleOptions {
  readonly lag?: number;
  readonly maxLag?: number;
  readonly backfill?: boolean;
  readonly types?: readonly string[];
  readonly hydrate?: AccountSettings['hydrate'];
  readonly entities?: Entities;
  readonly pollInterval?: number;
  readonly rescanInterval?: number;
  readonly rescanWindow?: number;
  readonly deepRescanInterval?: number;
  readonly parkAfter?: number;
  readonly fresh?: boolean;
  /** A connected account (`acct_…`) that is read with the key of its platform. */
  readonly stripeAccount?: string;
}

/**
 * Checks the account on a worker, then starts its workflow, and sets its schedules. Where Temporal refuses those, that
 * is told, and the account runs without them.
 *
 * @throws UserError where it runs already, no worker runs, or the check fails; nothing is started then
 */
export async function startAccount(
  client: Client,
  taskQueue: string,
  account: string,
  options: StartOptions,
): Promise<void> {
  if (await isRunning(client, account)) throw runsAlready(account);
  await runPreflight(client, taskQueue, account, options.stripeAccount);
  const terms = termsOf(options, taskQueue, await hasSearchAttributes(client));
  if (!(await launchAccount(client, account, terms))) throw runsAlready(account);
  await orSay(account, NOT_SCHEDULED, () => scheduleAccount(client, account, terms));
}

export const NOT_SCHEDULED =
  'it runs, but not all of its schedules are set, so what changes without an event may go unseen, and old events stay';

/** @param searchAttributes whether the namespace knows `StripeAccount` and `StripeObject` */
export function termsOf(options: StartOptions, taskQueue: string, searchAttributes: boolean): AccountTerms {
  const settings = settingsOf(options, searchAttributes);
  return {
    taskQueue,
    settings,
    schedules: scheduleSettings(options, settings.backfill.enabled),
    fresh: options.fresh ?? false,
  };
}

function settingsOf(options: StartOptions, searchAttributes: boolean): AccountSettings {
  const { lag, backfill, poll, rescan, parking } = DEFAULT_SETTINGS;
  const floorSeconds = Math.ceil(options.lag ?? lag.floorSeconds);
  return {
    ...DEFAULT_SETTINGS,
    lag: { floorSeconds, maxSeconds: Math.max(floorSeconds, Math.ceil(options.maxLag ?? lag.maxSeconds)) },
    hydrate: options.hydrate ?? DEFAULT_SETTINGS.hydrate,
    entities: options.entities ?? DEFAULT_SETTINGS.entities,
    poll: options.pollInterval === undefined ? poll : fixed(poll, options.pollInterval),
    rescan: {
      everySeconds: options.rescanInterval ?? rescan.everySeconds,
      windowSeconds: Math.ceil(options.rescanWindow ?? rescan.windowSeconds),
      deepEverySeconds: Math.ceil(options.deepRescanInterval ?? rescan.deepEverySeconds),
    },
    parking: { ...parking, attempts: options.parkAfter ?? parking.attempts },
    backfill: { ...backfill, enabled: options.backfill ?? true, types: options.types ?? null },
    searchAttributes,
  };
}

function fixed(poll: AccountSettings['poll'], seconds: number): AccountSettings['poll'] {
  return { ...poll, everySeconds: seconds, slowestSeconds: seconds };
}

function runsAlready(account: string): UserError {
  return new UserError(
    `${account} runs already. See it with: stripe-sync status ${account}; end it with: stripe-sync stop ${account}`,
  );
}

const PREFLIGHT_TIMEOUT = '25 seconds';

/** The key is the worker's, so a worker checks it. Nothing is started where it is missing or refused. */
async function runPreflight(
  client: Client,
  taskQueue: string,
  account: string,
  stripeAccount: string | undefined,
): Promise<void> {
  await assertWorker(client, taskQueue);
  try {
    await client.workflow.execute('preflight', {
      workflowId: `${account}/preflight`,
      taskQueue,
      args: stripeAccount === undefined ? [account] : [account, stripeAccount],
      workflowExecutionTimeout: PREFLIGHT_TIMEOUT,
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `Can ${account} be started?`,
    });
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const otherwise =
      'No worker checked it within 25 seconds: see whether one runs (stripe-sync worker), and its log.';
    throw new UserError(`${account} is not started. ${workersReason(error.cause) ?? otherwise}`);
  }
}

/** @throws UserError where no worker polls the task queue, or none of those that do gets its tasks */
export async function assertWorker(client: Client, taskQueue: string): Promise<void> {
  const why = await whyNoWorker(client, taskQueue);
  if (why !== null) throw new UserError(why);
}

/** The worker's words, null where it said none; it has the key and the way to PostgreSQL, this process has neither. */
export function workersReason(cause: Error | undefined): string | null {
  if (cause instanceof ActivityFailure && cause.cause instanceof ApplicationFailure) {
    const { type, message } = cause.cause;
    if (type === 'Configuration') return `${message} The worker needs it: restart it afterwards.`;
    if (type?.startsWith('PostgreSQL/')) return `${message} Check PostgreSQL and the worker's DATABASE_URL.`;
    return message;
  }
  return null;
}
