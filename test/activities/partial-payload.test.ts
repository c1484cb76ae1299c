import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../../activities/event-pages.js';
import { type ActivityRoom, eventOf } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createReadingRoom, withText } from '../support/reading-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const VERSION = '2026-10-28.endive';

function apply(
  room: ActivityRoom,
  object: string,
  objectId: string,
  ids: string[],
  hydrate: 'auto' | 'payload' = 'auto',
) {
  return room.run('applyChanges', {
    account: room.account,
    object,
    objectId,
    ids,
    hydrate,
    apiVersion: VERSION,
  });
}

function settle(room: ActivityRoom, object: string, objectId: string, ids: readonly string[], after: number) {
  return room.run('settleEntity', {
    account: room.account,
    object,
    objectId,
    ids,
    after,
    apiVersion: VERSION,
  });
}

describe('an event whose object has a cut list', () => {
  async function received(items: number) {
    const room = await createReadingRoom(database);
    const created = room.now() - 100;
    const invoice = room.simulator.create('invoice', {}, { event: false, items, created });
    await room.receive([eventOf('evt_1', 'invoice.updated', created, invoice)]);
    return { room, id: String(invoice.id), created };
  }

  it('is not applied as it came: the object is read, and its row has all of the list', async () => {
    const { room, id, created } = await received(25);
    const { fetch, tally } = await apply(room, 'invoice', id, ['evt_1']);
    expect(fetch).toEqual({ ids: ['evt_1'], after: created });
    expect(tally.applied).toBe(0);
    expect(await room.rows('invoice')).toEqual([]);
    expect(await settle(room, 'invoice', id, ['evt_1'], created)).toMatchObject({ fetched: 1 });
    const [row] = await room.rows('invoice');
    expect(row?.data.lines).toMatchObject({ has_more: false, data: { length: 25 } });
  });

  it('is applied as it came where its list is whole, or where payloads are asked for', async () => {
    const whole = await received(3);
    expect((await apply(whole.room, 'invoice', whole.id, ['evt_1'])).tally.applied).toBe(1);
    const cut = await received(25);
    expect((await apply(cut.room, 'invoice', cut.id, ['evt_1'], 'payload')).tally.applied).toBe(1);
  });
});

describe('an event that the ledger holds without its payload', () => {
  it('is settled by a read of the object where it is taken again, and never by what is left of it', async () => {
    const text = `{"data":[{"id":"evt_1","object":"event","type":"customer.updated","created":1700000000,"api_version":"${VERSION}","data":{"object":{"object":"customer","id":"cus_1","balance":1e999999}}}],"has_more":false}`;
    const room = await createReadingRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        return path.startsWith('/v1/events') ? withText(response, text) : response;
      },
    });
    room.simulator.create('customer', { id: 'cus_1' }, { event: false });
    await listEvents(room.deps, {
      account: room.account,
      request: { kind: 'window', from: 1, to: null, below: null, limit: 100 },
      source: 'poll',
      signal: new AbortController().signal,
      lookedAt: () => null,
    });
    expect(await room.outcomes()).toEqual({ evt_1: 'parked' });
    await database.pool.query(
      'update stripe_sync.events set outcome = null, error = null where account = $1',
      [room.account],
    );
    const { fetch } = await apply(room, 'customer', 'cus_1', ['evt_1']);
    expect(fetch).toEqual({ ids: ['evt_1'], after: 1_700_000_000 });
    expect(await settle(room, 'customer', 'cus_1', ['evt_1'], 1_700_000_000)).toMatchObject({ fetched: 1 });
    expect((await room.rows('customer'))[0]?.data).toEqual(room.simulator.get('customer', 'cus_1')?.data);
  });
});

describe('an event of an object that turns out to have no address', () => {
  it('is applied as it came, and no tombstone is made of it: a card whose customer is gone', async () => {
    const room = await createReadingRoom(database);
    const created = room.now() - 100;
    const card = room.simulator.create('card', {}, { event: false, created });
    const id = String(card.id);
    room.simulator.remove('customer', String(card.customer), { event: false });
    await room.receive([eventOf('evt_1', 'customer.source.updated', created, card, '2020-08-27')]);
    const { fetch } = await apply(room, 'card', id, ['evt_1']);
    expect(await settle(room, 'card', id, fetch?.ids ?? [], created)).toMatchObject({
      applied: 1,
      parked: 0,
    });
    expect(await room.rows('card')).toMatchObject([{ id, deleted: false, source: 'evt_1' }]);
    await room.receive([eventOf('evt_2', 'customer.source.deleted', created + 1, card, '2020-08-27')]);
    await apply(room, 'card', id, ['evt_2']);
    expect(await room.rows('card')).toMatchObject([{ id, deleted: true, source: 'evt_2' }]);
  });
});
