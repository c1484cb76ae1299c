import { DatabaseError, type Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRefusedData, isTransientPostgresError, postgresErrorSummary } from '../../src/postgres/errors.js';
import { createPool } from '../../src/postgres/pool.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({
    connectionString: database.url,
    applicationName: 'test',
    statementTimeoutMs: 300,
    lockTimeoutMs: 100,
  });
  await pool.query('create table secrets (name text constraint secrets_name_key unique not null)');
  await pool.query(`insert into secrets values ('jane@example.com')`);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function errorOf(statement: string, values: unknown[] = []): Promise<unknown> {
  return pool.query(statement, values).then(
    () => expect.unreachable('the statement should fail'),
    (error) => error,
  );
}

function withCode(code: string): DatabaseError {
  return Object.assign(new DatabaseError('x', 1, 'error'), { code, severity: 'ERROR' });
}

test.each([
  '08006',
  '08P01',
  '40001',
  '40P01',
  '53100',
  '53300',
  '55P03',
  '57P01',
  '57P03',
  '57014',
  '25006',
])('error %s is worth another try', (code) => {
  expect(isTransientPostgresError(withCode(code))).toBe(true);
  expect(isRefusedData(withCode(code))).toBe(false);
});

test.each(['22P02', '22P05', '22003', '23505', '23502', '23514', '54001'])(
  'error %s means that this data will never go in',
  (code) => {
    expect(isRefusedData(withCode(code))).toBe(true);
    expect(isTransientPostgresError(withCode(code))).toBe(false);
  },
);

test.each(['42601', '42P01', '42501', '0A000', '28P01'])(
  'error %s is neither: somebody has to act',
  (code) => {
    expect(isTransientPostgresError(withCode(code))).toBe(false);
    expect(isRefusedData(withCode(code))).toBe(false);
  },
);

describe('as PostgreSQL really answers', () => {
  test('a value that is taken already is refused data, and the summary does not quote it', async () => {
    const error = await errorOf('insert into secrets values ($1)', ['jane@example.com']);
    expect(isRefusedData(error)).toBe(true);
    expect(postgresErrorSummary(error)).toBe(
      'PostgreSQL answered with error 23505 on public.secrets, constraint secrets_name_key.',
    );
  });

  test('text that is no JSON is refused data, and the summary does not quote it', async () => {
    const error = await errorOf('select $1::jsonb', ['jane@example.com']);
    expect(isRefusedData(error)).toBe(true);
    expect(postgresErrorSummary(error)).not.toContain('jane');
  });

  test('a statement that runs for too long is worth another try', async () => {
    expect(isTransientPostgresError(await errorOf('select pg_sleep(5)'))).toBe(true);
  });

  test('a lock that is held for too long is worth another try', async () => {
    const holder = await database.pool.connect();
    await holder.query('begin; lock table secrets');
    const error = await errorOf('select * from secrets');
    await holder.query('rollback');
    holder.release();
    expect(error).toMatchObject({ code: '55P03' });
    expect(isTransientPostgresError(error)).toBe(true);
  });
});

test('a server that cannot be reached is worth another try, wrapped in other errors too', async () => {
  const nowhere = createPool({
    connectionString: 'postgres://nobody@localhost:1/x',
    applicationName: 'test',
  });
  const error: unknown = await nowhere.query('select 1').catch((reason) => reason);
  await nowhere.end();
  expect(isTransientPostgresError(error)).toBe(true);
  expect(isTransientPostgresError(new Error('while applying', { cause: error }))).toBe(true);
  expect(postgresErrorSummary(error)).toBe('PostgreSQL cannot be reached (ECONNREFUSED).');
});

test("somebody else's errors are none of PostgreSQL's", () => {
  for (const error of [new Error('x'), new TypeError('x'), 'x', null, undefined, { code: 23505 }]) {
    expect(isTransientPostgresError(error)).toBe(false);
    expect(isRefusedData(error)).toBe(false);
    expect(postgresErrorSummary(error)).toBeNull();
  }
});
