import { randomUUID } from 'node:crypto';
import pg, { type Pool } from 'pg';

const CHANNEL = 'stripe_sync_doctor';

/**
 * Whether a connection that listens hears what another one tells. A pooler that gives each transaction another
 * connection takes LISTEN and loses what it is for; on one connection alone it might go unnoticed.
 *
 * @param waitMs how long to wait; a notification takes a few milliseconds
 * @throws where PostgreSQL does
 */
export async function hearsNotifications(
  connectionString: string,
  pool: Pick<Pool, 'query'>,
  waitMs: number,
): Promise<boolean> {
  const listener = new pg.Client({
    connectionString,
    application_name: 'stripe-sync doctor',
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
  });
  listener.on('error', () => {});
  const word = randomUUID();
  let timer: NodeJS.Timeout | undefined;
  try {
    await listener.connect();
    const heard = new Promise<boolean>((resolve) => {
      listener.on('notification', ({ payload }) => {
        if (payload === word) resolve(true);
      });
    });
    await listener.query(`listen ${CHANNEL}`);
    await pool.query('select pg_notify($1, $2)', [CHANNEL, word]);
    const over = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, waitMs, false);
    });
    return await Promise.race([heard, over]);
  } finally {
    clearTimeout(timer);
    listener.end().catch(() => {});
  }
}
