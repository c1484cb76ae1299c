import { Context } from '@temporalio/activity';
import { assertMigrated } from '../src/postgres/schema.js';
import type { ActivityDeps } from './deps.js';

/**
 * Checks what an account needs before it is started: that the worker has its key, that Stripe takes it, and
 * that the database is migrated.
 *
 * @throws StripeFailure, UserError
 */
export function checkAccount(deps: ActivityDeps) {
  return async (account: string): Promise<void> => {
    await assertMigrated(deps.pool);
    await deps.stripe(account).get('/v1/events?limit=1', { signal: Context.current().cancellationSignal });
  };
}
