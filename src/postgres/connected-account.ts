import type { Pool } from 'pg';

/** Which Stripe account an alias reads: one that is connected to the account of the key, or (null) that one itself. */
export interface ConnectedAccount {
  readonly stripeAccount: string | null;
  /** The alias whose key it is read with; null: the alias itself. */
  readonly keyAlias: string | null;
  /** Whether what the tables hold is of live mode; null where that was never noted. */
  readonly livemode: boolean | null;
  /** Whether the alias was opened with it, after which it stays. */
  readonly isFinal: boolean;
}

const READ = `
select stripe_account as "stripeAccount", key_alias as "keyAlias", livemode, cursor_created is not null as "isFinal"
from stripe_sync.accounts where account = $1`;

export async function readConnectedAccount(pool: Pool, account: string): Promise<ConnectedAccount> {
  const { rows } = await pool.query<ConnectedAccount>(READ, [account]);
  return rows[0] ?? { stripeAccount: null, keyAlias: null, livemode: null, isFinal: false };
}

const NOTE_LIVEMODE = `
update stripe_sync.accounts set livemode = coalesce(livemode, $2) where account = $1 returning livemode`;

/**
 * Notes whether an account that was opened holds live data, unless that is known.
 *
 * @returns what is known
 */
export async function noteLivemode(pool: Pool, account: string, livemode: boolean): Promise<boolean> {
  const { rows } = await pool.query<{ livemode: boolean }>(NOTE_LIVEMODE, [account, livemode]);
  return rows[0]?.livemode ?? livemode;
}

const NOTE = `
insert into stripe_sync.accounts as a (account, stripe_account) values ($1, $2)
on conflict (account) do update set stripe_account =
  case when a.cursor_created is null then excluded.stripe_account else a.stripe_account end
returning stripe_account as "stripeAccount"`;

/**
 * Notes the connected account of an alias that was never opened.
 *
 * @returns the one that is noted: another one where the alias holds that one's data already
 */
export async function noteConnectedAccount(
  pool: Pool,
  account: string,
  stripeAccount: string,
): Promise<string | null> {
  const { rows } = await pool.query<Pick<ConnectedAccount, 'stripeAccount'>>(NOTE, [account, stripeAccount]);
  return rows[0]?.stripeAccount ?? null;
}
