import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NotReadable } from '../../activities/retrieve-object.js';
import { eventOf } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { deliver, entityOf, listedEvents } from '../support/entity-loop.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createReadingRoom, type ReadingRoom, withText } from '../support/reading-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const EVENTS = [
  ['balance.available', 'balance', '/v1/balance'],
  ['balance_settings.updated', 'balance_settings', '/v1/balance_settings'],
  ['tax.settings.updated', 'tax.settings', '/v1/tax/settings'],
  ['cash_balance.funds_available', 'cash_balance', '/v1/customers/{id}/cash_balance'],
  ['entitlements.active_entitlement_summary.updated', 'entitlements.active_entitlement_summary', null],
] as const;
const OF_A_CUSTOMER = new Set(['cash_balance', 'entitlements.active_entitlement_summary']);

/** Changes the object, with the event that tells of it, and returns its key. */
function change(room: ReadingRoom, type: string, object: string): string {
  const { simulator } = room;
  if (!OF_A_CUSTOMER.has(object)) {
    simulator.update(object, object, { livemode: true }, { event: type });
    return object;
  }
  const id = String(simulator.create('customer', {}, { event: false }).id);
  simulator.create(object, { customer: id }, { event: false });
  simulator.update(object, id, { livemode: true }, { event: type });
  return id;
}

describe.each(EVENTS)('%s, whose object has no id,', (type, object) => {
  it('makes the row of what there is one of', async () => {
    const room = await createReadingRoom(database);
    const key = change(room, type, object);
    const [event] = (await listedEvents(room.simulator)).filter((listed) => listed.type === type);
    if (event === undefined) throw new Error(`${type} is not listed`);
    await room.receive([event]);
    expect(entityOf(event)).toEqual({ object, objectId: key });
    expect(await deliver(room, { object, objectId: key }, [event.id])).toMatchObject({ applied: 1 });
    expect(await room.rows(object)).toMatchObject([{ id: key, deleted: false, source: event.id }]);
    expect((await room.rows(object))[0]?.data).toEqual(room.simulator.get(object, key)?.data);
    expect(await room.outcomes()).toEqual({ [event.id]: 'applied' });
  });
});

describe.each(EVENTS.filter(([, , path]) => path !== null))('%s', (type, object, path) => {
  it('has its object read at its own path where a read is wanted', async () => {
    const room = await createReadingRoom(database);
    const key = change(room, type, object);
    expect(await room.read(object, key)).toMatchObject({ found: 'object' });
    expect(room.paths).toEqual([path?.replace('{id}', key)]);
    await room.receive([
      eventOf('evt_1', type, room.now() - 10, room.simulator.get(object, key)?.data ?? {}),
    ]);
    const fetched = await deliver(room, { object, objectId: key }, ['evt_1'], { hydrate: 'fetch' });
    expect(fetched).toMatchObject({ fetched: 1 });
    expect(await room.rows(object)).toMatchObject([{ id: key, data: { livemode: true } }]);
  });
});

it('the cash balances of two customers are two rows', async () => {
  const room = await createReadingRoom(database);
  const keys = ['evt_1', 'evt_2'].map((id) => ({
    id,
    key: change(room, 'cash_balance.funds_available', 'cash_balance'),
  }));
  for (const { id, key } of keys) {
    const state = room.simulator.get('cash_balance', key)?.data ?? {};
    await room.receive([eventOf(id, 'cash_balance.funds_available', room.now() - 10, state)]);
    await deliver(room, { object: 'cash_balance', objectId: key }, [id]);
  }
  const rows = await room.rows('cash_balance');
  expect(rows.map((row) => row.id)).toEqual(keys.map(({ key }) => key).toSorted());
});

it('a balance of nobody is ignored, and says what it lacks', async () => {
  const room = await createReadingRoom(database);
  await room.receive([
    eventOf('evt_1', 'cash_balance.funds_available', room.now(), { object: 'cash_balance', customer: null }),
    eventOf('evt_2', 'capability.updated', room.now(), { object: 'capability', id: 'card_payments' }),
  ]);
  expect(await room.ledger()).toMatchObject([
    { id: 'evt_1', outcome: 'ignored', error: 'the object in the event has no customer' },
    { id: 'evt_2', outcome: 'ignored', error: 'the object in the event has no account' },
  ]);
});

it('settings that this account does not have are not deleted settings: what the event says stays', async () => {
  const room = await createReadingRoom(database, {
    between: (path, get) => get(path === '/v1/tax/settings' ? '/v1/customers/cus_none' : path),
  });
  await expect(room.read('tax.settings', 'tax.settings')).rejects.toThrow(NotReadable);
  const customer = String(room.simulator.create('customer').id);
  room.simulator.remove('customer', customer);
  await expect(room.read('cash_balance', customer)).rejects.toThrow(NotReadable);
});

it('an answer about another customer is not stored', async () => {
  const room = await createReadingRoom(database, {
    between: async (path, get) => {
      const response = await get(path);
      return withText(response, response.text.replace(/cus_\w+/, 'cus_another'));
    },
  });
  const key = change(room, 'cash_balance.funds_available', 'cash_balance');
  await expect(room.read('cash_balance', key)).rejects.toMatchObject({ kind: 'malformed' });
});
