import type { Client } from '@temporalio/client';
import type { Pool } from 'pg';
import { loadConfig } from '../config.js';
import { createPool } from '../postgres/pool.js';
import { assertMigrated } from '../postgres/schema.js';
import { connectClient, temporalTarget } from '../temporal/connection.js';
import { SANDBOX_DIRECTORY, withSandbox } from './sandbox-file.js';

/** What a command works with: the environment, completed by a running sandbox of this folder. */
export function commandEnvironment(): NodeJS.ProcessEnv {
  return withSandbox(process.env, SANDBOX_DIRECTORY);
}

/** Runs `body` with a client of Temporal, which is closed afterwards. */
export async function withTemporal<T>(
  env: NodeJS.ProcessEnv,
  body: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await connectClient(temporalTarget(env));
  try {
    return await body(client);
  } finally {
    await client.connection.close();
  }
}

/** Runs `body` with a pool on the migrated database, which is closed afterwards. */
export async function withDatabase<T>(env: NodeJS.ProcessEnv, body: (pool: Pool) => Promise<T>): Promise<T> {
  const { databaseUrl } = loadConfig(env);
  const pool = createPool({ connectionString: databaseUrl, applicationName: 'stripe-sync', max: 4 });
  try {
    await assertMigrated(pool);
    return await body(pool);
  } finally {
    await pool.end();
  }
}
