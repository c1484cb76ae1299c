import type { Pool } from 'pg';

export interface MissingRights {
  /** Tables and views of both schemas. */
  readonly tables: number;
  /** Schemas that the role may not use. */
  readonly schemas: readonly string[];
  /** As `INSERT on stripe.customers`. */
  readonly rights: readonly string[];
}

// Views are read only, and the list of migrations is the business of whoever migrates.
const MISSING_RIGHTS = `
with relations as (
  select c.oid, n.nspname, c.relname, c.relkind in ('r', 'p') and (n.nspname, c.relname) <> ('stripe_sync', 'migrations') as written
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('stripe', 'stripe_sync') and c.relkind in ('r', 'p', 'v')
)
select (select count(*)::integer from relations) as tables,
  array(
    select nspname::text from pg_catalog.pg_namespace
    where nspname in ('stripe', 'stripe_sync') and not has_schema_privilege(oid, 'USAGE')
    order by nspname
  ) as schemas,
  array(
    select format('%s on %s.%s', kind, nspname, relname)
    from relations
    cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) with ordinality as kinds (kind, place)
    where (written or kind = 'SELECT') and not has_table_privilege(relations.oid, kind)
    order by nspname desc, relname, place
  ) as rights`;

/** What a worker that connects as this role may not do. */
export async function missingRights(pool: Pick<Pool, 'query'>): Promise<MissingRights> {
  const { rows } = await pool.query<MissingRights>(MISSING_RIGHTS);
  if (rows[0] === undefined) throw new Error('PostgreSQL did not tell the rights of the role.');
  return rows[0];
}

// Columns and triggers are added by owners alone, and schemas and tables where CREATE is granted.
const MAY_MIGRATE = `
select not exists (
    select from pg_catalog.pg_namespace n
    left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v')
    where n.nspname in ('stripe', 'stripe_sync')
      and not (has_schema_privilege(n.oid, 'CREATE') and (c.oid is null or pg_has_role(c.relowner, 'USAGE')))
  )
  and (
    has_database_privilege(current_database(), 'CREATE')
    or (select count(*) = 2 from pg_catalog.pg_namespace where nspname in ('stripe', 'stripe_sync'))
  ) as may`;

/** Whether this role could create the schemas, or bring those that are there up to date. */
export async function mayMigrate(pool: Pick<Pool, 'query'>): Promise<boolean> {
  const { rows } = await pool.query<{ may: boolean }>(MAY_MIGRATE);
  return rows[0]?.may === true;
}
