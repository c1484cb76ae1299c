import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { Command } from 'commander';
import { type AccountStatus, resyncSignal } from '../../workflows/messages.js';
import { validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import { accountWorkflowId } from '../domain/ids.js';
import { queryStatus } from './account-report.js';
import { commandEnvironment, withTemporal } from './context.js';
import { orNotRunning } from './signals.js';
import { parseTypes } from './types-option.js';

export function resyncCommand(): Command {
  return new Command('resync')
    .description('backfills again while events keep flowing')
    .argument('<alias>', 'the account')
    .option('--types <names>', 'only these: object or table names, separated by commas', parseTypes)
    .option('--wait', 'until it is done, with progress')
    .action(async (alias: string, options: { types?: string[]; wait?: boolean }) => {
      const account = validateAlias(alias);
      await withTemporal(commandEnvironment(), async (client) => {
        const before = options.wait ? await queryStatus(client, account) : null;
        const handle = client.workflow.getHandle(accountWorkflowId(account));
        const request = options.types === undefined ? {} : { types: options.types };
        await orNotRunning(account, () => handle.signal(resyncSignal, request));
        process.stdout.write(`${account} lists ${options.types?.join(', ') ?? 'all types'} again.\n`);
        // A backfill that runs already ends before the one that was asked for begins.
        if (options.wait) await waitForBackfill(client, account, (before?.backfill?.number ?? 0) + 1);
      });
    });
}

type Backfill = NonNullable<AccountStatus['backfill']>;

const LOOK_EVERY_MS = 1_000;
/** Progress in lines comes at this rhythm at most. */
const LINE_EVERY_MS = 5_000;

/** Shows the progress of a backfill until it ends. Throws a `UserError` where it fails. */
export async function waitForBackfill(client: Client, account: string, number: number): Promise<void> {
  const { stdout } = process;
  let told = 0;
  for (;;) {
    const status = await queryStatus(client, account);
    if (status === null) throw new UserError(`${account} was stopped before its backfill ended.`);
    const { backfill } = status;
    if (backfill !== null && backfill.number >= number) {
      const ended = backfill.state !== 'running';
      if (stdout.isTTY) stdout.write(`\r\x1b[K${progressLine(backfill)}${ended ? '\n' : ''}`);
      else if (ended || Date.now() - told >= LINE_EVERY_MS) {
        stdout.write(`${progressLine(backfill)}\n`);
        told = Date.now();
      }
      if (backfill.state === 'failed') {
        throw new UserError(
          `The backfill of ${account} failed. See why in the Temporal UI: ${account}/backfill/${backfill.number}`,
        );
      }
      if (ended) return;
    }
    await sleep(LOOK_EVERY_MS);
  }
}

const BAR_WIDTH = 20;

function progressLine({ types, state }: Backfill): string {
  const done = types.filter((type) => type.done).length;
  const rows = types.reduce((sum, type) => sum + type.rows, 0);
  const filled = types.length === 0 ? 0 : Math.round((BAR_WIDTH * done) / types.length);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
  const listing = types
    .filter((type) => !type.done && type.rows > 0)
    .map((type) => `${type.object} ${type.rows}`);
  return `backfill ${bar} ${done} of ${types.length} types, ${rows} rows, ${state}${listing.length > 0 ? ` (${listing.slice(0, 3).join(', ')})` : ''}`;
}
