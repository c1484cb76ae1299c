import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Embedding, embeddings } from '../../src/postgres/embedded-rows.js';
import { upsertPage } from '../../src/postgres/upsert-page.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createEmbeddedRoom, invoice, line, list, short } from './embedded-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const room = createEmbeddedRoom(() => database.pool);
const { page, gone, rowsOf, lines, feed } = room;
beforeEach(room.next);

const INVOICE: Embedding = { object: 'line_item', parent: 'invoice', field: 'lines' };

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
    const first = room.account;
    room.enter(`${first}-other`);
    await page(100, [invoice('in_1', line('il_1', 7))]);
    await page(200, [invoice('in_1')]);
    const { rows } = await database.pool.query(
      'select account, amount::int, deleted from stripe.line_items where account = any($1) order by account',
      [[first, room.account]],
    );
    expect(rows).toEqual([
      { account: first, amount: 5, deleted: false },
      { account: room.account, amount: 7, deleted: true },
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
    const before = await database.pool.query(place, [room.account]);
    await page(200, [{ ...invoice('in_1', line('il_1'), line('il_2')), status: 'paid' }]);
    expect((await database.pool.query(place, [room.account])).rows).toEqual(before.rows);
    expect(await lines()).toEqual(['il_1 in in_1 alive 100', 'il_2 in in_1 alive 100']);
  });

  it('follows every digit of a number', async () => {
    const text = (amount: string) =>
      `{"data":[{"object":"invoice","id":"in_1","lines":{"data":[{"id":"il_1","rate":${amount}}],"has_more":false}}]}`;
    const input = {
      account: room.account,
      object: 'invoice',
      table: 'invoices',
      keyFields: ['id'],
      source: 'backfill:1',
    };
    await upsertPage(database.pool, { ...input, page: text('1.0'), asOf: 100, asOfUntil: 100 });
    await upsertPage(database.pool, { ...input, page: text('1.00'), asOf: 200, asOfUntil: 200 });
    const { rows } = await database.pool.query<{ text: string }>(
      'select data::text as text from stripe.line_items where account = $1',
      [room.account],
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
        [room.account, invoice('in_1', line('il_1'))],
      );
      const seen = await client.query('select id from stripe.line_items where account = $1', [room.account]);
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
      room.account,
    ]);
    await database.pool.query(`delete from stripe.line_items where account = $1 and id = 'il_2'`, [
      room.account,
    ]);
    await database.pool.query(
      `insert into stripe.line_items (account, id, data, as_of, as_of_until, source, parent_id)
       values ($1, 'il_9', '{}', now(), now(), 'by hand', 'in_1')`,
      [room.account],
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
    await database.pool.query('delete from stripe.invoices where account = $1', [room.account]);
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
        [room.account],
      );
      expect(heard).toEqual([rows[0]?.last]);
    } finally {
      client.removeAllListeners('notification');
      await client.query('unlisten *');
      client.release();
    }
  });
});

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
