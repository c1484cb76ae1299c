import type { Pool } from 'pg';
import { STARTED } from './is-started.js';

export interface KnownAccountRow {
  /** The Stripe account (`acct_…`) that the key was of when that was first asked; null where it could not tell. */
  readonly keyAccount: string | null;
  /** The connected account that is read with the key of its platform; null: the account of the key. */
  readonly stripeAccount: string | null;
  /** The alias of the platform whose key that is; null: the alias itself. */
  readonly keyAlias: string | null;
  /** The API version that objects are read in. */
  readonly apiVersion: string | null;
  /** Whether what the tables hold is of live mode; null where that was never noted. */
  readonly livemode: boolean | null;
  /**
   * Only there where the alias was never opened: a start that failed has left what it was to read, and with whose key,
   * which the next one goes by.
   */
  readonly neverStarted?: true;
}

const READ_KNOWN_ACCOUNT = `
select key_account as "keyAccount", stripe_account as "stripeAccount", key_alias as "keyAlias",
  api_version as "apiVersion", livemode, ${STARTED} as "isStarted"
from stripe_sync.accounts where account = $1`;

/** What is noted of an alias; null where nothing is. */
export async function readKnownAccount(
  pool: Pick<Pool, 'query'>,
  account: string,
): Promise<KnownAccountRow | null> {
  const { rows } = await pool.query<Omit<KnownAccountRow, 'neverStarted'> & { readonly isStarted: boolean }>(
    READ_KNOWN_ACCOUNT,
    [account],
  );
  if (rows[0] === undefined) return null;
  const { isStarted, ...noted } = rows[0];
  return isStarted ? noted : { ...noted, neverStarted: true };
}
