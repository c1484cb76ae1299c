import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from '../../src/sandbox/embedded-postgres.js';
import { freePort, PortInUseError } from '../../src/sandbox/ports.js';
import {
  hydrateSymlinks,
  locatePostgres,
  ROOT_STATE_DIRECTORY,
} from '../../src/sandbox/postgres-binaries.js';
import { processStart } from '../../src/sandbox/process-identity.js';

const isRoot = process.getuid?.() === 0;

async function query<Row extends pg.QueryResultRow>(url: string, statement: string): Promise<Row[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Row>(statement)).rows;
  } finally {
    await client.end();
  }
}

const identifier = (server: EmbeddedPostgres): Promise<{ system_identifier: string }[]> =>
  query(server.url, 'SELECT system_identifier::text FROM pg_control_system()');

describe('the embedded PostgreSQL', () => {
  let parent: string;
  let directory: string;
  const running: EmbeddedPostgres[] = [];

  const start = async (options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> => {
    const server = await startEmbeddedPostgres({ directory, port: await freePort(), ...options });
    running.push(server);
    return server;
  };

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'stripe-sync-test-'));
    chmodSync(parent, 0o755);
    directory = join(parent, 'postgres');
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((server) => server.stop()));
    rmSync(parent, { recursive: true, force: true });
  });

  it('keeps its data and its password from one start to the next', async () => {
    const first = await start();
    await query(first.url, 'CREATE TABLE note AS SELECT 42 AS answer');
    const before = await identifier(first);
    await first.stop();
    expect(processStart(first.pid)).toBeUndefined();
    expect(existsSync(join(directory, 'data', 'postmaster.pid'))).toBe(false);

    const second = await start({ port: first.port });
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'SELECT answer FROM note')).toEqual([{ answer: 42 }]);
    expect(await identifier(second)).toEqual(before);
  });

  it('recovers what was committed after kill -9 of the server', async () => {
    const first = await start();
    await query(first.url, 'CREATE TABLE note AS SELECT 42 AS answer');
    process.kill(first.pid, 'SIGKILL');
    expect(await first.exited).toBe('signal SIGKILL');
    expect(existsSync(join(directory, 'data', 'postmaster.pid'))).toBe(true);
    await first.stop();

    const second = await start();
    expect(await query(second.url, 'SELECT answer FROM note')).toEqual([{ answer: 42 }]);
  });

  it('starts although the pid in a stale postmaster.pid belongs to another process now', async () => {
    const first = await start();
    await first.stop();
    // Of the same user: PostgreSQL itself takes such a process for a running server and refuses.
    const { uid, gid } = statSync(join(directory, 'data'));
    const other = spawn('sleep', ['60'], { stdio: 'ignore', ...(isRoot && { uid, gid }) });
    try {
      const lines = [other.pid, join(directory, 'data'), 1, first.port, '', '127.0.0.1', ''];
      writeFileSync(join(directory, 'data', 'postmaster.pid'), `${lines.join('\n')}\n`);
      const second = await start();
      expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect(other.exitCode).toBeNull();
    } finally {
      other.kill('SIGKILL');
    }
  });

  it('makes the database again when an earlier run was killed while it made it', async () => {
    mkdirSync(join(directory, 'data', 'base'), { recursive: true });
    mkdirSync(join(directory, 'data.new-1', 'base'), { recursive: true });
    const lines: string[] = [];
    const server = await start({ log: (line) => void lines.push(line) });
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(lines).toEqual([`${join(directory, 'data')} holds no finished database: creating it again`]);
    expect(readdirSync(directory).sort()).toEqual(['data', 'password', 'postgres.log', 'server.json']);
  });

  it('names the port that another program has, and starts on a free one afterwards', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const { port } = blocker.address() as { port: number };
    const failed = start({ port });
    await expect(failed).rejects.toThrow(PortInUseError);
    await expect(failed).rejects.toThrow(`127.0.0.1:${port}`);
    blocker.close();
    const server = await start();
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('refuses a directory whose server runs, and leaves that server alone', async () => {
    const first = await start();
    await expect(start()).rejects.toThrow(
      `running already for this directory, started by process ${process.pid}`,
    );
    expect(await query(first.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('says so when the data is of another major version', async () => {
    await (await start()).stop();
    writeFileSync(join(directory, 'data', 'PG_VERSION'), '13\n');
    await expect(start()).rejects.toThrow(
      /made by PostgreSQL 13, and this is 18\. Remove .*data to start anew/,
    );
  });

  it('speaks UTF-8, sorts alike everywhere, and listens on 127.0.0.1 only, behind a password', async () => {
    const server = await start({ durable: false });
    const show = (name: string): Promise<unknown> =>
      query<Record<string, unknown>>(server.url, `SHOW ${name}`).then(([row]) => row?.[name]);
    expect(await show('server_encoding')).toBe('UTF8');
    expect(await show('listen_addresses')).toBe('127.0.0.1');
    expect(await show('unix_socket_directories')).toBe('');
    expect(await show('max_connections')).toBe('200');
    expect(await show('fsync')).toBe('off');
    const locale =
      'SELECT datlocprovider, datlocale, datcollate FROM pg_database WHERE datname = current_database()';
    expect(await query(server.url, locale)).toEqual([
      { datlocprovider: 'b', datlocale: 'C.UTF-8', datcollate: 'C' },
    ]);
    expect(await query(server.url, "SELECT upper('é') AS letter")).toEqual([{ letter: 'É' }]);
    const wrong = server.url.replace(/:[0-9a-f]{32}@/, ':wrong@');
    await expect(query(wrong, 'SELECT 1')).rejects.toThrow('password authentication failed');
    expect(lstatSync(join(directory, 'password')).mode & 0o077).toBe(0);
  });

  it('is durable unless it is told otherwise', async () => {
    const server = await start();
    expect(await query(server.url, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
    expect(await query(server.url, 'SHOW synchronous_commit')).toEqual([{ synchronous_commit: 'on' }]);
  });

  it('quotes the log when the server does not come up', async () => {
    await (await start()).stop();
    const file = join(directory, 'data', 'postgresql.auto.conf');
    writeFileSync(file, 'no_such_setting = 1\n');
    await expect(start()).rejects.toThrow(
      /PostgreSQL ended while it started \(exit code 1\)[\s\S]*no_such_setting/,
    );
  });

  it.runIf(isRoot)('runs for root in a directory that no other user can enter', async () => {
    chmodSync(parent, 0o700);
    const lines: string[] = [];
    const first = await start({ log: (line) => void lines.push(line) });
    await query(first.url, 'CREATE TABLE note AS SELECT 42 AS answer');
    const [{ data_directory: place } = { data_directory: '' }] = await query<{ data_directory: string }>(
      first.url,
      'SHOW data_directory',
    );
    try {
      expect(place.startsWith(`${ROOT_STATE_DIRECTORY}/cluster-`)).toBe(true);
      expect(lines.join('\n')).toContain(`its data lies in ${place}`);
      await first.stop();
      const second = await start();
      expect(await query(second.url, 'SELECT answer FROM note')).toEqual([{ answer: 42 }]);
      await second.stop();

      rmSync(directory, { recursive: true });
      const anew = await start();
      await expect(query(anew.url, 'SELECT answer FROM note')).rejects.toThrow('does not exist');
      await anew.remove();
      expect([directory, dirname(place)].filter((path) => existsSync(path))).toEqual([]);
    } finally {
      rmSync(dirname(place), { recursive: true, force: true });
    }
  });
});

describe('the installation of the embedded PostgreSQL', () => {
  const copy = mkdtempSync(join(tmpdir(), 'stripe-sync-test-'));
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  it.runIf(process.platform === 'linux')('is completed where npm ran no install scripts', () => {
    const installed = dirname(dirname(locatePostgres(undefined, console.log).postgres));
    const native = join(copy, 'native');
    cpSync(installed, native, { recursive: true, verbatimSymlinks: true });
    const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as { target: string }[];
    for (const { target } of links) rmSync(join(copy, target), { force: true });
    const version = () => spawnSync(join(native, 'bin', 'postgres'), ['--version'], { encoding: 'utf8' });
    expect(version().stderr).toContain('cannot open shared object file');
    hydrateSymlinks(native);
    expect(version().stdout).toMatch(/^postgres \(PostgreSQL\) \d+/);
  });
});
