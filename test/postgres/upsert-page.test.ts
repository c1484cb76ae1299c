import { randomBytes } from 'node:crypto';
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
    object: 'customer',
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
    expect(result).toMatchObject({ listed: 2, written: 2, ambiguous: [], refused: [] });
    expect(await rowsOf('a')).toEqual([
      { id: 'cus_1', email: 'a@x.io', deleted: false },
      { id: 'cus_2', email: 'b@x.io', deleted: false },
    ]);
  });

  it('that was read before the row changed does not put it back', async () => {
    await upsert('b', [customer('cus_1', 'new@x.io')], 200);
    expect(await upsert('b', [customer('cus_1', 'old@x.io')], 100)).toMatchObject({
      listed: 1,
      written: 0,
      ambiguous: [],
      refused: [],
    });
    expect(await rowsOf('b')).toMatchObject([{ email: 'new@x.io' }]);
  });

  it('that the clock cannot order against a row names the row, unless both say the same', async () => {
    await upsert('c', [customer('cus_1', 'one@x.io'), customer('cus_2', 'same@x.io')], 100);
    const again = await upsert('c', [customer('cus_1', 'two@x.io'), customer('cus_2', 'same@x.io')], 101);
    expect(again).toMatchObject({
      listed: 2,
      written: 0,
      ambiguous: [{ objectId: 'cus_1', after: 103 }],
      refused: [],
    });
    expect(await rowsOf('c')).toMatchObject([{ email: 'one@x.io' }, { email: 'same@x.io' }]);
  });

  it('does not revive a tombstone that is newer', async () => {
    await upsert('d', [{ object: 'customer', id: 'cus_1', deleted: true }], 100);
    await upsert('d', [customer('cus_1', 'old@x.io')], 90);
    expect(await rowsOf('d')).toMatchObject([{ deleted: true }]);
  });

  it('does not revive an id that Stripe gives out once, and names it, but revives one that may come back', async () => {
    await upsert('t', [{ object: 'customer', id: 'cus_1', deleted: true }], 100);
    const page = [customer('cus_1', 'back@x.io'), customer('cus_2', 'b@x.io')];
    expect(await upsert('t', page, 110)).toMatchObject({
      listed: 2,
      written: 1,
      ambiguous: [{ objectId: 'cus_1', after: 112 }],
    });
    expect(await rowsOf('t')).toMatchObject([{ deleted: true }, { deleted: false }]);
    expect(await upsert('t', page, 120, { recreatable: true })).toMatchObject({ written: 2, ambiguous: [] });
    expect(await rowsOf('t')).toMatchObject([{ deleted: false }, { deleted: false }]);
  });

  it('leaves out entries without an id, and takes an object that it lists twice once', async () => {
    const result = await upsert(
      'e',
      [customer('cus_1', 'a@x.io'), { object: 'customer' }, null, customer('cus_1', 'a@x.io')],
      100,
    );
    expect(result).toMatchObject({ listed: 1, written: 1, ambiguous: [], refused: [] });
  });

  it('leaves out what it does not show in full, and names it unless a newer row is there', async () => {
    await upsert('f', [customer('cus_new', 'new@x.io')], 200);
    await upsert('f', [customer('cus_old', 'old@x.io')], 98);
    const page = ['cus_new', 'cus_old', 'cus_none', 'cus_whole'].map((id) => customer(id, 'page@x.io'));
    const result = await upsert('f', page, 100, { leaveOut: ['cus_new', 'cus_old', 'cus_none'] });
    expect(result).toMatchObject({ listed: 4, written: 1, refused: [] });
    expect(result.ambiguous.toSorted((a, b) => (a.objectId < b.objectId ? -1 : 1))).toEqual([
      { objectId: 'cus_none', after: 102 },
      { objectId: 'cus_old', after: 102 },
    ]);
    expect(await rowsOf('f')).toMatchObject([
      { id: 'cus_new', email: 'new@x.io' },
      { id: 'cus_old', email: 'old@x.io' },
      { id: 'cus_whole', email: 'page@x.io' },
    ]);
  });

  it('is read past the row as well where the row of what it leaves out was read for longer', async () => {
    await upsert('g', [customer('cus_1', 'a@x.io')], 99, { asOfUntil: 110 });
    const { ambiguous } = await upsert('g', [customer('cus_1', 'b@x.io')], 100, { leaveOut: ['cus_1'] });
    expect(ambiguous).toEqual([{ objectId: 'cus_1', after: 110 }]);
  });

  it('goes in but for the objects that PostgreSQL cannot hold, which it names with the reason', async () => {
    const longId = randomBytes(4_000).toString('hex');
    const page = `{"data":[
      {"object":"customer","id":"cus_1","big":12345678901234567890.10},
      {"object":"customer","id":"cus_huge","number":1e400000},
      {"object":"customer","id":"cus_deep","nested":${'['.repeat(20_000)}${']'.repeat(20_000)}},
      {"object":"customer","id":"${longId}"},
      {"object":"customer","id":"cus_2"}]}`;
    const result = await upsert('h', [], 100, { page });
    expect(result).toMatchObject({ listed: 2, written: 2, ambiguous: [] });
    expect(result.refused.map(({ objectId }) => objectId)).toEqual([
      'cus_huge',
      'cus_deep',
      longId.slice(0, 255),
    ]);
    for (const { reason } of result.refused) expect(reason).toMatch(/^PostgreSQL answered with error \w{5}/);
    const { rows } = await database.pool.query(
      `select id, data->>'big' as big from stripe.customers where account = 'h' order by id`,
    );
    expect(rows).toEqual([
      { id: 'cus_1', big: '12345678901234567890.10' },
      { id: 'cus_2', big: null },
    ]);
  });
});
