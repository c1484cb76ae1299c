import { escapeIdentifier, type Pool } from 'pg';

export interface OpenRows {
  readonly account: string;
  /** Table of the type, without its schema. */
  readonly table: string;
  /** Rows count whose object has this text in this field. */
  readonly field: string;
  readonly is: string;
}

const SIZE = `
select ceil(pg_relation_size($1::regclass) / current_setting('block_size')::numeric)::integer as blocks`;

/** By blocks, since no index leads to these rows, and one statement over a large table would run into its limit. */
const oldestSql = (table: string) => `
select extract(epoch from min(created))::bigint as oldest
from stripe.${escapeIdentifier(table)}
where ctid >= $1::tid and ctid < $2::tid and account = $3 and not deleted and data->>$4 = $5`;

/** 64 MiB: some tenths of a second, where it has to come from a disk. */
const BLOCKS_AT_ONCE = 8_192;

/**
 * `created` of the oldest row that may still change, in seconds of Stripe's clock, or null where there is none. A row
 * that is written meanwhile may be missed.
 *
 * @param signal ends it between two statements
 * @param blocksAtOnce how much of the table one statement reads
 */
export async function readOldestOpen(
  pool: Pool,
  { account, table, field, is }: OpenRows,
  signal?: AbortSignal,
  blocksAtOnce: number = BLOCKS_AT_ONCE,
): Promise<number | null> {
  const size = await pool.query<{ blocks: number }>(SIZE, [`stripe.${escapeIdentifier(table)}`]);
  const blocks = size.rows[0]?.blocks ?? 0;
  let oldest: number | null = null;
  for (let block = 0; block < blocks; block += blocksAtOnce) {
    signal?.throwIfAborted();
    const { rows } = await pool.query<{ oldest: string | number | null }>(oldestSql(table), [
      `(${block},0)`,
      `(${block + blocksAtOnce},0)`,
      account,
      field,
      is,
    ]);
    const found = rows[0]?.oldest ?? null;
    if (found !== null) oldest = Math.min(oldest ?? Number(found), Number(found));
  }
  return oldest;
}
