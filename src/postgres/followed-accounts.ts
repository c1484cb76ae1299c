import type { Pool } from 'pg';
import type { Holder } from '../domain/connected.js';

const READ_HOLDERS = `
select account, coalesce(stripe_account, key_account) as "stripeAccount",
  followed_by is not null as followed, cursor_created is not null as opened
from stripe_sync.accounts
where coalesce(stripe_account, key_account) = any ($1)`;

/** The aliases that hold any of these accounts, with the key of a platform or with one of their own. */
export async function readHolders(pool: Pool, stripeAccounts: readonly string[]): Promise<Holder[]> {
  return (await pool.query<Holder>(READ_HOLDERS, [stripeAccounts])).rows;
}

const NOTE = `
insert into stripe_sync.accounts as a (account, stripe_account, key_alias) values ($1, $1, $2)
on conflict (account) do update set
  stripe_account = case when a.cursor_created is null then excluded.stripe_account else a.stripe_account end,
  key_alias = case when a.cursor_created is null then excluded.key_alias else a.key_alias end
returning stripe_account = account as "isNoted"`;

/**
 * Notes an alias, the id of the account that it stands for, and whose key reads it.
 *
 * @returns false where the alias holds the data of another account
 */
export async function noteAliasOfPlatform(pool: Pool, alias: string, platform: string): Promise<boolean> {
  const { rows } = await pool.query<{ isNoted: boolean | null }>(NOTE, [alias, platform]);
  return rows[0]?.isNoted === true;
}

/** Notes that aliases were started with the connected accounts of a platform. */
export async function noteFollowed(pool: Pool, aliases: readonly string[], platform: string): Promise<void> {
  await pool.query('update stripe_sync.accounts set followed_by = $2 where account = any ($1)', [
    aliases,
    platform,
  ]);
}

/** The aliases that were started with the connected accounts of a platform, whether they run or not. */
export async function readFollowed(pool: Pool, platform: string): Promise<string[]> {
  const { rows } = await pool.query<{ account: string }>(
    'select account from stripe_sync.accounts where followed_by = $1 order by account',
    [platform],
  );
  return rows.map(({ account }) => account);
}

/** Forgets that a platform's accounts were followed, and so which of them were stopped by hand. */
export async function forgetFollowed(pool: Pool, platform: string): Promise<void> {
  await pool.query('update stripe_sync.accounts set followed_by = null where followed_by = $1', [platform]);
}
