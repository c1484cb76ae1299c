/** `stop PLATFORM --all-connected`: ends the following, and all accounts that came with it. */
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import pLimit from 'p-limit';
import type { Pool } from 'pg';
import { UserError } from '../domain/failures.js';
import { connectedWorkflowId } from '../domain/ids.js';
import { forgetFollowed, readFollowed } from '../postgres/followed-accounts.js';
import { followNoMore } from '../temporal/follow-schedule.js';
import { isRunning } from '../temporal/launch-account.js';
import { countOf } from './start-connected.js';
import { endAccount, endingText } from './stop.js';

/** A stop waits for what is under way, so they do not wait for each other. */
const STOPS_AT_ONCE = 16;
/** Until a look that is under way has ended: what it was starting is known then. */
const LOOK_TIMEOUT_MS = 40_000;

/**
 * @returns what became of it, in lines
 * @throws UserError where the platform has no accounts that are followed
 */
export async function stopConnected(client: Client, pool: Pool, platform: string): Promise<string[]> {
  const wasFollowing = await followNoMore(client, platform);
  await endLooks(client, platform);
  const aliases = await readFollowed(pool, platform);
  if (!wasFollowing && aliases.length === 0) {
    throw new UserError(
      `${platform} follows no connected accounts. Start that with: stripe-sync start ${platform} --all-connected`,
    );
  }
  const limit = pLimit(STOPS_AT_ONCE);
  const endings = await Promise.all(
    aliases.map((alias) =>
      limit(async () =>
        (await isRunning(client, alias)) ? { alias, ...(await endAccount(client, alias)) } : null,
      ),
    ),
  );
  // Whoever starts them all again means all of them: which ones were stopped by hand before is history.
  await forgetFollowed(pool, platform);
  const ended = endings.filter((ending) => ending !== null);
  const stopped = ended.filter(({ ending }) => ending === 'stopped').length;
  return [
    ...ended
      .filter(({ ending }) => ending !== 'stopped')
      .map(({ alias, ending, taskQueue }) => endingText(alias, ending, taskQueue)),
    `${platform} follows no connected accounts any more, and ${countOf(stopped, 'account')} of it ` +
      `${stopped === 1 ? 'is' : 'are'} stopped. Start them all again with: stripe-sync start ${platform} --all-connected`,
  ];
}

async function endLooks(client: Client, platform: string): Promise<void> {
  const id = connectedWorkflowId(platform);
  const ids = new Set([id]);
  const query = "WorkflowType = 'connected' AND ExecutionStatus = 'Running'";
  for await (const { workflowId } of client.workflow.list({ query })) {
    // The schedule's have the time behind it.
    if (workflowId.startsWith(`${id}-`)) ids.add(workflowId);
  }
  await Promise.all([...ids].map((each) => endLook(client, each)));
}

async function endLook(client: Client, workflowId: string): Promise<void> {
  const handle = client.workflow.getHandle(workflowId);
  try {
    await handle.cancel();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return;
    throw error;
  }
  // However it ends, and where no worker ends it: the accounts that it has started are stopped below.
  await client.connection
    .withDeadline(Date.now() + LOOK_TIMEOUT_MS, () => handle.result())
    .catch(() => undefined);
}
