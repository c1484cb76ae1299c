/** What a sync needs of PostgreSQL. Every statement only reads; LISTEN and pg_notify leave nothing behind. */
import pg, { type Pool } from 'pg';
import { loadConfig } from '../../config.js';
import { connectionsLeft } from '../../postgres/connections-left.js';
import { countUnnumbered } from '../../postgres/count-unnumbered.js';
import { hearsNotifications } from '../../postgres/hears-notifications.js';
import { mayMigrate, missingRights } from '../../postgres/missing-rights.js';
import { createPool } from '../../postgres/pool.js';
import { readKnownAccount } from '../../postgres/read-known-account.js';
import { assertMigrated, currentSchemaVersion } from '../../postgres/schema.js';
import { readServerClock, readServerFacts, type ServerFacts } from '../../postgres/server-facts.js';
import { assertReachable } from '../database.js';
import { within } from '../shutdown.js';
import {
  type CheckReport,
  createExaminer,
  type Examiner,
  type Finding,
  fail,
  failed,
  OUTER_DEADLINE_MS,
  ok,
  warn,
} from './check.js';
import { clockFinding, clockOffset } from './clock-offset.js';
import type { Examination } from './examination.js';
import type { KnownAccount } from './known-account.js';

const STATEMENT_TIMEOUT_MS = 8_000;
const HEAR_WITHIN_MS = 1_000;
const END_WITHIN_MS = 1_000;
const OLDEST_SERVER = 140_000;
const VIRTUAL_COLUMNS = 180_000;
/** A worker opens up to 17, and commands some beside it. */
const ENOUGH_CONNECTIONS = 20;
const INSUFFICIENT_PRIVILEGE = '42501';
const UNDEFINED_TABLE = '42P01';

export interface PostgresChecks {
  readonly reports: Promise<CheckReport[]>;
  /** What the tables know of the account; resolves in any case. */
  readonly known: Promise<KnownAccount>;
}

export function checkPostgres(examination: Examination): PostgresChecks {
  let tell: (known: KnownAccount) => void = () => {};
  const known = new Promise<KnownAccount>((resolve) => {
    tell = resolve;
  });
  const reports = checkAll(examination, tell).finally(() => tell({ told: false }));
  return { reports, known };
}

async function checkAll(
  { env, account, machineNow, progress }: Examination,
  tell: (known: KnownAccount) => void,
): Promise<CheckReport[]> {
  const { check } = createExaminer('PostgreSQL');
  progress('PostgreSQL', 'connecting');
  let url: string | null = null;
  const reachable = await check(
    'reachable',
    async () => {
      const { databaseUrl } = loadConfig({ DATABASE_URL: env.DATABASE_URL });
      const begun = performance.now();
      await assertReachable(databaseUrl);
      url = databaseUrl;
      return ok(`${placeOf(databaseUrl)} let us in after ${Math.round(performance.now() - begun)} ms`);
    },
    OUTER_DEADLINE_MS,
  );
  if (url === null) return [reachable];
  const pool = createPool({
    connectionString: url,
    applicationName: 'stripe-sync doctor',
    max: 4,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    silenceMs: 1_000,
    connectTimeoutMs: STATEMENT_TIMEOUT_MS,
  });
  try {
    readKnownAccount(pool, account).then(
      (row) => tell({ told: true, row }),
      () => tell({ told: false }),
    );
    progress('PostgreSQL', 'under way');
    const reports = await Promise.all(checksOf(check, pool, url, machineNow));
    progress('PostgreSQL', 'done');
    return [reachable, ...reports];
  } finally {
    await within(
      pool.end().catch(() => undefined),
      END_WITHIN_MS,
    );
  }
}

function checksOf(
  check: Examiner['check'],
  pool: Pool,
  url: string,
  machineNow: () => number,
): Promise<CheckReport>[] {
  const facts = readServerFacts(pool);
  // Each check below awaits it, and tells of its failure.
  facts.catch(() => undefined);
  return [
    check('version', async () => versionFinding(await facts)),
    check('encoding', async () => encodingFinding(await facts)),
    check('writable', async () => writableFinding(await facts)),
    check('schema', () => schemaFinding(pool)),
    check('rights', async () => rightsFinding(pool, await facts)),
    check('migrations', async () => migrateFinding(await mayMigrate(pool), await facts)),
    check('connections', () => connectionsFinding(pool)),
    check('clock', async () => {
      const begun = performance.now();
      const seconds = await readServerClock(pool);
      const told = { seconds, receivedMs: machineNow(), tookMs: performance.now() - begun };
      return clockFinding('PostgreSQL', clockOffset([told], 0) ?? 0);
    }),
    check('notifications', async () => heardFinding(await hearsNotifications(url, pool, HEAR_WITHIN_MS))),
    check('change feed', () => unlessTold(feedFinding(pool))),
  ];
}

/** Where the URL leads, without its password. */
function placeOf(databaseUrl: string): string {
  const { host, port, user, database } = new pg.Client(databaseUrl);
  return `${host.startsWith('/') ? host : `${host}:${port}`}, database ${database}, role ${user},`;
}

export function versionFinding({
  version,
  versionNum,
}: Pick<ServerFacts, 'version' | 'versionNum'>): Finding {
  if (versionNum < OLDEST_SERVER)
    return fail(`${version}, which is too old`, 'Upgrade the server to PostgreSQL 14 or later.');
  const columns =
    versionNum >= VIRTUAL_COLUMNS ? 'virtual: they take no space' : 'stored; virtual from 18 on';
  return ok(`${version} (typed columns are ${columns})`);
}

function encodingFinding({ encoding, database }: ServerFacts): Finding {
  if (encoding === 'UTF8') return ok(encoding);
  return fail(
    `the database ${database} has the encoding ${encoding}, in which not all that Stripe sends can be stored`,
    `Create another one (createdb --encoding=UTF8 --template=template0), and name it in DATABASE_URL.`,
  );
}

function writableFinding({ standby, readOnly, role }: ServerFacts): Finding {
  if (standby)
    return fail('the server is a standby, which nobody can write to', 'Name the primary in DATABASE_URL.');
  if (!readOnly) return ok('not a standby, and transactions may write');
  return fail(
    'transactions are read-only',
    `Switch it off: ALTER ROLE ${pg.escapeIdentifier(role)} SET default_transaction_read_only = off, or take it out of DATABASE_URL and of the server's settings.`,
  );
}

async function schemaFinding(pool: Pool): Promise<Finding> {
  try {
    await assertMigrated(pool);
    return ok(`up to date (migration ${await currentSchemaVersion(pool)})`);
  } catch (error) {
    if ((error as { code?: unknown }).code !== INSUFFICIENT_PRIVILEGE) return failed(error);
    return fail('the role may not look at the schemas', 'Grant it the rights that are named below.');
  }
}

/** The most rights that one line names. */
const MOST_NAMED = 3;

async function rightsFinding(pool: Pool, { role }: ServerFacts): Promise<Finding> {
  const { tables, schemas, rights } = await missingRights(pool);
  const missing = [...schemas.map((schema) => `USAGE on schema ${schema}`), ...rights];
  if (missing.length === 0) {
    if (tables > 0) return ok(`may read and write all ${tables} tables and views`);
    return warn('there are no tables yet to have rights on', 'Create them with: stripe-sync migrate');
  }
  const more = missing.length - MOST_NAMED;
  const to = pg.escapeIdentifier(role);
  return fail(
    `the role ${role} lacks ${missing.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`,
    `As the owner run: GRANT USAGE ON SCHEMA stripe, stripe_sync TO ${to}; ` +
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA stripe, stripe_sync TO ${to};`,
  );
}

function migrateFinding(may: boolean, { role, database }: ServerFacts): Finding {
  if (may) return ok(`the role ${role} may run stripe-sync migrate`);
  return warn(
    `the role ${role} may not run stripe-sync migrate, which nothing else needs`,
    `Migrate as the role that owns the schemas, or: GRANT CREATE ON DATABASE ${pg.escapeIdentifier(database)} TO ${pg.escapeIdentifier(role)};`,
  );
}

async function connectionsFinding(pool: Pool): Promise<Finding> {
  const { left, limit, most } = await connectionsLeft(pool);
  const found = `${left} are left of the ${most} that the ${limit} allows`;
  if (left >= ENOUGH_CONNECTIONS) return ok(found);
  const raise = {
    server: 'raise max_connections',
    database: 'raise the limit of the database (ALTER DATABASE … CONNECTION LIMIT)',
    role: 'raise the limit of the role (ALTER ROLE … CONNECTION LIMIT)',
  };
  return warn(found, `A worker takes up to 17: close some, or ${raise[limit]}.`);
}

function heardFinding(heard: boolean): Finding {
  if (heard) return ok('LISTEN hears what NOTIFY tells');
  return warn(
    'LISTEN does not hear what NOTIFY tells, so news are looked for once a second instead',
    'Connect directly, or through a pooler in session mode (DATABASE_URL).',
  );
}

async function feedFinding(pool: Pool): Promise<Finding> {
  const { changes, transactions } = await countUnnumbered(pool);
  if (changes === 0) return ok('all changes have their numbers');
  const ofThem = transactions === 1 ? 'a transaction that ended' : `${transactions} transactions that ended`;
  return warn(
    `${changes} of the changes of ${ofThem} never got a number, so the feed lacks them`,
    'Number them: BEGIN; UPDATE stripe_sync.unnumbered_changes SET transaction = pg_current_xact_id(); SELECT stripe_sync.number_changes(); COMMIT;',
  );
}

/** What other checks tell of already is no second failure. */
async function unlessTold(finding: Promise<Finding>): Promise<Finding> {
  try {
    return await finding;
  } catch (error) {
    switch ((error as { code?: unknown }).code) {
      case UNDEFINED_TABLE:
        return warn('it is not there to be looked at', 'Create it with: stripe-sync migrate');
      case INSUFFICIENT_PRIVILEGE:
        return warn('the role may not look at it', 'Grant it the rights that are named above.');
    }
    throw error;
  }
}
