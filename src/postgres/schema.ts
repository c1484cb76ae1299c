/** Whether the database has the schemas that this version of the code needs. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ClientBase } from 'pg';
import { UserError } from '../domain/failures.js';
import { unconnectedTables } from './declare-embedded-rows.js';
import { type MissingPart, missingParts } from './object-tables.js';

type Queryable = Pick<ClientBase, 'query'>;

export const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url));

const HAS_MIGRATIONS = `
select 1 from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'stripe_sync' and c.relname = 'migrations'`;

const APPLIED_MIGRATIONS = 'select name from stripe_sync.migrations order by id';

/** Names of the migrations of `stripe_sync` that this code brings, in order: `0001_inbox_and_ledger`. */
export function codeMigrations(): string[] {
  return readdirSync(migrationsFolder)
    .filter((file) => file.endsWith('.sql'))
    .map((file) => file.slice(0, -'.sql'.length))
    .sort();
}

/** The number of the newest migration that the database has (1 for `0001_…`), or null where it has none. */
export async function currentSchemaVersion(database: Queryable): Promise<number | null> {
  const names = await appliedMigrations(database);
  return names.length === 0 ? null : Math.max(...names.map((name) => Number.parseInt(name, 10)));
}

/** The schemas are missing, or older than the code. `message` says what to run. */
export class SchemaNotMigratedError extends UserError {
  override readonly name = 'SchemaNotMigratedError';
}

/**
 * Throws `SchemaNotMigratedError` where the database lacks anything that this code needs. A database that is
 * ahead of the code passes: a migration may only add.
 */
export async function assertMigrated(database: Queryable): Promise<void> {
  const applied = await appliedMigrations(database);
  if (applied.length === 0) {
    throw new SchemaNotMigratedError(
      'The database holds no schema of stripe-sync yet. Create it with: stripe-sync migrate',
    );
  }
  const missing = [
    ...codeMigrations()
      .filter((name) => !applied.includes(name))
      .map((name) => `migration ${name}`),
    ...(await missingParts(database)).map(describePart),
    ...(await unconnectedTables(database)).map((table) => `what keeps stripe.${table} up to date`),
  ];
  if (missing.length === 0) return;
  const rest = missing.length > 3 ? ` and ${missing.length - 3} more` : '';
  throw new SchemaNotMigratedError(
    `The schema in the database is older than this version of stripe-sync (it lacks ` +
      `${missing.slice(0, 3).join(', ')}${rest}). Bring it up to date with: stripe-sync migrate`,
  );
}

async function appliedMigrations(database: Queryable): Promise<string[]> {
  const { rowCount } = await database.query(HAS_MIGRATIONS);
  if (rowCount === 0) return [];
  const { rows } = await database.query<{ name: string }>(APPLIED_MIGRATIONS);
  return rows.map(({ name }) => name);
}

function describePart({ table, create, columns }: MissingPart): string {
  return create
    ? `table stripe.${table.name}`
    : `${columns.map(({ name }) => name).join(', ')} in stripe.${table.name}`;
}
