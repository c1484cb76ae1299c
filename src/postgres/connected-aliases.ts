import type { Pool } from 'pg';
import { STARTED } from './is-started.js';

/** An alias that reads a connected account. */
export interface ConnectedAlias {
  readonly alias: string;
  /** Alias of the platform whose key reads it; null: a key of its own. */
  readonly keyAlias: string | null;
}

const READ = `
select account as alias, key_alias as "keyAlias" from stripe_sync.accounts
where stripe_account = $1 and ${STARTED}
order by account`;

/** The aliases that were started for a connected account (`acct_…`): one, unless somebody keeps it twice. */
export async function readConnectedAliases(
  pool: Pick<Pool, 'query'>,
  stripeAccount: string,
): Promise<ConnectedAlias[]> {
  return (await pool.query<ConnectedAlias>(READ, [stripeAccount])).rows;
}
