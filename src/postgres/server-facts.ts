import type { Pool } from 'pg';

export interface ServerFacts {
  readonly version: string;
  /** Such as 180004. */
  readonly versionNum: number;
  readonly encoding: string;
  /** Whether it replays another server's changes. */
  readonly standby: boolean;
  /** Whether transactions of this session may not write. */
  readonly readOnly: boolean;
  readonly role: string;
  readonly database: string;
}

const READ_SERVER_FACTS = `
select current_setting('server_version') as version,
  current_setting('server_version_num')::integer as "versionNum",
  current_setting('server_encoding') as encoding,
  pg_is_in_recovery() as standby,
  current_setting('transaction_read_only')::boolean as "readOnly",
  current_user as role, current_database() as database`;

/** What the server, and this session on it, are like. */
export async function readServerFacts(pool: Pick<Pool, 'query'>): Promise<ServerFacts> {
  const { rows } = await pool.query<ServerFacts>(READ_SERVER_FACTS);
  if (rows[0] === undefined) throw new Error('PostgreSQL did not say which version it is.');
  return rows[0];
}

/** The server's clock, in seconds since 1970. */
export async function readServerClock(pool: Pick<Pool, 'query'>): Promise<number> {
  const { rows } = await pool.query<{ now: number }>(
    'select extract(epoch from clock_timestamp())::float8 as now',
  );
  return Number(rows[0]?.now);
}
