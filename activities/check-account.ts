import { Context } from '@temporalio/activity';
import { UserError } from '../src/domain/failures.js';
import { noteConnectedAccount } from '../src/postgres/connected-account.js';
import { assertMigrated } from '../src/postgres/schema.js';
import type { ActivityDeps } from './deps.js';
import { assertSameAccount } from './same-account.js';

/**
 * Checks what an account needs before it is started: that the worker has its key, that Stripe takes it, that it is of
 * the Stripe account that the tables hold, and that the database is migrated.
 *
 * @param stripeAccount of the platform whose key it is: the connected account that the alias is to read
 * @throws StripeFailure, UserError
 */
export function checkAccount(deps: ActivityDeps) {
  return async (account: string, stripeAccount?: string | null): Promise<void> => {
    await assertMigrated(deps.pool);
    if (stripeAccount) await connect(deps, account, stripeAccount);
    const signal = Context.current().cancellationSignal;
    await deps.stripe(account).get('/v1/events?limit=1', { signal });
    await assertSameAccount(deps, account, signal);
  };
}

async function connect({ pool }: ActivityDeps, account: string, stripeAccount: string): Promise<void> {
  const noted = await noteConnectedAccount(pool, account, stripeAccount);
  if (noted === stripeAccount) return;
  const held = noted === null ? 'the account of its key' : `the connected account ${noted}`;
  throw new UserError(
    `The tables of ${account} hold ${held}, not ${stripeAccount}: start that one under another alias.`,
  );
}
