import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unconnectedTables } from '../../src/postgres/declare-embedded-rows.js';
import { migrate } from '../../src/postgres/migrate.js';
import { upsertPage } from '../../src/postgres/upsert-page.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { olderBinaries, startOlderServer } from './older-server.js';

const invoice = (id: string, ...lines: string[]) => ({
  object: 'invoice',
  id,
  lines: {
    object: 'list',
    has_more: false,
    data: lines.map((line) => ({ object: 'line_item', id: line, amount: 3 })),
  },
});

/** Takes a database back to how versions without embedded rows left it. */
const WITHOUT_EMBEDDED_ROWS = [
  'credit_note_line_items',
  'line_items',
  'radar_value_list_items',
  'subscription_items',
  'transfer_reversals',
]
  .map(
    (table) => `drop function stripe_sync.embed_${table} cascade;
      alter table stripe.${table} drop column parent_id; truncate stripe.${table};`,
  )
  .join('\n');

const INVOICES = `
insert into stripe.invoices (account, id, data, as_of, as_of_until, deleted, source)
select account, 'in_' || n, jsonb_build_object('id', 'in_' || n, 'lines', jsonb_build_object('has_more', false, 'data',
    jsonb_build_array(jsonb_build_object('id', 'il_' || n || 'a', 'amount', n), jsonb_build_object('id', 'il_' || n || 'b')))),
  to_timestamp(100), to_timestamp(102), n % 10 = 0, 'backfill:1'
from generate_series(1, 450) n, unnest(array['a', 'b']) as account`;

const SUMMARY = `
select account, count(*)::int as rows, count(*) filter (where deleted)::int as deleted, sum(amount)::int as amount,
  min(extract(epoch from as_of))::int as "asOf"
from stripe.line_items group by account order by account`;
const FILLED = ['a', 'b'].map((account) => ({
  account,
  rows: 900,
  deleted: 90,
  amount: (450 * 451) / 2,
  asOf: 100,
}));

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

async function run(url = database.url): Promise<string[]> {
  const lines: string[] = [];
  await migrate({ connectionString: url, log: (line) => lines.push(line) });
  return lines;
}

const query = async (text: string) => (await database.pool.query(text)).rows;

/** Everything that migrate declares, with the number of its making. */
const DECLARED = `
select 'function ' || p.proname as name, p.xmin::text as made from pg_proc p
where p.pronamespace = 'stripe_sync'::regnamespace and p.proname like 'embed_%'
union all select 'trigger ' || tgname, xmin::text from pg_trigger where not tgisinternal and tgname like 'embed_%'
union all select 'index ' || relname, xmin::text from pg_class where relname like '%_parent_id'
order by 1`;

describe('a database of a version without embedded rows', () => {
  beforeEach(async () => {
    await run();
    await query(WITHOUT_EMBEDDED_ROWS);
    await query(INVOICES);
    expect(await query('select * from stripe.line_items')).toEqual([]);
  });

  it('gets the rows of all parents that it holds, and the feed tells of them', async () => {
    expect(await unconnectedTables(database.pool)).toHaveLength(5);
    expect(await run()).toEqual(['stripe.line_items: filled from 900 rows of stripe.invoices']);
    expect(await query(SUMMARY)).toEqual(FILLED);
    expect(
      await query(
        `select kind, count(*)::int as count from stripe_sync.settled_changes where object = 'line_item' group by 1 order by 1`,
      ),
    ).toEqual([
      { kind: 'created', count: 1620 },
      { kind: 'deleted', count: 180 },
    ]);
    expect(await unconnectedTables(database.pool)).toEqual([]);
  });

  it('is left alone by the next run, and by those that ran at the same time', async () => {
    const logs = await Promise.all([run(), run(), run()]);
    expect(logs.flat().filter((text) => text.includes('filled'))).toHaveLength(1);
    expect(await query(SUMMARY)).toEqual(FILLED);
    const before = await query(DECLARED);
    expect(before).toHaveLength(20);
    expect(await run()).toEqual([]);
    expect(await query(DECLARED)).toEqual(before);
  });

  it('is filled by the next run where one was cut off in the middle', async () => {
    // A lock on a row keeps nobody from making triggers.
    const writer = await database.pool.connect();
    await writer.query('begin');
    await writer.query(`select 1 from stripe.invoices where account = 'b' and id = 'in_222' for update`);
    const filling = run();
    filling.catch(() => undefined);
    const migrating = `from pg_stat_activity where application_name = 'stripe-sync migrate'
      and datname = current_database()`;
    await expect
      .poll(() => query(`select pid ${migrating} and wait_event_type = 'Lock'`), { timeout: 15_000 })
      .toHaveLength(1);
    await query(`select pg_terminate_backend(pid) ${migrating}`);
    await expect(filling).rejects.toThrow();
    await writer.query('commit');
    writer.release();
    expect(await query(SUMMARY)).toMatchObject([{ account: 'a', rows: 800 }]);
    expect(await unconnectedTables(database.pool)).toContain('line_items');
    await run();
    expect(await query(SUMMARY)).toEqual(FILLED);
    expect(await unconnectedTables(database.pool)).toEqual([]);
  });

  it('waits for who is writing a parent, and takes what was written', async () => {
    await run();
    await query(`comment on column stripe.line_items.parent_id is null; truncate stripe.line_items`);
    const writer = await database.pool.connect();
    await writer.query('begin');
    await writer.query(
      `update stripe.invoices set as_of = to_timestamp(200),
         data = jsonb_set(data, '{lines,data}', '[{"id": "il_new", "amount": 1}]')
       where account = 'a' and id = 'in_7'`,
    );
    const lines: string[] = [];
    const filling = migrate({ connectionString: database.url, log: (text) => lines.push(text) });
    await expect.poll(() => lines, { timeout: 15_000 }).toContain('stripe.invoices is in use; trying again');
    await writer.query('commit');
    writer.release();
    await filling;
    expect(
      await query(`select id, deleted from stripe.line_items where account = 'a' and parent_id = 'in_7'`),
    ).toEqual([{ id: 'il_new', deleted: false }]);
  });
});

describe('what an earlier version declared otherwise', () => {
  beforeEach(async () => {
    await run();
    await query(INVOICES);
    expect(await query(SUMMARY)).toEqual(FILLED);
  });

  it('is made anew: a function with another text', async () => {
    await query(`create or replace function stripe_sync.embed_line_items() returns trigger language plpgsql
      set enable_seqscan = off set enable_nestloop = off set jit = off as 'begin return null; end'`);
    expect(await unconnectedTables(database.pool)).toEqual(['line_items']);
    await run();
    await query(`insert into stripe.invoices (account, id, data, as_of, as_of_until, source)
      values ('c', 'in_1', '{"lines": {"data": [{"id": "il_1"}]}}', now(), now(), 'x')`);
    expect(await query(`select id from stripe.line_items where account = 'c'`)).toEqual([{ id: 'il_1' }]);
  });

  it('is made anew: a trigger that was dropped, with what it missed', async () => {
    await query('drop trigger embed_line_items_update on stripe.invoices');
    await query(`update stripe.invoices set as_of = to_timestamp(300), data = jsonb_set(data, '{lines,data}', '[]')
      where id = 'in_1'`);
    expect(
      await query(`select 1 from stripe.line_items where parent_id = 'in_1' and not deleted`),
    ).toHaveLength(4);
    await run();
    expect(await query(`select 1 from stripe.line_items where parent_id = 'in_1' and not deleted`)).toEqual(
      [],
    );
    expect(await unconnectedTables(database.pool)).toEqual([]);
  });

  it('is made anew: a table of children that was dropped', async () => {
    await query('drop table stripe.line_items');
    expect(await run()).toContain('stripe.line_items: filled from 900 rows of stripe.invoices');
    expect(await query(SUMMARY)).toEqual(FILLED);
  });
});

const older = olderBinaries();
describe.skipIf(older === undefined)('a PostgreSQL before 18', () => {
  it('has embedded rows as well, and a dump of it restores them as they were', async () => {
    const server = await startOlderServer(older ?? '');
    const admin = new pg.Client(server.url);
    const pool = new pg.Pool({ connectionString: server.url });
    pool.on('error', () => undefined);
    try {
      await run(server.url);
      const input = {
        account: 'a',
        object: 'invoice',
        table: 'invoices',
        keyFields: ['id'],
        source: 'backfill:1',
      };
      const put = (on: pg.Pool, asOf: number, ...data: object[]) =>
        upsertPage(on, { ...input, page: JSON.stringify({ data }), asOf, asOfUntil: asOf });
      await put(pool, 100, invoice('in_1', 'il_1', 'il_2'), invoice('in_2', 'il_3'));
      await put(pool, 200, invoice('in_1', 'il_2'));
      const rows = 'select id, parent_id, deleted, amount::int, as_of from stripe.line_items order by id';
      const before = (await pool.query(rows)).rows;
      expect(before).toMatchObject([
        { id: 'il_1', deleted: true, amount: 3 },
        { id: 'il_2', deleted: false },
        { id: 'il_3', parent_id: 'in_2' },
      ]);
      if (!existsSync(join(older ?? '', 'pg_dump'))) return;
      await admin.connect();
      await admin.query('create database restored');
      const dump = execFileSync(join(older ?? '', 'pg_dump'), [server.url], { maxBuffer: 1e9 });
      const url = new URL(server.url);
      url.pathname = '/restored';
      execFileSync(join(older ?? '', 'psql'), ['-v', 'ON_ERROR_STOP=1', '-q', url.href], {
        input: dump,
        stdio: 'pipe',
      });
      const restored = new pg.Pool({ connectionString: url.href });
      restored.on('error', () => undefined);
      try {
        expect((await restored.query(rows)).rows).toEqual(before);
        expect(await unconnectedTables(restored)).toEqual([]);
        await put(restored, 300, invoice('in_2', 'il_4'));
        expect(
          (
            await restored.query(
              `select id, deleted from stripe.line_items where parent_id = 'in_2' order by id`,
            )
          ).rows,
        ).toEqual([
          { id: 'il_3', deleted: true },
          { id: 'il_4', deleted: false },
        ]);
      } finally {
        await restored.end();
      }
    } finally {
      await admin.end();
      await pool.end();
      await server.stop();
    }
  });
});
