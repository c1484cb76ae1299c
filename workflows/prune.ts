/** Deletes what is past its age. Started by a schedule. */
import type { Pruned, PruneInput } from '../activities/prune-account.js';
import { pruneAccount } from './proxies.js';

export function prune(input: PruneInput): Promise<Pruned> {
  return pruneAccount.executeWithOptions({ summary: `delete what is old of ${input.account}` }, [input]);
}
