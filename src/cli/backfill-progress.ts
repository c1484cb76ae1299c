import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { AccountStatus } from '../../workflows/messages.js';
import { UserError } from '../domain/failures.js';
import { queryStatus } from './account-report.js';
import { createLiveLine } from './live-line.js';

export type Backfill = NonNullable<AccountStatus['backfill']>;

const LOOK_EVERY_MS = 1_000;
/** Without a terminal, progress comes at this rhythm at most. */
export const PROGRESS_EVERY_MS = 5_000;

/**
 * Shows the progress of the backfill `number`, or of a later one, until it ends or `left` aborts.
 *
 * @returns false where no such backfill is to come, or `left` aborted
 * @throws UserError where it fails, or its account is stopped
 */
export async function followBackfill(
  client: Client,
  account: string,
  number: number,
  options: { readonly asked: boolean; readonly left?: AbortSignal },
): Promise<boolean> {
  const line = createLiveLine();
  let told = false;
  try {
    for (;;) {
      const status = await queryStatus(client, account);
      if (status === null) throw new UserError(`${account} was stopped before its backfill ended.`);
      const { backfill } = status;
      if (backfill !== null && backfill.number >= number) {
        if (backfill.state === 'failed') throw new UserError(failedText(account, backfill));
        if (backfill.state === 'done') {
          line.say(progressLine(backfill));
          return true;
        }
        line.show(progressLine(backfill), PROGRESS_EVERY_MS);
      } else if (!options.asked && isOpened(status)) {
        return false;
      } else if (status.state === 'paused' && !told) {
        line.say(`${account} is paused; the backfill begins after: stripe-sync resume ${account}`);
        told = true;
      }
      await sleep(LOOK_EVERY_MS, undefined, options.left === undefined ? {} : { signal: options.left });
    }
  } catch (error) {
    if (options.left?.aborted) return false;
    throw error;
  } finally {
    line.clear();
  }
}

/** An account begins its first backfill in the moment in which it is opened, or not at all. */
function isOpened({ anchor, cursor }: AccountStatus): boolean {
  return anchor > 0 || cursor !== null;
}

function failedText(account: string, { number, types }: Backfill): string {
  const left = types.filter((type) => !type.done).map((type) => type.object);
  const what = left.length === 0 ? '' : ` It did not finish ${left.slice(0, 3).join(', ')}.`;
  return (
    `The backfill of ${account} failed.${what} See why in the Temporal UI (${account}/backfill/${number}), ` +
    `then list again: stripe-sync resync ${account}`
  );
}

const BAR_WIDTH = 20;

export function progressLine({ types, state }: Backfill): string {
  if (types.length === 0) return 'Backfill begins';
  const done = types.filter((type) => type.done).length;
  const filled = Math.floor((BAR_WIDTH * done) / types.length);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
  const listing = types
    .filter((type) => !type.done && type.rows > 0)
    .map((type) => `${type.object} ${type.rows}`);
  const now = state === 'running' && listing.length > 0 ? `: ${listing.slice(0, 3).join(', ')}` : '';
  return `Backfill ${bar} ${state === 'running' ? '' : `${state}, `}${backfillTotals(types)}${now}`;
}

export function backfillTotals(types: Backfill['types']): string {
  const done = types.filter((type) => type.done).length;
  const rows = types.reduce((sum, type) => sum + type.rows, 0);
  return `${done} of ${types.length} types, ${rows} rows`;
}
