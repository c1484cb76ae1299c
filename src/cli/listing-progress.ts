import type { Pool } from 'pg';
import { loadConfig } from '../config.js';
import { backfillWorkflowId } from '../domain/ids.js';
import { readLastBackfill } from '../postgres/backfills.js';
import { type ListingProgress, readListings } from '../postgres/listings.js';
import { openMigrated } from './database.js';

/**
 * How far the types of a backfill are, as PostgreSQL knows it; nothing where another backfill was the last.
 *
 * @param number as the account counts it
 */
export async function listingProgress(
  pool: Pool,
  account: string,
  number: number,
): Promise<readonly ListingProgress[]> {
  const last = await readLastBackfill(pool, account);
  if (last?.workflow !== backfillWorkflowId(account, number)) return [];
  return readListings(pool, account, last.number);
}

/** Runs `body` with a pool where this machine knows the database and reaches it: progress is finer then. */
export async function withDatabaseIfAny<T>(
  env: NodeJS.ProcessEnv,
  body: (pool: Pool | null) => Promise<T>,
): Promise<T> {
  const { databaseUrl } = loadConfig(env, { sandbox: true });
  const pool =
    databaseUrl === undefined
      ? null
      : await openMigrated({
          connectionString: databaseUrl,
          applicationName: 'stripe-sync',
          max: 2,
        }).catch(() => null);
  try {
    return await body(pool);
  } finally {
    await pool?.end();
  }
}
