/** Lists what lies behind an account's cursor again. It outlives the account's run, however long it takes. */
import { getExternalWorkflowHandle, isCancellation, log } from '@temporalio/workflow';
import type { RescanInput } from '../activities/rescan-events.js';
import type { RescanReport } from '../src/domain/account-state.js';
import { accountWorkflowId } from '../src/domain/ids.js';
import { rescanReportSignal } from './messages.js';
import { rescanEvents } from './proxies.js';

export async function rescan(input: RescanInput): Promise<RescanReport> {
  const { account, from, to, deep = false } = input;
  const summary = `list ${to - from} s behind the cursor again`;
  const report = await rescanEvents.executeWithOptions({ summary }, [input]);
  try {
    await getExternalWorkflowHandle(accountWorkflowId(account)).signal(rescanReportSignal, {
      window: { from, to, deep },
      report,
    });
  } catch (error) {
    if (isCancellation(error)) throw error;
    log.info('the account no longer runs; what was found is in its inbox');
  }
  return report;
}
