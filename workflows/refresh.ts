/** Asks an account to list again what changes without an event. Started by a schedule. */
import { getExternalWorkflowHandle, isCancellation, log } from '@temporalio/workflow';
import type { RefreshInput } from '../activities/plan-refresh.js';
import { accountWorkflowId } from '../src/domain/ids.js';
import { resyncSignal } from './messages.js';
import { planRefresh } from './proxies.js';

export interface RefreshResult {
  /** What became of it, in words. */
  readonly outcome: 'asked for' | 'nothing to list' | 'the account does not run';
  /** How many types are listed again, and how many of them in part. */
  readonly types: number;
  readonly inPart: number;
}

export async function refresh(input: RefreshInput): Promise<RefreshResult> {
  const { account } = input;
  const { types, sinceOf } = await planRefresh.executeWithOptions(
    { summary: `what of ${account} changes without an event` },
    [input],
  );
  const result = { types: types.length, inPart: Object.keys(sinceOf).length };
  if (types.length === 0) return { outcome: 'nothing to list', ...result };
  try {
    const request = { types, sinceOf, reason: 'refresh' };
    await getExternalWorkflowHandle(accountWorkflowId(account)).signal(resyncSignal, request);
  } catch (error) {
    if (isCancellation(error)) throw error;
    log.info('the account does not run, so nothing is refreshed', { account });
    return { outcome: 'the account does not run', ...result };
  }
  return { outcome: 'asked for', ...result };
}
