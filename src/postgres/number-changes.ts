import type { Pool, PoolClient } from 'pg';
import { transaction } from './pool.js';

/** Waits for whoever numbers changes just then, until that is committed. */
const NUMBER_CHANGES = 'select stripe_sync.number_changes()';

/**
 * A transaction (src/postgres/pool.ts) whose changes go into the change feed. They get their numbers at its end, in
 * the order in which they were made, behind a lock that is held until the commit: so numbers follow the order of the
 * commits, and nobody waits for what `work` does before, such as a handler that takes its time.
 */
export function changingTransaction<T>(
  pool: Pool,
  work: (client: PoolClient) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  return transaction(pool, work, signal, NUMBER_CHANGES);
}
