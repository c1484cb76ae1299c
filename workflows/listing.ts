/** One type of a backfill that is more than a moment's work. */
import { continueAsNew, type RetryPolicy, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { ListTypeInput, ListTypeResult } from '../activities/list-type.js';
import { listingDetails } from './details.js';
import { listType } from './proxies.js';

export interface ListingInput {
  readonly slice: Omit<ListTypeInput, 'seconds'>;
  /** How long one activity lists before it reports. */
  readonly seconds: number;
  /** Attempts of one activity without any progress, after which the type is given up. */
  readonly attempts: number;
}

export async function listing(input: ListingInput): Promise<ListTypeResult> {
  const { slice, seconds, attempts } = input;
  for (;;) {
    const listed = await listType.executeWithOptions(
      { summary: `list ${slice.object}`, retry: listRetry(attempts) },
      [{ ...slice, seconds }],
    );
    setCurrentDetails(listingDetails(slice, listed));
    if (listed.done) return listed;
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof listing>(input);
  }
}

/**
 * With 60 attempts a quarter of an hour without any progress. The pauses stay short, because workers that come and go
 * are attempts as well, and whoever starts one waits for its backfill to go on.
 */
export function listRetry(attempts: number): RetryPolicy {
  return { initialInterval: '1 second', maximumInterval: '15 seconds', maximumAttempts: attempts };
}
