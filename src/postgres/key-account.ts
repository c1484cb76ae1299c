import type { Pool } from 'pg';

/**
 * Notes which Stripe account a key is of, unless that is known already.
 *
 * @returns the account that is known; null where the alias was never started
 */
export async function noteKeyAccount(
  pool: Pool,
  account: string,
  keyAccount: string,
): Promise<string | null> {
  const { rows } = await pool.query<{ known: string }>(
    `update stripe_sync.accounts set key_account = coalesce(key_account, $2) where account = $1
     returning key_account as known`,
    [account, keyAccount],
  );
  return rows[0]?.known ?? null;
}
