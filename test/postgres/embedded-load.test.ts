import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createEmbeddedRoom, type Item, invoice, line } from './embedded-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const room = createEmbeddedRoom(() => database.pool);
const { page, gone, rowsOf } = room;
beforeEach(room.next);

/** What the planner knows of the tables when a connection plans its first write. */
const BEGINNINGS = [
  ['that nobody has analyzed', 0, ''],
  ['that were analyzed while they were empty', 0, 'analyze stripe.line_items, stripe.invoices'],
  ['that were analyzed with a few rows in them', 3, 'analyze stripe.line_items, stripe.invoices'],
] as const;

it.each(BEGINNINGS)(
  'a connection that wrote the first rows of tables %s writes just as well when there are many',
  async (_, rows, analyze) => {
    const client = await database.pool.connect();
    const setting = (value: string) =>
      client.query(
        ['invoices', 'line_items']
          .map((name) => `alter table stripe.${name} set (autovacuum_enabled = ${value})`)
          .join(';'),
      );
    const insert = (from: number, to: number) =>
      client.query(
        `insert into stripe.invoices (account, id, data, as_of, as_of_until, source)
         select $1, 'in_' || n, jsonb_build_object('lines', jsonb_build_object('has_more', false, 'data',
           jsonb_build_array(jsonb_build_object('id', 'il_' || n), jsonb_build_object('id', 'ilb_' || n)))),
           now(), now(), 'x'
         from generate_series($2::int, $3::int) n`,
        [room.account, from, to],
      );
    const read = async () => {
      await client.query('select pg_stat_force_next_flush()');
      const { rows } = await client.query<{ read: number }>(
        `select (seq_tup_read + (select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid))::int as read
         from pg_stat_user_tables t where relid = 'stripe.line_items'::regclass`,
      );
      return rows[0]?.read ?? 0;
    };
    try {
      await client.query('truncate stripe.line_items, stripe.invoices');
      // Somebody's own index, which is as good as any other as long as there is one page of rows.
      await client.query('create index own_lines on stripe.line_items (account)');
      await setting('false');
      if (rows > 0) await insert(1, rows);
      if (analyze !== '') await client.query(analyze);
      await client.query('discard plans');
      await insert(rows + 1, rows + 2);
      await client.query('update stripe.invoices set as_of = now() where account = $1', [room.account]);
      await insert(rows + 3, 5_000);
      const before = await read();
      const { rowCount } = await client.query(
        `update stripe.invoices set as_of = now() where account = $1 and id = any($2)`,
        [room.account, ['in_5', 'in_500', 'in_3000', 'in_4999']],
      );
      expect(rowCount).toBe(4);
      expect((await read()) - before).toBeLessThan(200);
    } finally {
      await setting('true');
      await client.query('drop index if exists stripe.own_lines');
      client.release();
    }
  },
);

it('a connection whose first parent had one item writes one with fifteen thousand in good time', async () => {
  const client = await database.pool.connect();
  const put = (items: number, asOf: number) =>
    client.query(
      `insert into stripe.invoices as i (account, id, data, as_of, as_of_until, source)
       select $1, 'in_1', jsonb_build_object('lines', jsonb_build_object('has_more', false, 'data',
         jsonb_agg(jsonb_build_object('id', 'il_' || n, 'amount', $3::int)))), to_timestamp($3), to_timestamp($3), 'x'
       from generate_series(1, $2::int) n
       on conflict (account, id) do update set data = excluded.data, as_of = excluded.as_of`,
      [room.account, items, asOf],
    );
  try {
    await client.query("discard plans; set statement_timeout = '15s'");
    await put(1, 100);
    await put(15_000, 200);
    await put(15_000, 300);
    const rows = await rowsOf();
    expect(rows).toHaveLength(15_000);
    expect(rows.every(({ data }) => data.amount === 300)).toBe(true);
  } finally {
    await client.query('reset statement_timeout');
    client.release();
  }
});

it('eight connections that write pages and tombstones of the same parents meet no deadlock, and each row is right', async () => {
  const deadlocks = async () => {
    const { rows } = await database.pool.query<{ deadlocks: number }>(
      'select deadlocks::int as deadlocks from pg_stat_database where datname = current_database()',
    );
    return rows[0]?.deadlocks;
  };
  const before = await deadlocks();
  let clock = 1_000;
  const state = (id: number, turn: number) =>
    invoice(
      `in_${id}`,
      ...[0, 1, 2, 3]
        .filter((place) => (turn + place) % 3 > 0)
        .map((place) => line(`il_${id}_${place}`, turn)),
    );
  await Promise.all(
    Array.from({ length: 8 }, async (_, stream) => {
      for (let turn = 0; turn < 15; turn += 1) {
        clock += 10;
        const ids = Array.from({ length: 30 }, (_, place) => (place * 7 + stream + turn) % 40);
        const asOf = clock;
        await page(
          asOf,
          ids.map((id) => state(id, turn + stream)),
        );
        if (turn % 5 === 0) await gone(clock + 5, `in_${(turn + stream) % 40}`);
      }
    }),
  );
  expect(await deadlocks()).toBe(before);
  const { rows: parents } = await database.pool.query<{ id: string; data: unknown; deleted: boolean }>(
    'select id, data, deleted from stripe.invoices where account = $1',
    [room.account],
  );
  expect(parents).toHaveLength(40);
  const living = parents
    .filter(({ deleted }) => !deleted)
    .flatMap(({ id, data }) =>
      (data as ReturnType<typeof invoice>).lines.data.map((item) => ({ parent: id, data: item })),
    );
  const stored = (await rowsOf()).filter(({ deleted }) => !deleted);
  const byId = (a: { data: unknown }, b: { data: unknown }) =>
    (a.data as Item).id < (b.data as Item).id ? -1 : 1;
  expect(stored.map(({ parent, data }) => ({ parent, data })).toSorted(byId)).toEqual(living.toSorted(byId));
  expect(living.length).toBeGreaterThan(50);
}, 120_000);
