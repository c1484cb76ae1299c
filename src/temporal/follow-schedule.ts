/** The schedule by which newly connected accounts of a platform are found. */
import type { Client } from '@temporalio/client';
import { connectedWorkflowId } from '../domain/ids.js';
import type { AccountTerms } from './launch-account.js';
import { putSchedule, unlessMissing } from './schedules.js';

/** What comes with one list request for each hundred accounts, and is soon enough for one that was made today. */
export const FOLLOW_SECONDS = 600;

/** Sets the schedule, or changes it. Throws what Temporal answers where it does not let us. */
export function followWith(
  client: Client,
  platform: string,
  terms: AccountTerms,
  everySeconds: number,
): Promise<void> {
  return putSchedule(client, {
    scheduleId: connectedWorkflowId(platform),
    everySeconds,
    workflowType: 'connected',
    taskQueue: terms.taskQueue,
    // An account that is new has nothing that would have to be left behind.
    input: { platform, asked: false, terms: { ...terms, fresh: false } },
    summary: `Accounts that are newly connected to ${platform}`,
    searchAttributes: terms.settings.searchAttributes,
    account: platform,
    paused: false,
  });
}

/** @returns whether there was one */
export async function followNoMore(client: Client, platform: string): Promise<boolean> {
  const handle = client.schedule.getHandle(connectedWorkflowId(platform));
  return (await unlessMissing(() => handle.delete().then(() => true))) ?? false;
}

/** Whether a platform's accounts are followed. */
export async function isFollowing(client: Client, platform: string): Promise<boolean> {
  const handle = client.schedule.getHandle(connectedWorkflowId(platform));
  return (await unlessMissing(() => handle.describe())) !== null;
}
