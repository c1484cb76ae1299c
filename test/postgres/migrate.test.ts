import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { embeddings } from '../../src/postgres/embedded-rows.js';
import { migrate } from '../../src/postgres/migrate.js';
import { objectTables } from '../../src/postgres/object-tables.js';
import { assertMigrated, currentSchemaVersion } from '../../src/postgres/schema.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

const run = (log?: (line: string) => void) =>
  migrate({ connectionString: database.url, ...(log && { log }) });
const nothingDone = { migrations: [], tablesCreated: [], columnsAdded: [] };

test('an empty database gets all schemas within a few seconds, and a second run finds nothing to do', async () => {
  const begin = Date.now();
  const report = await run();
  expect(Date.now() - begin).toBeLessThan(10_000);
  expect(report.migrations).toEqual([
    '0001_inbox_and_ledger',
    '0002_lateness',
    '0003_change_feed',
    '0004_listings',
    '0005_audits',
    '0006_change_numbers',
    '0007_transactions',
    '0008_connected_accounts',
    '0009_livemode',
  ]);
  expect(report.tablesCreated).toHaveLength(objectTables().length);
  await assertMigrated(database.pool);
  expect(await currentSchemaVersion(database.pool)).toBe(9);
  expect(await run()).toEqual(nothingDone);
});

test('every object table has the contract’s columns and its typed ones', async () => {
  await run();
  const { rows } = await database.pool.query(
    `select table_name, array_agg(column_name::text || ' ' || udt_name order by ordinal_position) as columns
     from information_schema.columns where table_schema = 'stripe' group by 1`,
  );
  const types: Record<string, string> = { boolean: 'bool', bigint: 'int8' };
  const embedded = new Set(embeddings().map(({ object }) => object));
  const expected = objectTables().map(({ name, object, columns }) => ({
    table_name: name,
    columns: [
      'account text',
      'id text',
      'data jsonb',
      'as_of timestamptz',
      'as_of_until timestamptz',
      'deleted bool',
      'source text',
      ...columns.map((column) => `${column.name} ${types[column.type] ?? column.type}`),
      ...(embedded.has(object) ? ['parent_id text'] : []),
    ],
  }));
  const byName = (a: { table_name: string }, b: { table_name: string }) =>
    a.table_name < b.table_name ? -1 : 1;
  expect(rows.sort(byName)).toEqual(expected.sort(byName));
});

test('a customer can be written and read through its typed columns', async () => {
  await run();
  const customer = {
    id: 'cus_1',
    email: 'a@example.com',
    created: 1_700_000_000,
    delinquent: false,
    balance: -5,
  };
  await database.pool.query(
    `insert into stripe.customers (account, id, data, as_of, as_of_until, source)
     values ('main', 'cus_1', $1, now(), now(), 'evt_1')`,
    [customer],
  );
  const { rows } = await database.pool.query(
    'select email, created, delinquent, balance::integer, deleted from stripe.customers',
  );
  expect(rows).toEqual([
    {
      email: 'a@example.com',
      created: new Date(1_700_000_000_000),
      delinquent: false,
      balance: -5,
      deleted: false,
    },
  ]);
});

test('several starters at once all succeed, and the work is done once', async () => {
  const lines: string[] = [];
  const reports = await Promise.all([1, 2, 3, 4].map(() => run((line) => lines.push(line))));
  expect(reports.filter(({ migrations }) => migrations.length > 0)).toHaveLength(1);
  expect(reports.filter(({ tablesCreated }) => tablesCreated.length > 0)).toHaveLength(1);
  expect(lines).toContain('another migration is running; waiting for it');
  await assertMigrated(database.pool);
});

test('columns and tables that a newer catalog knows are added, with their values', async () => {
  await run();
  await database.pool.query(
    `insert into stripe.customers (account, id, data, as_of, as_of_until, source)
     values ('main', 'cus_1', '{"email": "a@example.com"}', now(), now(), 'evt_1')`,
  );
  await database.pool.query('alter table stripe.customers drop column email, drop column balance');
  await database.pool.query('drop table stripe.coupons');
  await expect(assertMigrated(database.pool)).rejects.toThrow(
    /lacks .*stripe\.coupons, balance, email in stripe\.customers.*stripe-sync migrate/,
  );
  const report = await run();
  expect(report).toEqual({
    migrations: [],
    tablesCreated: ['coupons'],
    columnsAdded: ['customers.balance', 'customers.email'],
  });
  const { rows } = await database.pool.query('select email from stripe.customers');
  expect(rows).toEqual([{ email: 'a@example.com' }]);
  await assertMigrated(database.pool);
});

test('what somebody else added is left alone', async () => {
  await run();
  await database.pool.query('alter table stripe.customers add column "Team" text');
  await database.pool.query('create table stripe.mine (a integer)');
  await database.pool.query("create index on stripe.customers ((data->>'email'))");
  expect(await run()).toEqual(nothingDone);
  const { rows } = await database.pool.query(
    `select count(*)::integer as kept from information_schema.columns
     where table_schema = 'stripe' and (column_name = 'Team' or table_name = 'mine')`,
  );
  expect(rows).toEqual([{ kept: 2 }]);
});

test('a table in use is altered once it is free', async () => {
  await run();
  await database.pool.query('alter table stripe.customers drop column email');
  const holder = await database.pool.connect();
  await holder.query('begin; select * from stripe.customers');
  const lines: string[] = [];
  const migration = run((line) => lines.push(line));
  await expect.poll(() => lines, { timeout: 10_000 }).toContain('stripe.customers is in use; trying again');
  await holder.query('commit');
  holder.release();
  expect((await migration).columnsAdded).toEqual(['customers.email']);
});

test('a database of a newer version passes', async () => {
  await run();
  await database.pool.query(
    `insert into stripe_sync.migrations (name, run_on) values ('0009_something_newer', now())`,
  );
  await assertMigrated(database.pool);
  expect(await run()).toEqual(nothingDone);
});

test('without its schemas the database is refused with what to run', async () => {
  expect(await currentSchemaVersion(database.pool)).toBeNull();
  await expect(assertMigrated(database.pool)).rejects.toThrow(/stripe-sync migrate/);
});

test('a role that may not create schemas is told what to grant', async () => {
  const role = `limited_${new URL(database.url).pathname.slice(6, 14)}`;
  await database.pool.query(`create role ${role} login password 'x'`);
  const url = new URL(database.url);
  url.username = role;
  url.password = 'x';
  try {
    const name = url.pathname.slice(1);
    await expect(migrate({ connectionString: url.href })).rejects.toThrow(
      `GRANT CREATE ON DATABASE "${name}" TO "${role}"`,
    );
    await database.pool.query(`grant create on database ${name} to ${role}`);
    await migrate({ connectionString: url.href });
    const limited = new pg.Pool({ connectionString: url.href });
    await assertMigrated(limited);
    await limited.end();
  } finally {
    await database.pool.query(`drop owned by ${role}; drop role ${role}`);
  }
});

test('the ledger takes no event twice, and no outcome or source that it does not know', async () => {
  await run();
  const insert = (id: string, source: string, outcome: string | null) =>
    database.pool.query(
      `insert into stripe_sync.events (account, id, type, created, event, source, seen_at, outcome)
       values ('main', $1, 'x', now(), '{}', $2, now(), $3)`,
      [id, source, outcome],
    );
  await insert('evt_1', 'poll', null);
  await expect(insert('evt_1', 'webhook', null)).rejects.toMatchObject({ code: '23505' });
  await expect(insert('evt_2', 'rumour', null)).rejects.toMatchObject({ code: '23514' });
  await expect(insert('evt_2', 'rescan', 'lost')).rejects.toMatchObject({ code: '23514' });
  for (const outcome of ['applied', 'stale', 'fetched', 'ignored', 'parked']) {
    await insert(`evt_${outcome}`, 'rescan', outcome);
  }
});

test('every table and every column of the ledger says in psql what it is', async () => {
  await run();
  const { rows } = await database.pool.query(
    `select c.oid::regclass::text as table, a.attname as column
     from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace in ('stripe'::regnamespace, 'stripe_sync'::regnamespace) and c.relkind = 'r'
       and c.relname <> 'migrations' and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
       and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)`,
  );
  expect(rows).toEqual([]);
});
