import fc from 'fast-check';
import { escapeIdentifier } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Embedding, embeddings } from '../../src/postgres/embedded-rows.js';
import { changingTransaction } from '../../src/postgres/number-changes.js';
import { readRow } from '../../src/postgres/read-row.js';
import { upsertPage } from '../../src/postgres/upsert-page.js';
import { writeTombstone } from '../../src/postgres/write-row.js';
import { tableOf } from '../../src/stripe/catalog.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

let account = 'a0';
let accounts = 0;
beforeEach(() => {
  accounts += 1;
  account = `a${accounts}`;
});

const INVOICE: Embedding = { object: 'line_item', parent: 'invoice', field: 'lines' };

type Item = { readonly id: string; readonly [key: string]: unknown };
const line = (id: string, amount = 1): Item => ({ object: 'line_item', id, amount });
const list = (items: readonly unknown[], hasMore: unknown = false) => ({
  object: 'list',
  data: items,
  has_more: hasMore,
  url: '/v1/lines',
});
const invoice = (id: string, ...items: readonly Item[]) => ({ object: 'invoice', id, lines: list(items) });

/** Writes objects as a page of a listing that was read at that second. */
function page(asOf: number, objects: readonly unknown[], object = 'invoice') {
  return upsertPage(database.pool, {
    account,
    object,
    table: tableOf(object),
    page: JSON.stringify({ data: objects }),
    asOf,
    asOfUntil: asOf + 2,
    source: `backfill:${asOf}`,
    keyFields: ['id'],
    recreatable: true,
  });
}

/** The parent is gone, as a read found out at that second. */
function gone(asOf: number, id: string) {
  return changingTransaction(database.pool, async (client) => {
    const replaces = await readRow(client, 'invoices', account, id);
    const entity = { account, object: 'invoice', id, deleted: true, source: 'read:req_1', eventId: null };
    return writeTombstone(client, 'invoices', { ...entity, asOf, asOfUntil: asOf + 2, replaces });
  });
}

interface Row {
  readonly id: string;
  readonly data: Item;
  readonly parent: string;
  readonly deleted: boolean;
  readonly asOf: number;
  readonly asOfUntil: number;
  readonly source: string;
}

async function rowsOf(object = 'line_item', of = account): Promise<Row[]> {
  const { rows } = await database.pool.query<Row>(
    `select id, data, parent_id as parent, deleted, source,
       extract(epoch from as_of)::int as "asOf", extract(epoch from as_of_until)::int as "asOfUntil"
     from stripe.${escapeIdentifier(tableOf(object))} where account = $1 order by id collate "C"`,
    [of],
  );
  return rows;
}

const short = (rows: readonly Row[]) =>
  rows.map(({ id, parent, deleted, asOf }) => `${id} in ${parent} ${deleted ? 'deleted' : 'alive'} ${asOf}`);
const lines = async () => short(await rowsOf());

async function feed() {
  const { rows } = await database.pool.query<Record<string, unknown>>(
    `select object, id, event_id as event, kind, changed, extract(epoch from as_of)::int as "asOf"
     from stripe_sync.settled_changes where account = $1 order by sequence`,
    [account],
  );
  return rows;
}

describe('what is embedded', () => {
  it.each(embeddings())('has rows of its own: $object in $parent.$field', async (embedding) => {
    const { object, parent, field } = embedding;
    const items = [1, 2, 3].map((number) => ({
      object,
      id: `item_${number}`,
      amount: number,
      livemode: true,
    }));
    const parents = [
      { object: parent, id: 'p_1', [field]: list(items.slice(0, 2)) },
      { object: parent, id: 'p_2', [field]: list(items.slice(2)) },
    ];
    expect(await page(100, parents, parent)).toMatchObject({ listed: 2, written: 2 });
    const version = { asOf: 100, asOfUntil: 102, source: 'backfill:100', deleted: false };
    expect(await rowsOf(object)).toEqual([
      { id: 'item_1', data: items[0], parent: 'p_1', ...version },
      { id: 'item_2', data: items[1], parent: 'p_1', ...version },
      { id: 'item_3', data: items[2], parent: 'p_2', ...version },
    ]);
  });

  it('has typed columns like all rows, and stays within its account', async () => {
    await page(100, [invoice('in_1', line('il_1', 5))]);
    const first = account;
    account = `${first}-other`;
    await page(100, [invoice('in_1', line('il_1', 7))]);
    await page(200, [invoice('in_1')]);
    const { rows } = await database.pool.query(
      'select account, amount::int, deleted from stripe.line_items where account = any($1) order by account',
      [[first, account]],
    );
    expect(rows).toEqual([
      { account: first, amount: 5, deleted: false },
      { account, amount: 7, deleted: true },
    ]);
  });

  it('comes, changes and goes with its parent, and what goes keeps its last state', async () => {
    await page(100, [invoice('in_1', line('il_1'), line('il_2'), line('il_3'))]);
    await page(200, [invoice('in_1', line('il_1'), line('il_2', 9), line('il_4'))]);
    expect(await lines()).toEqual([
      'il_1 in in_1 alive 100',
      'il_2 in in_1 alive 200',
      'il_3 in in_1 deleted 200',
      'il_4 in in_1 alive 200',
    ]);
    const rows = await rowsOf();
    expect(rows.map(({ data }) => data)).toEqual([line('il_1'), line('il_2', 9), line('il_3'), line('il_4')]);
    expect(rows[2]).toMatchObject({ source: 'backfill:200', asOfUntil: 202 });
    await page(300, [invoice('in_1', line('il_3', 7))]);
    expect(await lines()).toEqual([
      'il_1 in in_1 deleted 300',
      'il_2 in in_1 deleted 300',
      'il_3 in in_1 alive 300',
      'il_4 in in_1 deleted 300',
    ]);
  });

  it('dies with its parent, and lives again as far as the parent shows it again', async () => {
    await page(100, [invoice('in_1', line('il_1'), line('il_2')), invoice('in_2', line('il_3'))]);
    await gone(200, 'in_1');
    expect(await lines()).toEqual([
      'il_1 in in_1 deleted 200',
      'il_2 in in_1 deleted 200',
      'il_3 in in_2 alive 100',
    ]);
    await page(300, [invoice('in_1', line('il_2'))]);
    expect(await lines()).toEqual([
      'il_1 in in_1 deleted 200',
      'il_2 in in_1 alive 300',
      'il_3 in in_2 alive 100',
    ]);
  });

  it('dies as well where the tombstone of its parent shows nothing, and is not born alive of one', async () => {
    await page(100, [invoice('in_1', line('il_1'))]);
    await page(200, [
      { object: 'invoice', id: 'in_1', deleted: true },
      { ...invoice('in_2', line('il_2')), deleted: true },
    ]);
    expect(await lines()).toEqual(['il_1 in in_1 deleted 200', 'il_2 in in_2 deleted 200']);
  });

  it('stays as it is, row and version, while its parent moves on without it', async () => {
    await page(100, [invoice('in_1', line('il_1'), line('il_2'))]);
    const place =
      'select id, ctid, xmin::text, xmax::text from stripe.line_items where account = $1 order by id';
    const before = await database.pool.query(place, [account]);
    await page(200, [{ ...invoice('in_1', line('il_1'), line('il_2')), status: 'paid' }]);
    expect((await database.pool.query(place, [account])).rows).toEqual(before.rows);
    expect(await lines()).toEqual(['il_1 in in_1 alive 100', 'il_2 in in_1 alive 100']);
  });

  it('follows every digit of a number', async () => {
    const text = (amount: string) =>
      `{"data":[{"object":"invoice","id":"in_1","lines":{"data":[{"id":"il_1","rate":${amount}}],"has_more":false}}]}`;
    const input = { account, object: 'invoice', table: 'invoices', keyFields: ['id'], source: 'backfill:1' };
    await upsertPage(database.pool, { ...input, page: text('1.0'), asOf: 100, asOfUntil: 100 });
    await upsertPage(database.pool, { ...input, page: text('1.00'), asOf: 200, asOfUntil: 200 });
    const { rows } = await database.pool.query<{ text: string }>(
      'select data::text as text from stripe.line_items where account = $1',
      [account],
    );
    expect(rows).toEqual([{ text: '{"id": "il_1", "rate": 1.00}' }]);
    // To whoever follows the feed, the two are one state, as everywhere else.
    expect((await feed()).filter(({ object }) => object === 'line_item')).toMatchObject([
      { kind: 'created' },
    ]);
  });

  it('is there or not together with its parent’s row, whatever becomes of the transaction', async () => {
    const client = await database.pool.connect();
    try {
      await client.query('begin');
      await client.query(
        `insert into stripe.invoices (account, id, data, as_of, as_of_until, source)
         values ($1, 'in_1', $2, now(), now(), 'by hand')`,
        [account, invoice('in_1', line('il_1'))],
      );
      const seen = await client.query('select id from stripe.line_items where account = $1', [account]);
      expect(seen.rows).toEqual([{ id: 'il_1' }]);
      await client.query('rollback');
    } finally {
      client.release();
    }
    expect(await rowsOf()).toEqual([]);
  });

  it('is put right by the next write of its parent, where somebody changed its row', async () => {
    await page(100, [invoice('in_1', line('il_1'), line('il_2'), line('il_3'))]);
    await database.pool.query(`update stripe.line_items set data = '5' where account = $1 and id = 'il_1'`, [
      account,
    ]);
    await database.pool.query(`delete from stripe.line_items where account = $1 and id = 'il_2'`, [account]);
    await database.pool.query(
      `insert into stripe.line_items (account, id, data, as_of, as_of_until, source, parent_id)
       values ($1, 'il_9', '{}', now(), now(), 'by hand', 'in_1')`,
      [account],
    );
    await page(200, [invoice('in_1', line('il_1'), line('il_2'), line('il_3'))]);
    const rows = await rowsOf();
    expect(rows.filter(({ deleted }) => !deleted).map(({ data }) => data)).toEqual([
      line('il_1'),
      line('il_2'),
      line('il_3'),
    ]);
    expect(short(rows).at(-1)).toBe('il_9 in in_1 deleted 200');
  });

  it('stays where its parent’s row is removed by hand, and goes once the parent comes back without it', async () => {
    await page(100, [invoice('in_1', line('il_1'), line('il_2'))]);
    await database.pool.query('delete from stripe.invoices where account = $1', [account]);
    expect(await lines()).toEqual(['il_1 in in_1 alive 100', 'il_2 in in_1 alive 100']);
    await page(200, [invoice('in_1', line('il_1'))]);
    expect(await lines()).toEqual(['il_1 in in_1 alive 100', 'il_2 in in_1 deleted 200']);
  });
});

describe('a list that does not show all it holds', () => {
  it.each([
    ['is cut', { ...list([line('il_2', 5)], true) }],
    ['says of has_more what nobody can know', { ...list([line('il_2', 5)], 'no') }],
    ['says nothing of has_more', { object: 'list', data: [line('il_2', 5)] }],
  ])('ends nothing where it %s', async (_, cut) => {
    await page(100, [invoice('in_1', line('il_1'), line('il_2'))]);
    await page(200, [{ object: 'invoice', id: 'in_1', lines: cut }]);
    expect(await lines()).toEqual(['il_1 in in_1 alive 100', 'il_2 in in_1 alive 200']);
  });

  it('does not hide for good what the whole list lacks later', async () => {
    await page(100, [invoice('in_1', line('il_1'), line('il_2'), line('il_3'))]);
    await page(200, [{ object: 'invoice', id: 'in_1', lines: list([line('il_1')], true) }]);
    await page(300, [invoice('in_1', line('il_1'), line('il_3'))]);
    expect(await lines()).toEqual([
      'il_1 in in_1 alive 100',
      'il_2 in in_1 deleted 300',
      'il_3 in in_1 alive 100',
    ]);
  });
});

describe('an item of two parents', () => {
  it('belongs to the newer one, in either order of arrival', async () => {
    await page(100, [invoice('in_1', line('il_1', 1))]);
    await page(200, [invoice('in_2', line('il_1', 2))]);
    await page(150, [invoice('in_3', line('il_1', 3))]);
    expect(await rowsOf()).toMatchObject([{ parent: 'in_2', data: line('il_1', 2), asOf: 200 }]);
    expect((await feed()).filter(({ object }) => object === 'line_item')).toMatchObject([
      { kind: 'created', changed: [], asOf: 100 },
      { kind: 'updated', changed: ['amount'], asOf: 200 },
    ]);
  });

  it('is not taken by a parent that is older than the one that still shows it', async () => {
    await page(100, [invoice('in_1', line('il_1', 1))]);
    await page(300, [invoice('in_1', line('il_1', 1))]);
    await page(200, [invoice('in_2', line('il_1', 2))]);
    expect(await lines()).toEqual(['il_1 in in_1 alive 100']);
  });

  it('stays with its new parent when the former one is written without it', async () => {
    await page(100, [invoice('in_1', line('il_1'))]);
    await page(200, [invoice('in_2', line('il_1'))]);
    await page(300, [invoice('in_1')]);
    expect(await lines()).toEqual(['il_1 in in_2 alive 200']);
  });

  it('stays with its new parent when the former one, which still showed it last, dies', async () => {
    await page(100, [invoice('in_1', line('il_1'))]);
    await page(200, [invoice('in_2', line('il_1'))]);
    await gone(300, 'in_1');
    expect(await lines()).toEqual(['il_1 in in_2 alive 200']);
  });

  it('lives on in its new parent, even if that one’s write is older than the end of the former', async () => {
    await page(100, [invoice('in_1', line('il_1'))]);
    await gone(300, 'in_1');
    await page(200, [invoice('in_2', line('il_1'))]);
    expect(await lines()).toEqual(['il_1 in in_2 alive 200']);
  });

  it('goes to one of them where both come on one page', async () => {
    await page(100, [invoice('in_1', line('il_1', 1)), invoice('in_2', line('il_1', 2))]);
    expect(await lines()).toEqual(['il_1 in in_1 alive 100']);
  });
});

/** What rows an invoice must have, of any `lines`: the last item of each id that is a string and fits. */
function expected(value: unknown): Map<string, unknown> {
  const data = typeof value === 'object' && value !== null && 'data' in value ? value.data : null;
  const items = Array.isArray(data) && !Array.isArray(value) ? data : [];
  return new Map(
    items.flatMap((item: unknown) =>
      typeof item === 'object' && item !== null && 'id' in item && typeof item.id === 'string'
        ? [[item.id, item] as const]
        : [],
    ),
  );
}

describe('odd contents', () => {
  it('never hold up a write, and every item with an id of its own has its row', async () => {
    const id = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('il_1', 'il_2', 'il_3', '', "';--", 'ä/b%', '{{}}') },
      { weight: 1, arbitrary: fc.constantFrom(1, null, true, [], {}, ['il_1']) },
    );
    const value = fc.jsonValue({ maxDepth: 2 });
    const item = fc.oneof(
      { weight: 5, arbitrary: fc.record({ id, amount: fc.integer(), more: value }, { requiredKeys: [] }) },
      { weight: 1, arbitrary: value },
    );
    const lists = fc.oneof(
      { weight: 1, arbitrary: value },
      {
        weight: 5,
        arbitrary: fc.record(
          {
            data: fc.oneof({ weight: 6, arbitrary: fc.array(item) }, value),
            has_more: fc.oneof(fc.boolean(), value),
          },
          { requiredKeys: [] },
        ),
      },
    );
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(lists, { minLength: 1, maxLength: 5 }), async (fields) => {
        round += 1;
        account = `odd-${accounts}-${round}`;
        // Characters that jsonb cannot hold are replaced before any write: not what this is about.
        const clean = JSON.parse(
          JSON.stringify(fields).replaceAll(/\\u0000|\\u[dD][89a-fA-F]../g, '?'),
        ) as unknown[];
        let asOf = 100;
        for (const value of clean) {
          asOf += 10;
          const written = await page(asOf, [
            { object: 'invoice', id: 'in_1', lines: value },
            invoice('in_2', line('x')),
          ]);
          expect(written).toMatchObject({ written: 2, refused: [] });
          const rows = (await rowsOf()).filter(({ parent }) => parent === 'in_1');
          const shown = expected(value);
          const isWhole =
            typeof value === 'object' && value !== null && 'has_more' in value && value.has_more === false;
          const living = rows.filter(({ deleted }) => !deleted);
          for (const [key, state] of shown)
            expect(living.find((row) => row.id === key)?.data).toEqual(JSON.parse(JSON.stringify(state)));
          if (isWhole && 'data' in value && Array.isArray(value.data))
            expect(living.map((row) => row.id).toSorted()).toEqual([...shown.keys()].toSorted());
        }
      }),
      { numRuns: 60 },
    );
  });

  it('of an item that is listed twice, the last one counts', async () => {
    await page(100, [invoice('in_1', line('il_1', 1), line('il_2', 5), line('il_1', 2))]);
    expect((await rowsOf()).map(({ data }) => data)).toEqual([line('il_1', 2), line('il_2', 5)]);
  });

  it('an id that no index can hold has no row, and the others have theirs', async () => {
    const long = Array.from({ length: 3_000 }, (_, place) =>
      String.fromCharCode(33 + ((place * 7919) % 90)),
    ).join('');
    expect(await page(100, [invoice('in_1', line(long), line('il_1'))])).toMatchObject({
      written: 1,
      refused: [],
    });
    expect(await lines()).toEqual(['il_1 in in_1 alive 100']);
  });
});

describe('the change feed', () => {
  it('tells of children what it tells of all rows, and is silent on what stays', async () => {
    await page(100, [invoice('in_1', line('il_1'), line('il_2'))]);
    await page(200, [invoice('in_1', line('il_1', 5), line('il_2'))]);
    await page(300, [invoice('in_1', line('il_1', 5))]);
    await page(400, [invoice('in_1', line('il_1', 5), line('il_2', 7))]);
    await page(500, [invoice('in_1', line('il_1', 5), line('il_2', 7))]);
    const of = { object: 'line_item', event: null };
    expect((await feed()).filter(({ object }) => object === 'line_item')).toEqual([
      { ...of, id: 'il_1', kind: 'created', changed: [], asOf: 100 },
      { ...of, id: 'il_2', kind: 'created', changed: [], asOf: 100 },
      { ...of, id: 'il_1', kind: 'updated', changed: ['amount'], asOf: 200 },
      { ...of, id: 'il_2', kind: 'deleted', changed: [], asOf: 300 },
      { ...of, id: 'il_2', kind: 'created', changed: ['amount'], asOf: 400 },
    ]);
    const { rows } = await database.pool.query('select * from stripe_sync.unnumbered_changes');
    expect(rows).toEqual([]);
  });

  it('tells listeners of a page once, with the number of its last change', async () => {
    const client = await database.pool.connect();
    const heard: string[] = [];
    client.on('notification', ({ payload }) => heard.push(payload ?? ''));
    try {
      await client.query('listen stripe_sync_changes');
      await page(100, [invoice('in_1', line('il_1'), line('il_2')), invoice('in_2', line('il_3'))]);
      await expect.poll(() => heard.length).toBe(1);
      const { rows } = await database.pool.query<{ last: string }>(
        'select max(sequence)::text as last from stripe_sync.changes where account = $1',
        [account],
      );
      expect(heard).toEqual([rows[0]?.last]);
    } finally {
      client.removeAllListeners('notification');
      await client.query('unlisten *');
      client.release();
    }
  });
});

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
        [account, from, to],
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
      await client.query('update stripe.invoices set as_of = now() where account = $1', [account]);
      await insert(rows + 3, 5_000);
      const before = await read();
      const { rowCount } = await client.query(
        `update stripe.invoices set as_of = now() where account = $1 and id = any($2)`,
        [account, ['in_5', 'in_500', 'in_3000', 'in_4999']],
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
      [account, items, asOf],
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
    [account],
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

it('knows the five types that come whole inside of others', () => {
  expect(embeddings()).toContainEqual(INVOICE);
  expect(
    embeddings()
      .map(({ object }) => object)
      .toSorted(),
  ).toEqual([
    'credit_note_line_item',
    'line_item',
    'radar.value_list_item',
    'subscription_item',
    'transfer_reversal',
  ]);
});
