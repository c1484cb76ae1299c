import { freeClaims } from '../src/postgres/free-claims.js';
import { type Fence, takeFence } from '../src/postgres/take-fence.js';
import type { RunningActivity } from './activity-context.js';
import type { ActivityDeps } from './deps.js';

export interface FetchBeginning extends Omit<Fence, 'fetchId'> {
  /** Frees claims that are older than so many seconds and not settled; null frees none. */
  readonly freeOlderThanSeconds: number | null;
}

/**
 * Makes this attempt the only one that may claim events of the account, and frees what others claimed and lost.
 *
 * @returns the fence that it took
 */
export async function beginFetch(
  deps: ActivityDeps,
  { id, attempt }: RunningActivity,
  { freeOlderThanSeconds, ...input }: FetchBeginning,
): Promise<string> {
  const fence = `${id}#${attempt}`;
  await takeFence(deps.pool, { ...input, fetchId: fence });
  // What a lost attempt claimed, it can no longer hand on.
  const olderThan = attempt > 1 ? 0 : freeOlderThanSeconds;
  if (olderThan !== null) await freeClaims(deps.pool, input.account, olderThan);
  return fence;
}
