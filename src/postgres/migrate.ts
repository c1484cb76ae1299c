/**
 * Creates and updates the two schemas. `stripe_sync` (inbox, accounts, reads) by numbered migrations in plain
 * SQL; `stripe` (the object tables, and the triggers by which embedded rows follow their parents) by comparison with
 * the catalog. Safe to run at any time, by several starters at once, and while workers run.
 */
import { runner } from 'node-pg-migrate';
import pg from 'pg';
import { declareEmbeddedRows } from './declare-embedded-rows.js';
import { addColumnsSql, createTableSql, type MissingPart, missingParts } from './object-tables.js';
import { migrationsFolder } from './schema.js';
import { whenFree } from './when-free.js';

export interface MigrateOptions {
  readonly connectionString: string;
  /** Told, line by line, what is being done. */
  readonly log?: (line: string) => void;
}

export interface MigrationReport {
  /** Migrations of `stripe_sync` that ran now. */
  readonly migrations: readonly string[];
  readonly tablesCreated: readonly string[];
  /** As `table.column`. */
  readonly columnsAdded: readonly string[];
}

const OLDEST_SERVER = 140_000;
// Any number will do, as long as nobody else takes it: "stripe_s" in ASCII.
const LOCK = '8319400208842973043';
// Tables created in one transaction: each takes four locks, of which a small server has about a thousand.
const TABLES_AT_ONCE = 25;
// A table is altered only when nobody holds it: while the statement waits, all who come later wait behind it.
const ALTER_LOCK_TIMEOUT = '3s';
const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * Brings the database up to the code and says what was done. A second starter waits for the first and then
 * finds nothing to do. Throws an error for people where the server is too old or the role may not create.
 */
export async function migrate({
  connectionString,
  log = () => {},
}: MigrateOptions): Promise<MigrationReport> {
  const client = new pg.Client({
    connectionString,
    application_name: 'stripe-sync migrate',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  // The statement that is running fails as well; without a listener the event would end the process.
  client.on('error', () => {});
  await client.connect();
  const server = await readServer(client);
  try {
    if (server.versionNum < OLDEST_SERVER) {
      throw new Error(`PostgreSQL ${server.version} is too old: stripe-sync needs version 14 or later.`);
    }
    await client.query('set statement_timeout = 0; set lock_timeout = 0');
    await takeLock(client, log);
    await createSchema(client, 'stripe_sync');
    await createSchema(client, 'stripe');
    const migrations = await runMigrations(client, log);
    return { migrations, ...(await completeTables(client, server.versionNum, log)) };
  } catch (error) {
    throw explained(error, server);
  } finally {
    await client.end();
  }
}

interface Server {
  readonly version: string;
  readonly versionNum: number;
  readonly role: string;
  readonly database: string;
}

async function readServer(client: pg.Client): Promise<Server> {
  const { rows } = await client.query<Server>(
    `select current_setting('server_version') as version, current_user as role,
       current_setting('server_version_num')::integer as "versionNum", current_database() as database`,
  );
  if (!rows[0]) throw new Error('PostgreSQL did not say which version it is.');
  return rows[0];
}

/** Held until the connection ends, so it cannot stay behind. */
async function takeLock(client: pg.Client, log: (line: string) => void): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>(`select pg_try_advisory_lock(${LOCK}) as taken`);
  if (rows[0]?.taken) return;
  log('another migration is running; waiting for it');
  await client.query(`select pg_advisory_lock(${LOCK})`);
}

/** Asks first: `create schema if not exists` is refused without CREATE even where the schema exists. */
async function createSchema(client: pg.Client, schema: 'stripe' | 'stripe_sync'): Promise<void> {
  const { rowCount } = await client.query('select 1 from pg_catalog.pg_namespace where nspname = $1', [
    schema,
  ]);
  if (rowCount === 0) await client.query(`create schema ${schema}`);
}

async function runMigrations(client: pg.Client, log: (line: string) => void): Promise<string[]> {
  const ran = await runner({
    dbClient: client,
    dir: migrationsFolder,
    direction: 'up',
    migrationsSchema: 'stripe_sync',
    migrationsTable: 'migrations',
    ignorePattern: '(?!.*\\.sql$).*',
    noLock: true,
    // What it says of an error, the error says too.
    logger: { info() {}, warn: log, error() {} },
  });
  for (const { name } of ran) log(`stripe_sync: ${name}`);
  return ran.map(({ name }) => name);
}

async function completeTables(
  client: pg.Client,
  serverVersionNum: number,
  log: (line: string) => void,
): Promise<Omit<MigrationReport, 'migrations'>> {
  const parts = await missingParts(client);
  const created = parts.filter(({ create }) => create);
  for (let at = 0; at < created.length; at += TABLES_AT_ONCE) {
    const batch = created.slice(at, at + TABLES_AT_ONCE);
    // Several statements in one query are one transaction.
    await client.query(batch.map(({ table }) => createTableSql(table, serverVersionNum)).join('\n'));
  }
  if (created.length > 0) log(`stripe: ${created.length} tables created`);
  const altered = parts.filter(({ create }) => !create);
  await client.query(`set lock_timeout = '${ALTER_LOCK_TIMEOUT}'`);
  for (const part of altered) await addColumns(client, part, serverVersionNum, log);
  await declareEmbeddedRows(client, log);
  return {
    tablesCreated: created.map(({ table }) => table.name),
    columnsAdded: altered.flatMap(({ table, columns }) => columns.map(({ name }) => `${table.name}.${name}`)),
  };
}

async function addColumns(
  client: pg.Client,
  { table, columns }: MissingPart,
  serverVersionNum: number,
  log: (line: string) => void,
): Promise<void> {
  log(`stripe.${table.name}: adding ${columns.map(({ name }) => name).join(', ')}`);
  const statement = addColumnsSql(table, columns, serverVersionNum);
  await whenFree(() => client.query(statement), table.name, 'columns cannot be added to it', log);
}

function explained(error: unknown, server: Server): unknown {
  if (!(error instanceof pg.DatabaseError) || error.code !== INSUFFICIENT_PRIVILEGE) return error;
  const role = pg.escapeIdentifier(server.role);
  const database = pg.escapeIdentifier(server.database);
  return new Error(
    `PostgreSQL lets the role ${role} not do this (${error.message}). As an administrator run ` +
      `GRANT CREATE ON DATABASE ${database} TO ${role}; or, where the schemas stripe and stripe_sync exist, ` +
      `run stripe-sync migrate with the role that owns them.`,
    { cause: error },
  );
}
