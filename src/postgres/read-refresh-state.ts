import { escapeIdentifier, type Pool } from 'pg';

/** What the listings of a type have shown so far. */
export interface ListedSoFar {
  readonly object: string;
  /** Everything that was created before is in the table, in seconds of Stripe's clock; null: nothing proves it. */
  readonly completeTo: number | null;
  /** How long ago the last complete listing of all of it began, in seconds; null where there was none. */
  readonly wholeSecondsAgo: number | null;
  /** Rows that all listings of it together have shown. */
  readonly rows: number;
}

const READ_LISTED = `
select object, extract(epoch from max(complete_to))::bigint as "completeTo",
  extract(epoch from clock_timestamp()
    - max(started_at) filter (where outcome = 'done' and since is null))::bigint as "wholeSecondsAgo",
  sum(rows)::float8 as rows
from stripe_sync.listings
where account = $1
group by object`;

/** One entry per type that was ever listed. */
export async function readListedSoFar(pool: Pool, account: string): Promise<ListedSoFar[]> {
  const { rows } = await pool.query<{
    object: string;
    completeTo: string | number | null;
    wholeSecondsAgo: string | number | null;
    rows: number;
  }>(READ_LISTED, [account]);
  return rows.map(({ object, completeTo, wholeSecondsAgo, rows: shown }) => ({
    object,
    completeTo: completeTo === null ? null : Number(completeTo),
    wholeSecondsAgo: wholeSecondsAgo === null ? null : Number(wholeSecondsAgo),
    rows: shown,
  }));
}

/** Whether the account has no row in a table, nor ever had one. */
export async function isEmptyTable(pool: Pool, account: string, table: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    `select from stripe.${escapeIdentifier(table)} where account = $1 limit 1`,
    [account],
  );
  return rowCount === 0;
}
