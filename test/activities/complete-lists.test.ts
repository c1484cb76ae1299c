import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareTruth } from '../../src/sandbox/compare-truth.js';
import type { StripeResponse } from '../../src/stripe/client.js';
import { createActivityRoom } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createReadingRoom, withText } from '../support/reading-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const EMBEDDING = [
  ['subscription', 'items', 'subscription_item'],
  ['invoice', 'lines', 'line_item'],
  ['credit_note', 'lines', 'credit_note_line_item'],
  ['transfer', 'reversals', 'transfer_reversal'],
  ['application_fee', 'refunds', 'fee_refund'],
  ['radar.value_list', 'list_items', 'radar.value_list_item'],
] as const;

type List = { object: string; has_more: boolean; url: string; data: { id: string }[] };
const listIn = (data: unknown, field: string) => (data as Record<string, List>)[field] as List;

describe('an object whose list Stripe cuts', () => {
  it.each(EMBEDDING)('is read with the whole list: %s.%s', async (object, field, item) => {
    const room = await createReadingRoom(database, { embeddedItems: 3 });
    const made = room.simulator.create(
      object,
      {},
      { event: false, ...(object === 'invoice' || object === 'subscription' ? { items: 7 } : {}) },
    );
    const id = String(made.id);
    for (
      let have = listIn(made, field).data.length;
      have < 7 && object !== 'invoice' && object !== 'subscription';
      have += 1
    )
      room.simulator.create(
        item,
        {},
        { event: false, parent: { object, id }, created: 1_700_000_000 + have },
      );
    const truth = room.simulator.get(object, id);
    const embedded = listIn(truth?.data, field);
    expect(embedded).toMatchObject({ object: 'list', has_more: true });
    expect(truth?.complete?.[field]?.length).toBeGreaterThanOrEqual(7);

    const read = await room.read(object, id, { apiVersion: '2026-10-28.endive' });
    if (read.found !== 'object') return expect.fail('it was not found');
    const data = JSON.parse(read.data) as Record<string, unknown>;
    expect(data).toEqual({
      ...truth?.data,
      [field]: { ...embedded, has_more: false, data: truth?.complete?.[field] },
    });
    const ids = listIn(data, field).data.map((entry) => entry.id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(room.paths[1]).toBe(`${embedded.url}${embedded.url.includes('?') ? '&' : '?'}limit=100`);
    expect(room.versions).toEqual(['2026-10-28.endive', '2026-10-28.endive']);
  });

  it('is read page by page, and its version reaches from the first request to the last answer', async () => {
    let dates = 0;
    const room = await createReadingRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        dates += 1;
        return { ...response, date: 1_000 + dates * 10, durationMs: 500 };
      },
    });
    const { id } = room.simulator.create('invoice', {}, { event: false, items: 250 });
    const read = await room.read('invoice', String(id));
    expect(read).toMatchObject({ found: 'object', version: { asOf: 1_008, asOfUntil: 1_041 } });
    expect(room.paths.slice(1).map((path) => path.replace(/[^/]+$/, '').length > 0)).toHaveLength(3);
    const data = read.found === 'object' ? JSON.parse(read.data) : null;
    expect(listIn(data, 'lines').data.map((line) => line.id)).toEqual(
      room.simulator.get('invoice', String(id))?.complete?.lines?.map((line) => line.id),
    );
  });

  it('comes through to the digit, with the texts of its items as they were', async () => {
    const item = (id: string) =>
      `{"id":"${id}","object":"line_item","amount":12345678901234567890,"quantity_decimal":0.050,"text":"\\u0041\\u0000"}`;
    const room = await createReadingRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        if (!path.includes('/lines'))
          return withText(
            response,
            response.text.replace('"object":"invoice"', '"object":"invoice","big":9007199254740993'),
          );
        return withText(
          response,
          `{"object":"list","has_more":false,"data":[${item('il_1')}, ${item('il_2')}]}`,
        );
      },
    });
    const { id } = room.simulator.create('invoice', {}, { event: false, items: 12 });
    const read = await room.read('invoice', String(id));
    const text = read.found === 'object' ? read.data : '';
    expect(text).toContain('"big":9007199254740993');
    expect(text).toContain(
      `"data":[${item('il_1').replace('\\u0000', '\\ufffd')},${item('il_2').replace('\\u0000', '\\ufffd')}]`,
    );
  });

  it('is completed in the items of its lists as well', async () => {
    const room = await createReadingRoom(database, {
      between: async (path, get) => {
        if (path.includes('/subscriptions?')) {
          const response = await get('/v1/customers?limit=1');
          const items = {
            object: 'list',
            data: [],
            has_more: true,
            url: '/v1/subscription_items?subscription=sub_1',
          };
          return withText(
            response,
            JSON.stringify({
              object: 'list',
              has_more: false,
              data: [{ id: 'sub_1', object: 'subscription', items }],
            }),
          );
        }
        if (path.startsWith('/v1/subscription_items?')) {
          const response = await get('/v1/customers?limit=1');
          return withText(
            response,
            JSON.stringify({ object: 'list', has_more: false, data: [{ id: 'si_1' }] }),
          );
        }
        return get(path);
      },
    });
    const subscriptions = {
      object: 'list',
      data: [{ id: 'sub_0' }],
      has_more: true,
      url: '/v1/customers/cus_1/subscriptions',
    };
    room.simulator.create('customer', { id: 'cus_1', subscriptions }, { event: false });
    const read = await room.read('customer', 'cus_1');
    const data = read.found === 'object' ? JSON.parse(read.data) : null;
    expect(listIn(data, 'subscriptions')).toMatchObject({
      has_more: false,
      data: [{ id: 'sub_1', items: { has_more: false, data: [{ id: 'si_1' }] } }],
    });
  });
});

describe('a list that cannot be completed', () => {
  const roomWith = (answer: (path: string, response: StripeResponse, asked: number) => StripeResponse) => {
    let asked = 0;
    return createReadingRoom(database, {
      between: async (path, get) => {
        const response = await get(path.replace(/&starting_after=[^&]+/, ''));
        if (path.includes('/lines')) asked += 1;
        return path.includes('/lines') ? answer(path, response, asked) : response;
      },
    });
  };
  const read = async (room: Awaited<ReturnType<typeof roomWith>>) => {
    const { id } = room.simulator.create('invoice', {}, { event: false, items: 12 });
    return room.read('invoice', String(id));
  };

  it('fails the read where the list is gone, and makes no tombstone of it', async () => {
    const room = await createReadingRoom(database, {
      between: (path, get) => get(path.replace(/in_\w+\/lines/, 'in_gone/lines')),
    });
    await expect(read(room)).rejects.toMatchObject({ kind: 'malformed' });
  });

  it('is asked again as a whole where the item to continue from was deleted meanwhile', async () => {
    const room = await createReadingRoom(database, {
      between: (path, get) => get(path.replace(/starting_after=\w+/, 'starting_after=il_deleted')),
    });
    const { id } = room.simulator.create('invoice', {}, { event: false, items: 120 });
    await expect(room.read('invoice', String(id))).rejects.toMatchObject({ kind: 'transient' });
  });

  it('fails the read where a page has no Date, is no list, or gives no way on', async () => {
    await expect(read(await roomWith((_, response) => ({ ...response, date: null })))).rejects.toMatchObject({
      kind: 'malformed',
    });
    await expect(
      read(await roomWith((_, response) => withText(response, '{"object":"list"}'))),
    ).rejects.toMatchObject({ kind: 'malformed' });
    const endless = await roomWith((_, response) =>
      withText(response, '{"object":"list","has_more":true,"data":[{"id":"il_1"}]}'),
    );
    await expect(read(endless)).rejects.toMatchObject({ kind: 'malformed' });
    expect(endless.paths).toHaveLength(3);
  });

  it('ends after a bounded number of pages', async () => {
    const room = await roomWith((_, response, asked) =>
      withText(response, `{"object":"list","has_more":true,"data":[{"id":"il_${asked}"}]}`),
    );
    await expect(read(room)).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('500 pages'),
    });
  });

  it('is left at once where the activity is cancelled', async () => {
    const cancelled = new AbortController();
    const room = await roomWith((_, response) => {
      cancelled.abort();
      return response;
    });
    const { id } = room.simulator.create('invoice', {}, { event: false, items: 250 });
    await expect(room.read('invoice', String(id), { signal: cancelled.signal })).rejects.toMatchObject({
      kind: 'cancelled',
    });
    expect(room.paths).toHaveLength(3);
  });

  it('leaves no row', async () => {
    const room = await createActivityRoom(database, {
      between: (path, get) => get(path.replace(/in_\w+\/lines/, 'in_gone/lines')),
    });
    const { id } = room.simulator.create('invoice', {}, { event: false, items: 12 });
    const settle = {
      account: room.account,
      object: 'invoice',
      objectId: String(id),
      ids: [],
      after: room.now() - 10,
      apiVersion: null,
    };
    await expect(room.run('settleEntity', settle)).rejects.toMatchObject({ type: 'Stripe/malformed' });
    expect(await room.rows('invoice')).toEqual([]);
  });
});

describe('a listing of objects with cut lists', () => {
  it('stores the whole ones, names the others, and a read of those makes the table equal to Stripe', async () => {
    const room = await createActivityRoom(database);
    const cut = room.simulator.createMany('invoice', 5, { items: 23 });
    const whole = room.simulator.createMany('invoice', 130, { items: 2 });
    const input = {
      account: room.account,
      object: 'invoice',
      number: 1,
      apiVersion: null,
      from: null,
      seconds: 30,
    };
    const result = await room.run('backfillType', input);
    expect(result).toMatchObject({ position: null, skipped: null, refused: { count: 0 } });
    expect(result.rows).toBe(cut.length + whole.length);
    expect(result.ambiguous.map(({ objectId }) => objectId).toSorted()).toEqual(cut.toSorted());
    expect((await room.rows('invoice')).map(({ id }) => id).toSorted()).toEqual(whole.toSorted());
    await Promise.all(
      result.ambiguous.map(({ objectId, after }) =>
        room.run('settleEntity', {
          account: room.account,
          object: 'invoice',
          objectId,
          ids: [],
          after,
          apiVersion: null,
        }),
      ),
    );
    const truth = new Map([['invoice', room.simulator.truth().get('invoice') ?? new Map()]]);
    expect(await compareTruth(database.pool, room.account, truth, new Set())).toMatchObject({
      // 135 invoices, and the 375 lines that they hold.
      equal: 510,
      differences: [],
    });
  });

  it('hands on what it has once it has found enough of them', async () => {
    const room = await createActivityRoom(database, { embeddedItems: 1 });
    room.simulator.createMany('subscription', 350, { items: 2 });
    const input = {
      account: room.account,
      object: 'subscription',
      number: 1,
      apiVersion: null,
      from: null,
      seconds: 30,
    };
    const first = await room.run('backfillType', input);
    expect(first.ambiguous).toHaveLength(200);
    const second = await room.run('backfillType', { ...input, from: first.position });
    expect(second).toMatchObject({ position: null, rows: 350 });
    expect(second.ambiguous).toHaveLength(150);
    expect(await room.rows('subscription')).toEqual([]);
  });
});
