import { Context } from '@temporalio/activity';
import { assertMigrated } from '../src/postgres/schema.js';
import type { ActivityDeps } from './deps.js';
import { assertSameAccount } from './same-account.js';

/**
 * Checks what an account needs before it is started: that the worker has its key, that Stripe takes it, that it is of
 * the Stripe account that the tables hold, and that the database is migrated.
 *
 * @throws StripeFailure, UserError
 */
export function checkAccount(deps: ActivityDeps) {
  return async (account: string): Promise<void> => {
    await assertMigrated(deps.pool);
    const signal = Context.current().cancellationSignal;
    await deps.stripe(account).get('/v1/events?limit=1', { signal });
    await assertSameAccount(deps, account, signal);
  };
}
