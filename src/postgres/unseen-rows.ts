import { escapeIdentifier, type Pool } from 'pg';

/**
 * Ids of rows that are no tombstones and that nobody has read or heard of since: a listing that began then and is
 * complete did not show them.
 *
 * @param since seconds of Stripe's clock
 * @param after ids up to this one are left out
 */
export async function readUnseen(
  pool: Pool,
  rows: {
    readonly account: string;
    readonly table: string;
    readonly since: number;
    readonly after: string;
    readonly most: number;
  },
): Promise<readonly string[]> {
  const { account, table, since, after, most } = rows;
  const found = await pool.query<{ id: string }>(
    `select id from stripe.${escapeIdentifier(table)}
     where account = $1 and not deleted and as_of_until < to_timestamp($2) and id > $3
     order by id limit $4`,
    [account, since, after, most],
  );
  return found.rows.map(({ id }) => id);
}

export async function countUnseen(
  pool: Pool,
  { account, table, since }: { readonly account: string; readonly table: string; readonly since: number },
): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::float8 as count from stripe.${escapeIdentifier(table)}
     where account = $1 and not deleted and as_of_until < to_timestamp($2)`,
    [account, since],
  );
  return rows[0]?.count ?? 0;
}
