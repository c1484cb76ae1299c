import type { Pool } from 'pg';

export interface ConnectionsLeft {
  /** How many more this role may open on this database. */
  readonly left: number;
  /** What bounds them: the server, the database or the role. */
  readonly limit: 'server' | 'database' | 'role';
  readonly most: number;
}

// Of sessions of other roles pg_stat_activity shows nothing but whose they are; pg_stat_database counts all of them.
// reserved_connections came with version 16.
const CONNECTIONS_LEFT = `
with used as (
  select coalesce(sum(numbackends), 0) as server,
    coalesce(sum(numbackends) filter (where datname = current_database()), 0) as database
  from pg_catalog.pg_stat_database
), limits as (
  select 'server' as "limit", current_setting('max_connections')::integer
      - current_setting('superuser_reserved_connections')::integer
      - coalesce(current_setting('reserved_connections', true)::integer, 0) as most, used.server as used
  from used
  union all
  select 'database', d.datconnlimit, used.database
  from pg_catalog.pg_database d, used
  where d.datname = current_database() and d.datconnlimit >= 0
  union all
  select 'role', r.rolconnlimit,
    (select count(*) from pg_catalog.pg_stat_activity a where a.usesysid = r.oid)
  from pg_catalog.pg_roles r
  where r.rolname = session_user and r.rolconnlimit >= 0 and not r.rolsuper
)
select "limit", most, greatest(most - used, 0)::integer as "left" from limits order by most - used limit 1`;

/** The narrowest of the limits on connections. This session is one of those that are used. */
export async function connectionsLeft(pool: Pick<Pool, 'query'>): Promise<ConnectionsLeft> {
  const { rows } = await pool.query<ConnectionsLeft>(CONNECTIONS_LEFT);
  if (rows[0] === undefined) throw new Error('PostgreSQL did not tell its limit on connections.');
  return rows[0];
}
