import type { Pool } from 'pg';

/** A row alone may be what a start that failed has left, of the connected account that it was to read. */
export const STARTED = 'cursor_created is not null';

const IS_STARTED = `select from stripe_sync.accounts where account = $1 and ${STARTED}`;

/** Whether the alias was ever opened, and so has a place for events. */
export async function isStarted(pool: Pick<Pool, 'query'>, account: string): Promise<boolean> {
  const { rowCount } = await pool.query(IS_STARTED, [account]);
  return rowCount === 1;
}
