import { checkAccount } from './proxies.js';

/** Checks an account on a worker, which has the key, before the account is started. */
export async function preflight(account: string, stripeAccount?: string): Promise<void> {
  await checkAccount(account, stripeAccount ?? null);
}
