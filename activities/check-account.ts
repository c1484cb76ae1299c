import { Context } from '@temporalio/activity';
import { UserError } from '../src/domain/failures.js';
import { noteConnectedAccount, readConnectedAccount } from '../src/postgres/connected-account.js';
import { assertMigrated } from '../src/postgres/schema.js';
import type { ActivityDeps } from './deps.js';
import { assertSameAccount, keyAccountOf } from './same-account.js';

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
    await assertOwnName(deps, account, signal);
  };
}

/**
 * An alias that is an account's id, as those of connected accounts are, names that account. Where nothing is noted of it
 * (a slip of the pen), the key of the platform would fill it with the platform's own data.
 */
async function assertOwnName(deps: ActivityDeps, account: string, signal: AbortSignal): Promise<void> {
  if (!account.startsWith('acct_')) return;
  const id = await keyAccountOf(deps, account, signal);
  if (id === null || id === account) return;
  const { stripeAccount } = await readConnectedAccount(deps.pool, account);
  if (stripeAccount !== null) return;
  throw new UserError(
    `${account} is not connected here yet, and the worker's key is of ${id}. Start it with: ` +
      `stripe-sync start ${account} --stripe-account ${account}, or choose another alias.`,
  );
}

async function connect({ pool }: ActivityDeps, account: string, stripeAccount: string): Promise<void> {
  const noted = await noteConnectedAccount(pool, account, stripeAccount);
  if (noted === stripeAccount) return;
  const held = noted === null ? 'the account of its key' : `the connected account ${noted}`;
  throw new UserError(
    `The tables of ${account} hold ${held}, not ${stripeAccount}: start that one under another alias.`,
  );
}
