/** How an account's workflow is started, by whomever: a person at the command line, or a worker that follows a platform. */
import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import type { AccountLauncher, ActivityLog } from '../../activities/index.js';
import type { AccountInput } from '../../workflows/account.js';
import { findableBy } from '../../workflows/search-attributes.js';
import type { AccountSettings } from '../../workflows/settings.js';
import { accountWorkflowId } from '../domain/ids.js';
import type { ScheduleSettings } from './schedule-plans.js';
import { ensureSchedules } from './schedules.js';

/** What an account is started with. Travels in the schedule of whoever follows: fields are added, never renamed. */
export interface AccountTerms {
  readonly taskQueue: string;
  readonly settings: AccountSettings;
  readonly schedules: ScheduleSettings;
  /** Begin at Stripe's present, whatever an earlier run left. */
  readonly fresh: boolean;
}

export async function isRunning(client: Client, account: string): Promise<boolean> {
  try {
    const { status } = await client.workflow.getHandle(accountWorkflowId(account)).describe();
    return status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** @returns false where it runs already */
export async function launchAccount(client: Client, account: string, terms: AccountTerms): Promise<boolean> {
  const { taskQueue, settings, fresh } = terms;
  const input: AccountInput = { account, settings, fresh };
  try {
    await client.workflow.start('account', {
      workflowId: accountWorkflowId(account),
      taskQueue,
      args: [input],
      staticSummary: `Stripe account ${account} to PostgreSQL`,
      // Activities and children inherit it: where tasks pile up, each account gets its share of the workers.
      priority: { fairnessKey: account },
      ...findableBy(settings.searchAttributes, account),
    });
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

/** Sets what comes at set times for an account. Throws what Temporal answers where it does not let us. */
export function scheduleAccount(client: Client, account: string, terms: AccountTerms): Promise<void> {
  const { taskQueue, settings, schedules } = terms;
  return ensureSchedules(client, {
    account,
    taskQueue,
    types: settings.backfill.types,
    settings: schedules,
    searchAttributes: settings.searchAttributes,
  });
}

/** For a worker. Where the schedules of an account are refused, that is logged, and the account runs without them. */
export function createAccountLauncher(client: Client, log: ActivityLog): AccountLauncher {
  return {
    isRunning: (account) => isRunning(client, account),
    async launch(account, given) {
      const terms = given as AccountTerms;
      const started = await launchAccount(client, account, terms);
      try {
        await scheduleAccount(client, account, terms);
      } catch (error) {
        const why = error instanceof Error ? error.name : typeof error;
        log.warn({ account, error: why }, 'the account runs, but not all of its schedules are set');
      }
      return started;
    },
  };
}
