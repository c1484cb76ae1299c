import { StripeFailure, UserError } from '../src/domain/failures.js';
import { noteKeyAccount } from '../src/postgres/key-account.js';
import type { ActivityDeps } from './deps.js';

/** What a key that may not read its own account answers with. */
const UNTOLD = new Set(['permission', 'invalid', 'gone']);

/**
 * Makes sure that the worker's key is of the Stripe account that the tables hold. With a key of another one, no list
 * would show what is in them and every read would say that it is gone.
 *
 * @throws UserError where it is of another account; nothing can be said where the key may not read its own
 */
export async function assertSameAccount(
  deps: ActivityDeps,
  account: string,
  signal: AbortSignal,
): Promise<void> {
  const id = await keyAccountOf(deps, account, signal);
  if (id === null) return;
  const known = await noteKeyAccount(deps.pool, account, id);
  if (known === null || known === id) return;
  throw new UserError(
    `The key of ${account} is of the Stripe account ${id}, and its tables hold ${known}: give the worker a key of ` +
      `${known}, or start the other account under another alias.`,
  );
}

/** The id of the Stripe account that an alias reads; null where its key may not tell. */
export async function keyAccountOf(
  deps: ActivityDeps,
  account: string,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const { body } = await deps.stripe(account).get('/v1/account', { signal });
    const { id } = body as { id?: unknown };
    return typeof id === 'string' ? id : null;
  } catch (error) {
    if (error instanceof StripeFailure && UNTOLD.has(error.kind)) return null;
    throw error;
  }
}
