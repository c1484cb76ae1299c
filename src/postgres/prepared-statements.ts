import { createHash } from 'node:crypto';
import { DatabaseError, type Pool } from 'pg';

/**
 * For a transaction whose statements have one good plan, whatever their parameters: PostgreSQL would plan each of them
 * anew for its first five runs on a connection.
 */
export const PLAN_ONCE = 'set local plan_cache_mode = force_generic_plan';

/** Gives the statement its name where it is to be kept by the connection, and nothing where it is not. */
export type Prepare = (text: string) => { readonly text: string; readonly name?: string };

/** A statement of this name is not there, or is there already: another connection of the server took its place. */
const NOT_KEPT = new Set(['26000', '42P05']);

const unprepared: Prepare = (text) => ({ text });
const withoutPrepared = new WeakSet<Pool>();

/**
 * Runs `work`, where `isWorthIt`, with statements that each connection parses and plans once. A pooler that gives every transaction another
 * connection of the server (PgBouncer before 1.21 in transaction mode) loses them: `work`, of which nothing is committed
 * then, runs once more without, and so does everything that comes after.
 *
 * @param work one transaction, all of whose named statements come from `prepare`
 */
export async function withPrepared<T>(
  pool: Pool,
  isWorthIt: boolean,
  work: (prepare: Prepare) => Promise<T>,
): Promise<T> {
  if (!isWorthIt || withoutPrepared.has(pool)) return work(unprepared);
  try {
    return await work(prepared);
  } catch (error) {
    if (!(error instanceof DatabaseError) || !NOT_KEPT.has(error.code ?? '')) throw error;
    withoutPrepared.add(pool);
    return work(unprepared);
  }
}

/** The name follows from the text, so that one name never stands for two statements, whoever shares the connection. */
function prepared(text: string): { readonly text: string; readonly name: string } {
  return { text, name: `stripe_sync_${createHash('sha1').update(text).digest('hex')}` };
}
