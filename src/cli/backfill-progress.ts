import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { Pool } from 'pg';
import type { AccountStatus } from '../../workflows/messages.js';
import { UserError } from '../domain/failures.js';
import { queryStatus } from './account-report.js';
import { bar, count, createBars, endedLine, mergedTypes } from './backfill-bars.js';
import { listingProgress } from './listing-progress.js';
import { createLiveLine, type LiveLine } from './live-line.js';

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
  options: { readonly asked: boolean; readonly left?: AbortSignal; readonly pool?: Pool | null },
): Promise<boolean> {
  const line = createLiveLine();
  const view = createBackfillView(options.pool ?? null, account);
  let told = false;
  try {
    for (;;) {
      const status = await queryStatus(client, account);
      if (status === null) throw new UserError(`${account} was stopped before its backfill ended.`);
      const { backfill } = status;
      if (backfill !== null && backfill.number >= number) {
        await view.show(backfill, line);
        if (backfill.state === 'failed') throw new UserError(failedText(account, backfill));
        if (backfill.state === 'done') {
          line.say(progressLine(backfill));
          return true;
        }
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
  const left = types.filter((type) => !type.done || type.skipped !== undefined).map((type) => type.object);
  const what =
    left.length === 0 ? '' : ` It did not finish ${left.slice(0, 3).join(', ')}; what is there stays.`;
  return (
    `The backfill of ${account} failed.${what} See why in the Temporal UI (${account}/backfill/${number}), ` +
    `then list again: stripe-sync resync ${account}`
  );
}

export interface BackfillView {
  /** Shows how far it is: types that ended on lines that stay, those under way each with a bar below the line in all. */
  show(backfill: Backfill, line: LiveLine): Promise<void>;
}

/** @param pool knows how far each type is; null: only what the workflow says is shown */
export function createBackfillView(pool: Pool | null, account: string): BackfillView {
  const ended = new Set<string>();
  const bars = createBars();
  return {
    async show(backfill, line) {
      // The view is no reason to fail.
      const listings =
        pool === null ? [] : await listingProgress(pool, account, backfill.number).catch(() => []);
      for (const listing of listings) {
        const key = `${backfill.number}/${listing.object}`;
        if (listing.endedAt === null || ended.has(key)) continue;
        ended.add(key);
        const text = endedLine(listing);
        if (text !== null) line.say(text);
      }
      const lines = bars.lines(listings);
      if (backfill.state !== 'running') return;
      const types = mergedTypes(backfill.types, listings);
      const speed = Math.round(bars.rowsPerSecond());
      const total = `${progressLine({ ...backfill, types })}${speed > 0 ? `, ${count(speed)} rows/s` : ''}`;
      line.show(total, PROGRESS_EVERY_MS, (room) => lines.slice(0, room));
    },
  };
}

export function progressLine({ types, state }: Pick<Backfill, 'types' | 'state'>): string {
  if (types.length === 0) return 'Backfill begins';
  const done = types.filter((type) => type.done).length;
  return `Backfill ${bar(done / types.length)} ${state === 'running' ? '' : `${state}, `}${backfillTotals(types)}`;
}

export function backfillTotals(types: Backfill['types']): string {
  const done = types.filter((type) => type.done).length;
  const rows = types.reduce((sum, type) => sum + type.rows, 0);
  return `${done} of ${types.length} types, ${count(rows)} rows`;
}
