/** The account of the sandbox: what it is called, and where it goes on. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import pg from 'pg';
import type { AccountStatus } from '../../workflows/messages.js';
import { accountWorkflowId } from '../domain/ids.js';
import { readAccount } from '../postgres/account-row.js';
import { completeSchedules } from '../temporal/schedules.js';
import { hasSearchAttributes } from '../temporal/search-attributes.js';
import { queryStatus } from './account-report.js';
import type { Session } from './dev-session.js';
import { orSay } from './schedule-failure.js';
import { scheduleSettings } from './schedule-options.js';
import { NOT_SCHEDULED, startAccount } from './start-account.js';

/**
 * `demo` on the simulator. Somebody's own Stripe account gets another name, so that its rows do not mix with
 * those of the simulator: that of the variable which holds its key (STRIPE_API_KEY_SHOP is `shop`), or `main`.
 */
export function sandboxAlias({ simulator, env }: Session['sandbox']): string {
  if (simulator !== null) return 'demo';
  if (env.STRIPE_API_KEY?.trim()) return 'main';
  const own = Object.keys(env)
    .filter((name) => name.startsWith('STRIPE_API_KEY_') && env[name]?.trim())
    .sort()[0];
  return own?.slice('STRIPE_API_KEY_'.length).toLowerCase() ?? 'main';
}

/**
 * Starts the account, or lets it go on. A workflow that wrote to another database (DATABASE_URL was set, or
 * taken away, since the last start) is ended: what happened meanwhile is not in this one, so the account begins
 * again from the copy of its cursor that is here, or anew.
 *
 * @param directory remembers which database it was
 * @returns whether the workflow of an earlier start goes on
 */
export async function resumeOrStart(session: Session, account: string, directory: string): Promise<boolean> {
  const { client, pool, taskQueue, sandbox } = session;
  const database = databaseIdentity(sandbox);
  const memory = join(directory, 'database');
  const isSame = existsSync(memory) && readFileSync(memory, 'utf8') === database;
  const status = await statusAfterAWhile(client, account);
  if (status !== null) {
    if (isSame && (await readAccount(pool, account)) !== null) {
      await completeAccount(session, account, status);
      return true;
    }
    await client.workflow
      .getHandle(accountWorkflowId(account))
      .terminate('The sandbox writes to another database now');
  }
  await startAccount(client, taskQueue, account, {});
  writeFileSync(memory, database);
  return false;
}

/** An account that an older version started has no schedules. */
async function completeAccount(
  { client, taskQueue }: Session,
  account: string,
  { state }: AccountStatus,
): Promise<void> {
  const searchAttributes = await hasSearchAttributes(client);
  await orSay(account, NOT_SCHEDULED, () =>
    completeSchedules(client, {
      account,
      taskQueue,
      types: null,
      settings: scheduleSettings({}, true),
      searchAttributes,
      paused: state === 'paused',
    }),
  );
}

/** Tells databases apart, and holds no password. */
function databaseIdentity({ brought, env }: Session['sandbox']): string {
  if (brought.DATABASE_URL !== undefined) return 'embedded';
  const { host, port, database } = new pg.Client(env.DATABASE_URL);
  return createHash('sha256')
    .update(JSON.stringify([host, port, database]))
    .digest('hex');
}

const ATTEMPTS = 4;

/** After a kill, the server waits some seconds for the old worker before it turns to the new one. */
async function statusAfterAWhile(client: Client, account: string): Promise<AccountStatus | null> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await queryStatus(client, account);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await sleep(1_000);
    }
  }
}
