import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PageUpsert, upsertPage } from '../../src/postgres/upsert-page.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

function upsert(account: string, objects: readonly unknown[], asOf: number, over: Partial<PageUpsert> = {}) {
  return upsertPage(database.pool, {
    account,
    table: 'customers',
    page: JSON.stringify({ data: objects }),
    asOf,
    asOfUntil: asOf + 2,
    source: 'backfill:1',
    keyFields: ['id'],
    ...over,
  });
}

async function rowsOf(account: string) {
  const { rows } = await database.pool.query<{ id: string; email: string | null; deleted: boolean }>(
    'select id, email, deleted from stripe.customers where account = $1 order by id',
    [account],
  );
  return rows;
}

const customer = (id: string, email: string) => ({ object: 'customer', id, email });

describe('a page of a listing', () => {
  it('is written as a whole', async () => {
    const result = await upsert('a', [customer('cus_1', 'a@x.io'), customer('cus_2', 'b@x.io')], 100);
    expect(result).toEqual({ listed: 2, written: 2, ambiguous: [] });
    expect(await rowsOf('a')).toEqual([
      { id: 'cus_1', email: 'a@x.io', deleted: false },
      { id: 'cus_2', email: 'b@x.io', deleted: false },
    ]);
  });

  it('that was read before the row changed does not put it back', async () => {
    await upsert('b', [customer('cus_1', 'new@x.io')], 200);
    expect(await upsert('b', [customer('cus_1', 'old@x.io')], 100)).toEqual({
      listed: 1,
      written: 0,
      ambiguous: [],
    });
    expect(await rowsOf('b')).toMatchObject([{ email: 'new@x.io' }]);
  });

  it('that the clock cannot order against a row names the row, unless both say the same', async () => {
    await upsert('c', [customer('cus_1', 'one@x.io'), customer('cus_2', 'same@x.io')], 100);
    const again = await upsert('c', [customer('cus_1', 'two@x.io'), customer('cus_2', 'same@x.io')], 101);
    expect(again).toEqual({ listed: 2, written: 0, ambiguous: [{ objectId: 'cus_1', after: 103 }] });
    expect(await rowsOf('c')).toMatchObject([{ email: 'one@x.io' }, { email: 'same@x.io' }]);
  });

  it('does not revive a tombstone that is newer', async () => {
    await upsert('d', [{ object: 'customer', id: 'cus_1', deleted: true }], 100);
    await upsert('d', [customer('cus_1', 'old@x.io')], 90);
    expect(await rowsOf('d')).toMatchObject([{ deleted: true }]);
  });

  it('leaves out entries without an id, and takes an object that it lists twice once', async () => {
    const result = await upsert(
      'e',
      [customer('cus_1', 'a@x.io'), { object: 'customer' }, null, customer('cus_1', 'a@x.io')],
      100,
    );
    expect(result).toEqual({ listed: 1, written: 1, ambiguous: [] });
  });
});
