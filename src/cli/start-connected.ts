/** `start PLATFORM --all-connected`: all accounts that are connected to a platform, now and from now on. */
import { type Client, WorkflowFailedError } from '@temporalio/client';
import type { FollowInput, FollowResult } from '../../activities/follow-connected.js';
import { findableBy } from '../../workflows/search-attributes.js';
import { UserError } from '../domain/failures.js';
import { connectedWorkflowId } from '../domain/ids.js';
import { FOLLOW_SECONDS, followWith } from '../temporal/follow-schedule.js';
import { hasSearchAttributes } from '../temporal/search-attributes.js';
import { span } from './duration.js';
import { orSay } from './schedule-failure.js';
import { assertWorker, type StartOptions, termsOf, workersReason } from './start-account.js';

export interface ConnectedOptions extends StartOptions {
  /** Between two looks for newly connected accounts, in seconds. */
  readonly followInterval?: number;
}

/**
 * Starts an account for each connected one that no alias runs, and follows those that come.
 *
 * @returns what became of it, in lines
 * @throws UserError where no worker runs, or the accounts cannot be listed; nothing is followed then
 */
export async function startConnected(
  client: Client,
  taskQueue: string,
  platform: string,
  options: ConnectedOptions,
): Promise<FollowResult & { readonly said: readonly string[] }> {
  await assertWorker(client, taskQueue);
  const terms = termsOf(options, taskQueue, await hasSearchAttributes(client));
  const result = await startAll(client, { platform, asked: true, terms }, taskQueue);
  const every = Math.round(options.followInterval ?? FOLLOW_SECONDS);
  const followed = await orSay(platform, 'accounts that are connected later are not followed', async () => {
    await followWith(client, platform, terms, every);
    return true;
  });
  const { connected, started, running } = result;
  return {
    ...result,
    said: [
      `${platform} has ${countOf(connected, 'connected account')}: ${started} started, ${running} ran already.`,
      ...result.stopped.map(
        (alias) => `${alias} was stopped by hand and stays so. Start it with: stripe-sync start ${alias}`,
      ),
      ...(followed
        ? [`New ones are looked for every ${span(every)}. See them all: stripe-sync list`]
        : ['See them all: stripe-sync list']),
    ],
  };
}

async function startAll(client: Client, input: FollowInput, taskQueue: string): Promise<FollowResult> {
  const { platform } = input;
  try {
    return await client.workflow.execute<(input: FollowInput) => Promise<FollowResult>>('connected', {
      workflowId: connectedWorkflowId(platform),
      taskQueue,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `All accounts that are connected to ${platform}`,
      ...findableBy(await hasSearchAttributes(client), platform),
    });
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const otherwise = `See why in the Temporal UI: the workflow ${connectedWorkflowId(platform)}.`;
    throw new UserError(
      `The accounts connected to ${platform} are not followed. ${workersReason(error.cause) ?? otherwise}`,
    );
  }
}

export function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
