import { markBackfilled } from '../src/postgres/account-row.js';
import type { ActivityDeps } from './deps.js';

/** Notes that the account's tables were filled once, so that a later start needs no backfill. */
export function finishBackfill(deps: ActivityDeps) {
  return (account: string): Promise<void> => markBackfilled(deps.pool, account);
}
