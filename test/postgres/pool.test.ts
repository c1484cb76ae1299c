import type { Pool } from 'pg';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { isTransientPostgresError } from '../../src/postgres/errors.js';
import { createPool, transaction } from '../../src/postgres/pool.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let pool: Pool;
const onConnectionLost = vi.fn();

beforeEach(async () => {
  onConnectionLost.mockClear();
  database = await createTestDatabase();
  pool = createPool({
    connectionString: database.url,
    applicationName: 'pool test',
    max: 2,
    statementTimeoutMs: 2_000,
    lockTimeoutMs: 1_000,
    idleInTransactionTimeoutMs: 500,
    onConnectionLost,
  });
  await pool.query('create table notes (text text primary key)');
});
afterEach(async () => {
  await pool.end();
  await database.drop();
});

const terminate = (pid: number) => database.pool.query('select pg_terminate_backend($1)', [pid]);
const ownPid = async (client: Pick<Pool, 'query'>): Promise<number> =>
  (await client.query('select pg_backend_pid() as pid')).rows[0].pid;
const notes = async () => (await database.pool.query('select text from notes order by text')).rows;

test('an idle connection that dies is reported and replaced', async () => {
  await terminate(await ownPid(pool));
  await vi.waitFor(() => expect(onConnectionLost).toHaveBeenCalled());
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('a connection that dies between two statements fails its transaction and nothing else', async () => {
  const attempt = transaction(pool, async (client) => {
    await client.query(`insert into notes values ('lost')`);
    await terminate(await ownPid(client));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await client.query(`insert into notes values ('never')`);
  });
  const error = await attempt.catch((reason: unknown) => reason);
  expect(isTransientPostgresError(error)).toBe(true);
  expect(await notes()).toEqual([]);
  expect(await transaction(pool, async (client) => (await client.query('select 1 as one')).rows)).toEqual([
    { one: 1 },
  ]);
  expect(pool.totalCount).toBeLessThanOrEqual(1);
});

test('a transaction that sits idle for too long is ended', async () => {
  const attempt = transaction(pool, async (client) => {
    await client.query(`insert into notes values ('lost')`);
    await new Promise((resolve) => setTimeout(resolve, 900));
    await client.query('select 1');
  });
  const error = await attempt.catch((reason: unknown) => reason);
  expect(isTransientPostgresError(error)).toBe(true);
  expect(await notes()).toEqual([]);
});

test('a server that falls silent is given up, and the connection is not used again', async () => {
  const impatient = createPool({
    connectionString: database.url,
    applicationName: 'pool test',
    statementTimeoutMs: 200,
    silenceMs: 200,
  });
  const attempt = transaction(impatient, async (client) => {
    await client.query('set local statement_timeout = 0');
    await client.query('select pg_sleep(3)');
  });
  const begin = Date.now();
  const error = await attempt.catch((reason: unknown) => reason);
  expect(Date.now() - begin).toBeLessThan(1_500);
  expect(isTransientPostgresError(error)).toBe(true);
  expect(impatient.totalCount).toBe(0);
  await impatient.end();
});

test('what a transaction returns is returned once it is committed', async () => {
  const result = await transaction(pool, async (client) => {
    await client.query(`insert into notes values ('kept')`);
    return 'done';
  });
  expect(result).toBe('done');
  expect(await notes()).toEqual([{ text: 'kept' }]);
});

test('a transaction that throws leaves nothing behind, and its connection is used again', async () => {
  const failure = new Error('changed my mind');
  const pids: number[] = [];
  const attempt = transaction(pool, async (client) => {
    pids.push(await ownPid(client));
    await client.query(`insert into notes values ('undone')`);
    throw failure;
  });
  await expect(attempt).rejects.toBe(failure);
  expect(await notes()).toEqual([]);
  await transaction(pool, async (client) => pids.push(await ownPid(client)));
  expect(pids[1]).toBe(pids[0]);
});

test('a statement that failed inside and was caught does not look like success', async () => {
  const attempt = transaction(pool, async (client) => {
    await client.query(`insert into notes values ('undone')`);
    await client.query('select 1 / 0').catch(() => {});
    return 'done';
  });
  await expect(attempt).rejects.toThrow(/rolled back/);
  expect(await notes()).toEqual([]);
});

test('transactions are READ COMMITTED whatever the default of the database', async () => {
  await pool.query(`set default_transaction_isolation = 'serializable'`);
  const level = await transaction(pool, async (client) => {
    const { rows } = await client.query('show transaction_isolation');
    return rows[0].transaction_isolation;
  });
  expect(level).toBe('read committed');
});

test('the limits and the name that were given are those of the session', async () => {
  const { rows } = await pool.query(
    `select name, setting from pg_settings where name in
     ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'application_name')`,
  );
  expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
    statement_timeout: '2000',
    lock_timeout: '1000',
    idle_in_transaction_session_timeout: '500',
    application_name: 'pool test',
  });
});

test('a bigint is a number as long as a number holds it exactly, and its digits beyond', async () => {
  const { rows } = await pool.query(
    `select (select count(*) from notes) as count, 9007199254740991::bigint as most, 9007199254740992::bigint as beyond,
       (-9223372036854775808)::bigint as least, 0.10::numeric as decimal, null::bigint as nothing
     `,
  );
  expect(rows).toEqual([
    {
      count: 0,
      most: 9_007_199_254_740_991,
      beyond: '9007199254740992',
      least: '-9223372036854775808',
      decimal: '0.10',
      nothing: null,
    },
  ]);
});
