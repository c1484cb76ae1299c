import pg, { type Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { upsertPage } from '../../src/postgres/upsert-page.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const PREPARED = `select count(*)::integer as count from pg_prepared_statements where name like 'stripe_sync_%'`;

/** A pool of one connection, so that what is prepared on it can be looked at, and taken away. */
async function withOneConnection(work: (pool: Pool) => Promise<void>): Promise<void> {
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  try {
    await work(pool);
  } finally {
    await pool.end();
  }
}

function upsert(pool: Pool, object: string, table: string, id: string) {
  return upsertPage(pool, {
    account: 'a',
    object,
    table,
    page: JSON.stringify({ data: [{ object, id, lines: { object: 'list', data: [], has_more: false } }] }),
    asOf: 100,
    asOfUntil: 102,
    source: 'backfill:1',
    keyFields: ['id'],
    isOneOfMany: true,
  });
}

async function prepared(pool: Pool): Promise<number> {
  return (await pool.query<{ count: number }>(PREPARED)).rows[0]?.count ?? 0;
}

async function idsIn(table: string): Promise<string[]> {
  return (await database.pool.query<{ id: string }>(`select id from stripe.${table} order by id`)).rows.map(
    ({ id }) => id,
  );
}

describe.each([
  { object: 'customer', table: 'customers', what: 'in one statement' },
  { object: 'invoice', table: 'invoices', what: 'in a transaction of several statements' },
])('pages of $table, written $what,', ({ object, table }) => {
  it('are parsed and planned once', async () => {
    await withOneConnection(async (pool) => {
      for (const id of ['x_1', 'x_2', 'x_3']) await upsert(pool, object, table, id);
      expect(await prepared(pool)).toBe(1);
    });
    expect(await idsIn(table)).toEqual(['x_1', 'x_2', 'x_3']);
  });

  it('go in once, and without prepared statements from then on, behind a pooler that loses them', async () => {
    await withOneConnection(async (pool) => {
      await upsert(pool, object, table, 'y_1');
      await pool.query('deallocate all');
      const written = [];
      for (const id of ['y_2', 'y_3']) written.push(await upsert(pool, object, table, id));
      expect(written).toMatchObject([{ written: 1 }, { written: 1 }]);
      expect(await prepared(pool)).toBe(0);
    });
    expect(await idsIn(table)).toEqual(['x_1', 'x_2', 'x_3', 'y_1', 'y_2', 'y_3']);
    const { rows } = await database.pool.query(
      'select id, count(*)::integer as count from stripe_sync.changes where object = $1 group by id order by id',
      [object],
    );
    expect(rows).toEqual(['x_1', 'x_2', 'x_3', 'y_1', 'y_2', 'y_3'].map((id) => ({ id, count: 1 })));
  });
});
