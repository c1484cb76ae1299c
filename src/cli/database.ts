import pg from 'pg';
import { loadConfig } from '../config.js';
import { UserError } from '../domain/failures.js';
import { isTransientPostgresError } from '../postgres/errors.js';
import { createPool, type PoolOptions } from '../postgres/pool.js';
import { assertMigrated } from '../postgres/schema.js';
import { messageOf } from './failure-text.js';

/** Runs `body` with a pool on the migrated database, which is closed afterwards. */
export async function withDatabase<T>(
  env: NodeJS.ProcessEnv,
  body: (pool: pg.Pool) => Promise<T>,
): Promise<T> {
  const { databaseUrl } = loadConfig(env);
  const pool = await openMigrated({ connectionString: databaseUrl, applicationName: 'stripe-sync', max: 4 });
  try {
    return await body(pool);
  } finally {
    await pool.end();
  }
}

/**
 * A pool on a database that lets us in and has all schemas.
 * @throws UserError, SchemaNotMigratedError; nothing is left open then
 */
export async function openMigrated(options: PoolOptions): Promise<pg.Pool> {
  const pool = await openPool(options);
  try {
    await assertMigrated(pool);
    return pool;
  } catch (error) {
    await pool.end();
    throw error;
  }
}

/** Whether the database lets us in, asked before anything is done to it. @throws UserError */
export async function assertReachable(databaseUrl: string): Promise<void> {
  const pool = await openPool({ connectionString: databaseUrl, applicationName: 'stripe-sync', max: 1 });
  await pool.end();
}

async function openPool(options: PoolOptions): Promise<pg.Pool> {
  const pool = createPool(options);
  try {
    const client = await pool.connect();
    client.release();
    return pool;
  } catch (error) {
    await pool.end();
    throw connectionProblem(error, options.connectionString);
  }
}

/** Why PostgreSQL does not let us in, and what to do. The password is no part of it. */
function connectionProblem(error: unknown, databaseUrl: string): UserError {
  const { host, port, user, database } = new pg.Client(databaseUrl);
  const place = host.startsWith('/') ? host : `${host}:${port}`;
  const code = (error as { code?: unknown }).code;
  const problem = new UserError(
    `PostgreSQL at ${place} ${reasonOf(error, code, user ?? '', database ?? user ?? '')}`,
  );
  problem.cause = error;
  return problem;
}

function reasonOf(error: unknown, code: unknown, user: string, database: string): string {
  switch (code) {
    case '28P01':
      return `refuses the password of the user "${user}" (28P01). Correct the user and the password in DATABASE_URL.`;
    case '28000':
      return (
        `does not let the user "${user}" in (28000). Correct DATABASE_URL (does it need sslmode?), ` +
        'or let the user in (pg_hba.conf on the server).'
      );
    case '3D000':
      return `has no database "${database}" (3D000). Create it (createdb ${database}), or correct DATABASE_URL.`;
    case '42501':
      return `does not let the user "${user}" connect to the database "${database}" (42501). Grant CONNECT on it.`;
    case '53300':
      return 'has no connection left (53300). Close some, or raise its max_connections, then try again.';
    case '57P03':
      return 'is starting up or shutting down (57P03). Try again in a moment.';
  }
  if (/client password must be a string/.test(messageOf(error))) {
    return `asks for a password, and DATABASE_URL has none for the user "${user}". Put one in.`;
  }
  if (isTransientPostgresError(error)) {
    const why = typeof code === 'string' ? code : 'no answer in time';
    return `cannot be reached (${why}). Start it there, or correct the host and the port in DATABASE_URL.`;
  }
  return `cannot be used: ${messageOf(error).split('\n')[0]}. Correct DATABASE_URL.`;
}
