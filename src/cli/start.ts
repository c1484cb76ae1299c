import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { Command, Option } from 'commander';
import type { AccountInput } from '../../workflows/account.js';
import { findableBy } from '../../workflows/search-attributes.js';
import { type AccountSettings, DEFAULT_SETTINGS } from '../../workflows/settings.js';
import { loadConfig, validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import { accountWorkflowId } from '../domain/ids.js';
import { hasSearchAttributes } from '../temporal/search-attributes.js';
import { commandEnvironment, withTemporal } from './context.js';
import { parseDuration } from './duration.js';
import { parseTypes } from './types-option.js';

export interface StartOptions {
  readonly lag: number;
  readonly maxLag: number;
  readonly backfill: boolean;
  readonly types?: string[];
  readonly hydrate: AccountSettings['hydrate'];
  readonly pollInterval: number;
  readonly fresh?: boolean;
}

export function startCommand(): Command {
  const { lag, poll } = DEFAULT_SETTINGS;
  return new Command('start')
    .description("starts the account's workflow")
    .argument(
      '<alias>',
      'what the account is called here; its key is STRIPE_API_KEY_<ALIAS> or STRIPE_API_KEY',
    )
    .option(
      '--lag <duration>',
      "how far the cursor stays behind Stripe's clock, at least",
      parseDuration,
      lag.floorSeconds,
    )
    .option('--max-lag <duration>', 'how far the lag may widen', parseDuration, lag.maxSeconds)
    .option('--no-backfill', 'take only what changes from now on')
    .option('--types <names>', 'backfill only these: object or table names, separated by commas', parseTypes)
    .addOption(
      new Option('--hydrate <mode>', 'where state comes from: event payloads, reads, or whichever is right')
        .choices(['auto', 'fetch', 'payload'])
        .default('auto'),
    )
    .option('--poll-interval <duration>', 'time between two passes', parseDuration, poll.everySeconds)
    .option('--fresh', 'begin at the present, whatever an earlier run left')
    .action(async (alias: string, options: StartOptions) => {
      const account = validateAlias(alias);
      const env = commandEnvironment();
      await withTemporal(env, async (client) => {
        await startAccount(client, loadConfig(env, { sandbox: true }).taskQueue, account, options);
      });
      process.stdout.write(`${account} runs. See how far it is: stripe-sync status ${account}\n`);
    });
}

/** Checks the account on a worker, then starts its workflow. */
export async function startAccount(
  client: Client,
  taskQueue: string,
  account: string,
  options: Partial<StartOptions>,
): Promise<void> {
  await assertNotRunning(client, account);
  await runPreflight(client, taskQueue, account);
  const searchAttributes = await hasSearchAttributes(client);
  const input: AccountInput = {
    account,
    settings: settingsOf(options, searchAttributes),
    fresh: options.fresh ?? false,
  };
  try {
    await client.workflow.start('account', {
      workflowId: accountWorkflowId(account),
      taskQueue,
      args: [input],
      staticSummary: `Stripe account ${account} to PostgreSQL`,
      ...findableBy(searchAttributes, account),
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) throw runsAlready(account);
    throw error;
  }
}

function settingsOf(options: Partial<StartOptions>, searchAttributes: boolean): AccountSettings {
  const { lag, backfill, poll } = DEFAULT_SETTINGS;
  const floorSeconds = Math.ceil(options.lag ?? lag.floorSeconds);
  return {
    ...DEFAULT_SETTINGS,
    lag: { floorSeconds, maxSeconds: Math.max(floorSeconds, Math.ceil(options.maxLag ?? lag.maxSeconds)) },
    hydrate: options.hydrate ?? 'auto',
    poll: { ...poll, everySeconds: Math.max(0.1, options.pollInterval ?? poll.everySeconds) },
    backfill: { ...backfill, enabled: options.backfill ?? true, types: options.types ?? null },
    searchAttributes,
  };
}

export async function isRunning(client: Client, account: string): Promise<boolean> {
  try {
    const { status } = await client.workflow.getHandle(accountWorkflowId(account)).describe();
    return status.name === 'RUNNING';
  } catch {
    return false;
  }
}

async function assertNotRunning(client: Client, account: string): Promise<void> {
  if (await isRunning(client, account)) throw runsAlready(account);
}

function runsAlready(account: string): UserError {
  return new UserError(
    `${account} runs already. See it with: stripe-sync status ${account}; end it with: stripe-sync stop ${account}`,
  );
}

const PREFLIGHT_TIMEOUT = '25 seconds';

/** The key is the worker's, so a worker checks it. Nothing is started where it is missing or refused. */
async function runPreflight(client: Client, taskQueue: string, account: string): Promise<void> {
  if (!(await hasWorker(client, taskQueue))) {
    throw new UserError(
      `No worker polls the task queue ${taskQueue}, so nothing would run. Start one with: stripe-sync worker`,
    );
  }
  try {
    await client.workflow.execute('preflight', {
      workflowId: `${account}/preflight`,
      taskQueue,
      args: [account],
      workflowExecutionTimeout: PREFLIGHT_TIMEOUT,
      workflowIdConflictPolicy: 'TERMINATE_EXISTING',
      staticSummary: `Can ${account} be started?`,
    });
  } catch (error) {
    throw new UserError(`${account} is not started: ${preflightReason(error)}`);
  }
}

function preflightReason(error: unknown): string {
  if (!(error instanceof WorkflowFailedError)) return error instanceof Error ? error.message : String(error);
  const { cause } = error;
  if (cause instanceof ActivityFailure && cause.cause instanceof ApplicationFailure)
    return cause.cause.message;
  return 'no worker checked it in time. Look at the log of the worker.';
}

async function hasWorker(client: Client, taskQueue: string): Promise<boolean> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: 1,
  });
  const recently = Date.now() / 1000 - 90;
  return (pollers ?? []).some((poller) => Number(poller.lastAccessTime?.seconds ?? 0) > recently);
}
