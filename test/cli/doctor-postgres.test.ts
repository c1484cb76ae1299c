import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from 'vitest';
import { checkPostgres, versionFinding } from '../../src/cli/doctor/postgres-checks.js';
import { writeAccount } from '../../src/postgres/account-row.js';
import { noteConnectedAccount } from '../../src/postgres/connected-account.js';
import { noteAliasOfPlatform } from '../../src/postgres/followed-accounts.js';
import { olderBinaries, startOlderServer } from '../postgres/older-server.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { named, names, troubles } from './reports.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database?.drop());

const PASSWORD = 'hunter2hunter2';

async function checksOf(url: string | undefined, machineNow: () => number = Date.now) {
  const { reports, known } = checkPostgres({
    env: { DATABASE_URL: url },
    account: 'acme',
    machineNow,
    progress: () => undefined,
  });
  const told = { reports: await reports, known: await known };
  expect(JSON.stringify(told)).not.toContain(PASSWORD);
  for (const { group, result, remedy } of told.reports) {
    expect(group).toBe('PostgreSQL');
    expect(remedy === undefined).toBe(result === 'ok');
  }
  return told;
}

const reportsOf = async (url: string | undefined, machineNow?: () => number) =>
  (await checksOf(url, machineNow)).reports;

/** A role of its own that may log in to the database, and the URL as that role; gone with the test. */
async function roleOn(on: TestDatabase, attributes = ''): Promise<{ role: string; url: string }> {
  const role = `doctor_${randomBytes(6).toString('hex')}`;
  await on.pool.query(`create role ${role} login password '${PASSWORD}' ${attributes}`);
  onTestFinished(async () => {
    await on.pool.query(`drop owned by ${role}`);
    await on.pool.query(`drop role ${role}`);
  });
  const url = new URL(on.url);
  url.username = role;
  url.password = PASSWORD;
  return { role, url: url.href };
}

const GRANTS = (role: string) =>
  `grant usage on schema stripe, stripe_sync to ${role};
   grant select, insert, update, delete on all tables in schema stripe, stripe_sync to ${role}`;

describe('a migrated database', () => {
  it('passes all, in this order', async () => {
    const reports = await reportsOf(database.url);
    expect(troubles(reports)).toEqual([]);
    expect(names(reports)).toEqual([
      'reachable',
      'version',
      'encoding',
      'writable',
      'schema',
      'rights',
      'migrations',
      'connections',
      'clock',
      'notifications',
      'change feed',
    ]);
    expect(named(reports, 'version').found).toMatch(/^18\..*virtual/);
    expect(named(reports, 'schema').found).toMatch(/^up to date \(migration \d+\)$/);
  });

  it('tells what it knows of the account', async () => {
    expect((await checksOf(database.url)).known).toEqual({ told: true, row: null });
    await database.pool.query(
      `insert into stripe_sync.accounts (account, key_account, stripe_account, api_version, cursor_created)
       values ('acme', 'acct_1A', 'acct_1B', '2024-06-20', now())`,
    );
    onTestFinished(async () => {
      await database.pool.query("delete from stripe_sync.accounts where account = 'acme'");
    });
    expect((await checksOf(database.url)).known).toEqual({
      told: true,
      row: {
        keyAccount: 'acct_1A',
        keyAlias: null,
        stripeAccount: 'acct_1B',
        apiVersion: '2024-06-20',
        livemode: null,
      },
    });
  });

  it('does not take what a failed start has left for an account that was started', async () => {
    onTestFinished(async () => {
      await database.pool.query("delete from stripe_sync.accounts where account = 'acme'");
    });
    const nothing = { keyAccount: null, apiVersion: null, livemode: null, neverStarted: true };
    await noteConnectedAccount(database.pool, 'acme', 'acct_1B');
    expect((await checksOf(database.url)).known).toEqual({
      told: true,
      row: { ...nothing, stripeAccount: 'acct_1B', keyAlias: null },
    });
    await noteAliasOfPlatform(database.pool, 'acme', 'platform');
    expect((await checksOf(database.url)).known).toEqual({
      told: true,
      row: { ...nothing, stripeAccount: 'acme', keyAlias: 'platform' },
    });
    await writeAccount(database.pool, 'acme', { cursor: null, anchor: 1_800_000_000, apiVersion: null });
    expect((await checksOf(database.url)).known).toEqual({
      told: true,
      row: {
        keyAccount: null,
        apiVersion: null,
        livemode: null,
        stripeAccount: 'acme',
        keyAlias: 'platform',
      },
    });
  });
});

describe('a database that cannot be reached', () => {
  it.each([
    {
      title: 'is not named',
      url: () => undefined,
      found: /^DATABASE_URL is not set$/,
      remedy: /^Give the URL/,
    },
    {
      title: 'is named by something else',
      url: () => 'mysql://root@localhost/x',
      found: /not a PostgreSQL URL/,
      remedy: /postgres:\/\//,
    },
    {
      title: 'is down',
      url: () => `postgres://me:${PASSWORD}@127.0.0.1:1/x`,
      found: /cannot be reached \(ECONNREFUSED\)/,
      remedy: /Start it there/,
    },
    {
      title: 'does not exist',
      url: () => `${database.url}_not`,
      found: /has no database "test_\w+_not"/,
      remedy: /createdb/,
    },
  ])('$title: that alone is told, and the account is unknown', async ({ url, found, remedy }) => {
    const { reports, known } = await checksOf(url());
    expect(reports).toEqual([
      {
        group: 'PostgreSQL',
        check: 'reachable',
        result: 'fail',
        found: expect.stringMatching(found),
        remedy: expect.stringMatching(remedy),
      },
    ]);
    expect(known).toEqual({ told: false });
  });

  it('since the server accepts connections and says nothing, fails within seconds', async () => {
    const server = await listening(createServer(() => undefined));
    const begun = performance.now();
    const reports = await reportsOf(`postgres://me:${PASSWORD}@127.0.0.1:${portOf(server)}/x`);
    expect(reports).toMatchObject([{ check: 'reachable', result: 'fail' }]);
    expect(performance.now() - begun).toBeLessThan(13_000);
  });
});

describe('the version', () => {
  it.each([
    [130_022, '13.22', 'fail'],
    [140_000, '14.0', 'ok'],
    [180_004, '18.4', 'ok'],
  ])('%d is told', (versionNum, version, result) => {
    expect(versionFinding({ version, versionNum })).toMatchObject({
      result,
      found: expect.stringContaining(version),
    });
  });

  const bin = olderBinaries();
  it.skipIf(bin === undefined)('before 18 passes, with stored columns and no schema yet', async () => {
    const server = await startOlderServer(bin as string);
    onTestFinished(server.stop);
    const reports = await reportsOf(server.url);
    expect(named(reports, 'version').found).toMatch(/^1[4-7]\..*stored/);
    expect(troubles(reports)).toEqual(['schema: fail', 'rights: warn', 'change feed: warn']);
  });
});

describe('the encoding', () => {
  it('that cannot hold everything fails', async () => {
    const name = `test_${randomBytes(6).toString('hex')}`;
    await database.pool.query(`create database ${name} encoding 'LATIN1' locale 'C' template template0`);
    onTestFinished(async () => {
      await database.pool.query(`drop database ${name} with (force)`);
    });
    const url = new URL(inject('postgresUrl'));
    url.pathname = `/${name}`;
    expect(named(await reportsOf(url.href), 'encoding')).toMatchObject({
      result: 'fail',
      found: expect.stringContaining('LATIN1'),
      remedy: expect.stringContaining('--encoding=UTF8'),
    });
  });
});

describe('a session', () => {
  it('that is read-only fails', async () => {
    const { role, url } = await roleOn(database);
    await database.pool.query(`${GRANTS(role)}; alter role ${role} set default_transaction_read_only = on`);
    const reports = await reportsOf(url);
    expect(troubles(reports)).toEqual(['writable: fail', 'migrations: warn']);
    expect(named(reports, 'writable').remedy).toContain('default_transaction_read_only = off');
  });

  it('of a role that may open few connections is warned', async () => {
    const { role, url } = await roleOn(database, 'connection limit 12');
    await database.pool.query(GRANTS(role));
    const connections = named(await reportsOf(url), 'connections');
    expect(connections).toMatchObject({ result: 'warn', remedy: expect.stringMatching(/ALTER ROLE/) });
    expect(connections.found).toMatch(/^\d+ are left of the 12 that the role allows$/);
  });
});

describe('the schema', () => {
  it('that was never made fails, with what makes it', async () => {
    const empty = await createTestDatabase();
    onTestFinished(() => empty.drop());
    const reports = await reportsOf(empty.url);
    expect(named(reports, 'schema')).toMatchObject({
      result: 'fail',
      remedy: expect.stringContaining('stripe-sync migrate'),
    });
    expect(troubles(reports)).toEqual(['schema: fail', 'rights: warn', 'change feed: warn']);
  });

  it('that is older fails, and says what it lacks', async () => {
    const older = await createMigratedDatabase();
    onTestFinished(() => older.drop());
    await older.pool.query('alter table stripe.customers drop column email; drop table stripe.coupons');
    expect(named(await reportsOf(older.url), 'schema')).toMatchObject({
      result: 'fail',
      found: expect.stringMatching(/older than this version.*stripe\.coupons/),
      remedy: expect.stringContaining('stripe-sync migrate'),
    });
  });
});

describe('the rights', () => {
  it('of a role that may read and write everything are enough, though it may not migrate', async () => {
    const { role, url } = await roleOn(database);
    await database.pool.query(GRANTS(role));
    const reports = await reportsOf(url);
    expect(troubles(reports)).toEqual(['migrations: warn']);
    expect(named(reports, 'migrations').remedy).toContain(`GRANT CREATE ON DATABASE`);
  });

  it('that are missing for one table fail, by name', async () => {
    const { role, url } = await roleOn(database);
    await database.pool.query(`${GRANTS(role)}; revoke delete on stripe.invoices from ${role}`);
    expect(named(await reportsOf(url), 'rights')).toMatchObject({
      result: 'fail',
      found: `the role ${role} lacks DELETE on stripe.invoices`,
      remedy: expect.stringContaining(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES`),
    });
  });

  it('of a role that may nothing fail, and the other checks are told all the same', async () => {
    const { url } = await roleOn(database);
    const reports = await reportsOf(url);
    expect(named(reports, 'rights').found).toMatch(
      /USAGE on schema stripe, USAGE on schema stripe_sync, .* and \d+ more$/,
    );
    expect(troubles(reports)).toEqual([
      'schema: fail',
      'rights: fail',
      'migrations: warn',
      'change feed: warn',
    ]);
  });

  it('are enough once the remedy was followed', async () => {
    const { url } = await roleOn(database);
    const remedy = named(await reportsOf(url), 'rights').remedy ?? '';
    await database.pool.query(remedy.slice(remedy.indexOf('GRANT')));
    expect(named(await reportsOf(url), 'rights').result).toBe('ok');
  });
});

describe('the clock', () => {
  it.each([
    [0, 'ok', /less than 5 s/],
    [-60, 'warn', /60 s behind PostgreSQL/],
    [7, 'warn', /7 s ahead of PostgreSQL/],
  ])('of this machine, %d s off, is told', async (seconds, result, found) => {
    const clock = named(await reportsOf(database.url, () => Date.now() + seconds * 1000), 'clock');
    expect(clock).toMatchObject({ result, found: expect.stringMatching(found) });
  });
});

describe('notifications', () => {
  it('that something on the way swallows are a warning, within its second', async () => {
    const { port, swallowed } = await swallowingProxy(new URL(database.url));
    const url = new URL(database.url);
    url.host = `127.0.0.1:${port}`;
    const reports = await reportsOf(url.href);
    expect(swallowed()).toBe(1);
    expect(troubles(reports)).toEqual(['notifications: warn']);
    expect(named(reports, 'notifications').remedy).toContain('session mode');
  });
});

describe('the change feed', () => {
  it('that lacks changes is a warning, and its remedy puts them in', async () => {
    const written = await createMigratedDatabase();
    onTestFinished(() => written.drop());
    await written.pool.query(
      `insert into stripe_sync.unnumbered_changes (account, object, id, kind, as_of, changed)
       select 'acme', 'customer', 'cus_' || n, 'updated', now(), '{}' from generate_series(1, 3) n`,
    );
    const feed = named(await reportsOf(written.url), 'change feed');
    expect(feed).toMatchObject({
      result: 'warn',
      found: expect.stringMatching(/^3 of the changes of a transaction that ended /),
    });
    await written.pool.query(feed.remedy?.replace('Number them: ', '') ?? '');
    expect(named(await reportsOf(written.url), 'change feed').result).toBe('ok');
    const { rowCount } = await written.pool.query('select from stripe_sync.changes');
    expect(rowCount).toBe(3);
  });

  it('is not taken for lacking what a transaction under way has still to number', async () => {
    const client = new pg.Client(database.url);
    await client.connect();
    onTestFinished(() => client.end());
    await client.query(
      `begin; insert into stripe_sync.unnumbered_changes (account, object, id, kind, as_of, changed)
       values ('acme', 'customer', 'cus_1', 'updated', now(), '{}')`,
    );
    expect(named(await reportsOf(database.url), 'change feed').result).toBe('ok');
    await client.query('rollback');
  });
});

it('nothing is left connected', async () => {
  await reportsOf(database.url);
  await vi.waitFor(async () => {
    const { rows } = await database.pool.query(
      "select pid from pg_stat_activity where datname = current_database() and application_name like '%doctor%'",
    );
    expect(rows).toEqual([]);
  }, 3_000);
});

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

async function listening(server: Server): Promise<Server> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server;
}

/** Hands on what both sides say, but for notifications (messages of type A), as a pooler between transactions does. */
async function swallowingProxy(target: URL): Promise<{ port: number; swallowed: () => number }> {
  let swallowed = 0;
  const server = createServer((near) => {
    const far = connect({ host: target.hostname, port: Number(target.port) });
    let unread = Buffer.alloc(0);
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.pipe(far);
    far.on('data', (part: Buffer) => {
      unread = Buffer.concat([unread, part]);
      while (unread.length >= 5 && unread.length > unread.readUInt32BE(1)) {
        const message = unread.subarray(0, unread.readUInt32BE(1) + 1);
        unread = unread.subarray(message.length);
        if (String.fromCharCode(message[0] ?? 0) === 'A') swallowed += 1;
        else near.write(message);
      }
    });
  });
  await listening(server);
  return { port: portOf(server), swallowed: () => swallowed };
}
