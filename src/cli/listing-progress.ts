import type { Pool } from 'pg';
import { loadConfig } from '../config.js';
import type { BackfillProgress } from '../domain/account-state.js';
import { backfillWorkflowId } from '../domain/ids.js';
import { readLastBackfill } from '../postgres/backfills.js';
import { type ListingProgress, readListings } from '../postgres/listings.js';
import { openMigrated } from './database.js';

/**
 * How far the types of a backfill are, as PostgreSQL knows it; nothing where another backfill was the last.
 *
 * @param backfill as the account tells of it
 */
export async function listingProgress(
  pool: Pool,
  account: string,
  { number, types }: Pick<BackfillProgress, 'number' | 'types'>,
): Promise<readonly ListingProgress[]> {
  // An account that was stopped counts from 1 again. Once a backfill tells of its types, it is the last one.
  if (types.length === 0) return [];
  const last = await readLastBackfill(pool, account);
  if (last?.workflow !== backfillWorkflowId(account, number)) return [];
  return readListings(pool, account, last.number);
}

/** Nobody waits for long for something that is only finer. */
const CONNECT_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 5_000;

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
          connectTimeoutMs: CONNECT_TIMEOUT_MS,
          statementTimeoutMs: STATEMENT_TIMEOUT_MS,
          silenceMs: STATEMENT_TIMEOUT_MS,
        }).catch(() => null);
  try {
    return await body(pool);
  } finally {
    await pool?.end();
  }
}
