/** Following a backfill to its end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import type { Pool } from 'pg';
import type { AccountStatus, BackfillReport, ResyncRequest } from '../../workflows/messages.js';
import type { BackfillProgress } from '../domain/account-state.js';
import { UserError } from '../domain/failures.js';
import { backfillWorkflowId } from '../domain/ids.js';
import { queryStatus } from './account-report.js';
import { answers, readAskedBackfill } from './asked-backfill.js';
import { backfillName, backfillTotals } from './backfill-bars.js';
import { type BackfillFigures, createBackfillView, PROGRESS_EVERY_MS } from './backfill-view.js';
import { createLiveLine, type LiveLine } from './live-line.js';

const LOOK_EVERY_MS = 1_000;

export interface FollowOptions {
  /** The first backfill that can be the one, as the account counts them. */
  readonly number: number;
  /** What was asked for: the first backfill that lists all of it is followed. Null: the first one is. */
  readonly request: ResyncRequest | null;
  /** Knows how far each type is; null: only what the workflow says is shown. */
  readonly pool: Pool | null;
  /** Ends the watching. */
  readonly left: AbortSignal;
}

/**
 * Shows the progress of a backfill until it ends or `left` aborts.
 *
 * @returns false where no such backfill is to come, or `left` aborted
 * @throws UserError where it fails, or its account is stopped
 */
export async function followBackfill(
  client: Client,
  account: string,
  options: FollowOptions,
): Promise<boolean> {
  const { request, pool, left } = options;
  const line = createLiveLine();
  const view = createBackfillView(pool, account, line);
  const ask = patiently(client, account, line);
  let { number } = options;
  let isFound = request === null;
  let told = false;
  let reason = 'asked for';
  try {
    for (; ; await sleep(LOOK_EVERY_MS, undefined, { signal: left })) {
      const status = await ask();
      if (status === undefined) continue;
      if (status === null) throw new UserError(`${account} was stopped before its backfill ended.`);
      const { backfill } = status;
      if ((backfill?.number ?? 0) < options.number - 1) {
        throw new UserError(`${account} was stopped before its backfill ended; it was started again since.`);
      }
      while (!isFound && backfill !== null && number <= backfill.number) {
        const asked = await readAskedBackfill(client, account, number);
        if (asked === null && number === backfill.number) break;
        isFound = asked !== null && answers(asked, request ?? {});
        if (!isFound) number += 1;
      }
      if (isFound && backfill !== null && number <= backfill.number) {
        // The next one may have begun between two looks.
        if (number === backfill.number) ({ reason } = backfill);
        const seen =
          number === backfill.number ? backfill : await resultOf(client, account, { number, reason });
        const figures = await view.show(seen);
        if (seen.state === 'failed') throw new UserError(failedText(account, figures));
        if (seen.state === 'done') return true;
      } else if (request === null && isOpened(status)) {
        return false;
      } else if (status.state === 'paused') {
        if (!told) line.say(`${account} is paused; the backfill begins after: stripe-sync resume ${account}`);
        told = true;
      } else if (backfill?.state === 'running') {
        line.show(
          `${backfillName(backfill)} comes first: ${backfillTotals(backfill.types)}`,
          PROGRESS_EVERY_MS,
        );
      }
    }
  } catch (error) {
    if (left.aborted) return false;
    throw error;
  } finally {
    line.clear();
  }
}

/** Asks for the status. Undefined where nobody answers and somebody did before: a worker may be restarted. */
function patiently(client: Client, account: string, line: LiveLine) {
  let answered = false;
  let alone = false;
  return async (): Promise<AccountStatus | null | undefined> => {
    try {
      const status = await queryStatus(client, account);
      answered = true;
      alone = false;
      return status;
    } catch (error) {
      if (!answered || !(error instanceof UserError)) throw error;
      if (!alone) line.say(`${error.message} The backfill is watched on once one answers.`);
      alone = true;
      return undefined;
    }
  };
}

/** An account begins its first backfill in the moment in which it is opened, or not at all. */
function isOpened({ anchor, cursor }: AccountStatus): boolean {
  return anchor > 0 || cursor !== null;
}

/** How a backfill ended of which its account no longer tells. */
async function resultOf(
  client: Client,
  account: string,
  backfill: Pick<BackfillProgress, 'number' | 'reason'>,
): Promise<BackfillProgress> {
  try {
    const result: BackfillReport = await client.workflow
      .getHandle(backfillWorkflowId(account, backfill.number))
      .result();
    return { ...backfill, types: result.types, state: result.state ?? 'done' };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    return { ...backfill, types: [], state: 'failed' };
  }
}

const MOST_NAMED = 3;

function failedText(account: string, { number, types, listings }: BackfillFigures): string {
  const failed = listings.filter((listing) => listing.state === 'failed');
  // Without PostgreSQL nobody tells what failed from what is left out.
  const why =
    failed.length > 0
      ? failed.map(({ object, reason }) => ({ object, reason: reason ?? 'it failed' }))
      : types.flatMap(({ object, skipped }) => (skipped === undefined ? [] : [{ object, reason: skipped }]));
  const unfinished = types.filter((type) => !type.done).map((type) => type.object);
  const named = why
    .slice(0, MOST_NAMED)
    .map(({ object, reason }) => `${object} (${reason.replace(/\.$/, '')})`);
  const more = why.length > MOST_NAMED ? ` and ${why.length - MOST_NAMED} more` : '';
  const objects = [...why.map(({ object }) => object), ...unfinished];
  const again = objects.length === 0 || objects.length > MOST_NAMED ? '' : ` --types ${objects.join(',')}`;
  return [
    `Backfill ${number} of ${account} failed.`,
    ...(named.length === 0 ? [] : [`Not listed to the end: ${named.join(', ')}${more}.`]),
    ...(unfinished.length === 0
      ? []
      : [`It was ended before ${unfinished.slice(0, MOST_NAMED).join(', ')} was listed.`]),
    'The rows that are there stay.',
    `See more in the Temporal UI (${backfillWorkflowId(account, number)}), then list again: stripe-sync resync ${account}${again}`,
  ].join(' ');
}
