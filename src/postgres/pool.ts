import pg from 'pg';
import { isBrokenConnection } from './errors.js';

export interface PoolOptions {
  readonly connectionString: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /** Connections at most; 10 unless told. */
  readonly max?: number;
  /** Milliseconds that one statement may run; 30 s unless told, 0 for no limit. */
  readonly statementTimeoutMs?: number;
  /** Milliseconds that a statement may wait for a lock; 10 s unless told. */
  readonly lockTimeoutMs?: number;
  /** Milliseconds that a transaction may sit idle before PostgreSQL ends it; 60 s unless told. */
  readonly idleInTransactionTimeoutMs?: number;
  /** Milliseconds to wait for a connection; 10 s unless told. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds beyond the statement's limit after which a silent server is given up; 15 s unless told. */
  readonly silenceMs?: number;
  /** Told of connections that died while nobody used them. The next query opens another one. */
  readonly onConnectionLost?: (error: Error) => void;
}

const INT8 = 20;

/**
 * A pool whose connections may die at any time without ending the process. Options in the connection string
 * win over those given here. The limits are sent as startup parameters, so a connection pooler between must
 * pass them on (PgBouncer: `ignore_startup_parameters`, or a session-mode or direct connection).
 *
 * A bigint arrives as a number where a number holds it exactly (counts, amounts, seconds), and as its digits
 * in a string beyond 2^53, so that no digit is lost. numeric stays a string: it has no limit at all.
 */
export function createPool(options: PoolOptions): pg.Pool {
  const statementTimeoutMs = options.statementTimeoutMs ?? 30_000;
  const pool = new pg.Pool({
    connectionString: options.connectionString,
    application_name: options.applicationName,
    max: options.max ?? 10,
    statement_timeout: statementTimeoutMs,
    lock_timeout: options.lockTimeoutMs ?? 10_000,
    idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs ?? 60_000,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    ...(statementTimeoutMs === 0
      ? {}
      : { query_timeout: statementTimeoutMs + (options.silenceMs ?? 15_000) }),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: { getTypeParser },
  });
  const lost = options.onConnectionLost ?? (() => {});
  pool.on('error', lost);
  // While a client is lent out, the pool does not listen: one that dies between two statements of a transaction
  // would raise an unhandled error event and end the process. The next statement on it fails in any case.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  oid === INT8 && format !== 'binary' ? parseBigint : pg.types.getTypeParser(oid, format as 'text');

function parseBigint(digits: string): number | string {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : digits;
}

/**
 * Runs `work` in one READ COMMITTED transaction on one connection: committed when it returns, rolled back when
 * it throws. A connection whose state is unknown afterwards is closed instead of going back to the pool.
 *
 * Throws what `work` throws; and an error of its own where PostgreSQL rolled back although `work` returned,
 * which is what COMMIT does, silently, after a failed statement whose error was caught inside.
 *
 * @param signal once it aborts, nothing is committed any more; what it throws is the signal's reason
 * @param last a statement that is sent together with the COMMIT, so that its locks are not held while that is on its way
 */
export async function transaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
  signal?: AbortSignal,
  last?: string,
): Promise<T> {
  signal?.throwIfAborted();
  const client = await pool.connect();
  let broken = false;
  try {
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
    const result = await work(client);
    signal?.throwIfAborted();
    const sent: unknown = await client.query(last === undefined ? 'COMMIT' : `${last}; COMMIT`);
    const results = [sent].flat() as { readonly command: string }[];
    if (results.at(-1)?.command !== 'COMMIT') {
      throw new Error(
        'The transaction was rolled back, because a statement in it failed and its error was caught: ' +
          'let the error through, or use a savepoint.',
      );
    }
    return result;
  } catch (error) {
    broken = isBrokenConnection(error) || !(await rolledBack(client));
    throw error;
  } finally {
    client.release(broken);
  }
}

async function rolledBack(client: pg.PoolClient): Promise<boolean> {
  try {
    await client.query('ROLLBACK');
    return true;
  } catch {
    return false;
  }
}
