import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const ATTEMPTS = 20;
const PAUSE_MS = 1_000;
const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK = '40P01';

/**
 * Runs something that has to wait for a table until nobody holds it, each time for as long as the connection's
 * `lock_timeout`: while a statement waits for a table, all who come later wait behind it.
 *
 * @param purpose what is to happen, for the error: "columns cannot be added to it"
 */
export async function whenFree<T>(
  work: () => Promise<T>,
  table: string,
  purpose: string,
  log: (line: string) => void,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const code = error instanceof pg.DatabaseError ? error.code : undefined;
      if (code !== LOCK_NOT_AVAILABLE && code !== DEADLOCK) throw error;
      if (attempt === ATTEMPTS) {
        throw new Error(
          `stripe.${table} is held by another transaction, so ${purpose}. ` +
            `End that transaction (pg_stat_activity shows it) and run stripe-sync migrate again.`,
          { cause: error },
        );
      }
      log(`stripe.${table} is in use; trying again`);
      await sleep(PAUSE_MS);
    }
  }
}
