/** Looks once for accounts that were connected to a platform, and starts them. Started by hand and by a schedule. */
import type { FollowInput, FollowResult } from '../activities/follow-connected.js';
import { followConnected } from './proxies.js';

/**
 * The accounts are no children of this: whoever starts one, by hand or not, makes the same workflow with the same
 * schedules, and a run of this that ends, or is ended, is nothing to them.
 */
export function connected(input: FollowInput): Promise<FollowResult> {
  return followConnected.executeWithOptions({ summary: `accounts that are connected to ${input.platform}` }, [
    input,
  ]);
}
