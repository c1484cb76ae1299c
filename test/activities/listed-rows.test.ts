import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createActivityRoom, eventOf, hangingRequest } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { DAY, listingsIn, lists } from './list-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const { opened, asked, list, listing } = listingsIn(() => database.pool);

describe('a row that a page meets', () => {
  it('is read from Stripe where the clock cannot tell which is newer, and the listing ends after that', async () => {
    const room = await createActivityRoom(database);
    const [id = ''] = room.simulator.createMany('customer', 1);
    await room.hold(
      'customer',
      { id, name: 'another state' } as { id: string },
      room.now() - 2,
      room.now() + 1,
    );
    const result = await list(room);
    expect(result.done).toBe(true);
    const [row] = await room.rows('customer');
    expect(row?.data).toEqual(room.simulator.get('customer', id)?.data);
    expect(row?.source).toMatch(/^read:/);
    expect(room.simulator.stats().requests.retrieve).toBe(1);
  });

  it('is read all the same where the worker dies between the page and the read', async () => {
    const hanging = hangingRequest();
    let dies = true;
    const room = await createActivityRoom(database, {
      between: (path, get) => (dies && path.startsWith('/v1/customers/') ? hanging.request() : get(path)),
    });
    const [id = ''] = room.simulator.createMany('customer', 1);
    await room.hold(
      'customer',
      { id, name: 'another state' } as { id: string },
      room.now() - 2,
      room.now() + 1,
    );
    const lost = room.begin('listType', await asked(room));
    lost.result.catch(() => undefined);
    await vi.waitFor(() => expect(lists(room)).toBe(1));
    await vi.waitFor(async () => {
      const { rowCount } = await database.pool.query(
        'select 1 from stripe_sync.listing_reads where account = $1',
        [room.account],
      );
      expect(rowCount).toBe(1);
    });
    dies = false;
    expect((await list(room)).done).toBe(true);
    hanging.end();
    expect((await room.rows('customer'))[0]?.data).toEqual(room.simulator.get('customer', id)?.data);
    expect(lists(room)).toBe(1);
  });

  it('is stored whole where the page shows one of its lists cut', async () => {
    const room = await createActivityRoom(database);
    const invoice = room.simulator.create('invoice', {}, { event: false, items: 34 });
    expect((await list(room, { object: 'invoice' })).done).toBe(true);
    const [row] = await room.rows('invoice');
    expect(row?.id).toBe(invoice.id);
    expect(row?.data.lines).toMatchObject({ has_more: false, data: { length: 34 } });
  });

  it('ends at the change that was made after the page was read, whichever comes first', async () => {
    const room = await createActivityRoom(database);
    const [id = ''] = room.simulator.createMany('customer', 1);
    const changed = { ...room.simulator.get('customer', id)?.data, description: 'changed' };
    await room.receive([eventOf('evt_a', 'customer.updated', room.now() + 100, changed)]);
    await room.run('applyChanges', {
      account: room.account,
      object: 'customer',
      objectId: id,
      ids: ['evt_a'],
      hydrate: 'auto',
      apiVersion: null,
    });
    await list(room);
    expect(await room.rows('customer')).toMatchObject([{ data: { description: 'changed' } }]);
  });
});

describe('what a complete listing does not show', () => {
  it('is read one by one: gone it becomes a tombstone, alive it stays, touched since it is left alone', async () => {
    const room = await createActivityRoom(database);
    const now = room.now();
    const [gone = '', kept = '', hidden = ''] = room.simulator.createMany('price', 3);
    const inline = String(room.simulator.create('price', {}, { event: false, listed: false }).id);
    await list(room, { object: 'price' });
    await room.hold('price', { id: inline }, now - DAY, now - DAY);
    room.simulator.remove('price', gone, { event: false });
    await database.pool.query(
      `update stripe.prices set as_of = as_of - interval '1 day', as_of_until = as_of_until - interval '1 day'
       where account = $1`,
      [room.account],
    );
    const number = await opened(room, 'run-2', ['price']);
    expect(await list(room, { object: 'price', number })).toMatchObject({ done: true, rows: 2 });
    const rows = new Map((await room.rows('price')).map((row) => [row.id, row]));
    expect(rows.get(gone)?.deleted).toBe(true);
    expect([kept, hidden].map((id) => rows.get(id)?.deleted)).toEqual([false, false]);
    expect(rows.get(inline)?.data).toEqual(room.simulator.get('price', inline)?.data);
    expect(await listing(room, 'price', number)).toMatchObject({ state: 'done', swept: 2, unswept: 0 });
    expect(room.simulator.stats().requests.retrieve).toBe(2);
  });

  it('is left alone where the key is of another Stripe account: nothing of ours would be there', async () => {
    const room = await createActivityRoom(database);
    const [id = ''] = room.simulator.createMany('customer', 1);
    await room.hold('customer', { id: 'cus_ours' }, room.now() - DAY, room.now() - DAY);
    await database.pool.query(
      `insert into stripe_sync.accounts (account, cursor_created, lag_seconds, key_account)
       values ($1, now(), 5, 'acct_ours')`,
      [room.account],
    );
    await expect(list(room)).rejects.toThrow(
      /is of the Stripe account acct_.* and its tables hold acct_ours/,
    );
    expect((await room.rows('customer')).map((row) => [row.id, row.deleted])).toEqual(
      [
        [id, false],
        ['cus_ours', false],
      ].toSorted(),
    );
  });

  it('is left alone where the listing failed', async () => {
    const room = await createActivityRoom(database);
    const [id = ''] = room.simulator.createMany('customer', 1);
    await room.hold('customer', { id: 'cus_gone' }, room.now() - DAY, room.now() - DAY);
    room.simulator.setFaults({ rules: [{ kind: 'server_error', path: '/v1/customers', probability: 1 }] });
    await expect(list(room)).rejects.toThrow();
    expect(await room.rows('customer')).toMatchObject([{ id: 'cus_gone', deleted: false }]);
    expect(id).not.toBe('');
    expect(room.simulator.stats().requests.retrieve).toBe(0);
  });
});
