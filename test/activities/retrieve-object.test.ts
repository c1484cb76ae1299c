import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kindOf, traitsOf } from '../../activities/entity-traits.js';
import { NotReadable } from '../../activities/retrieve-object.js';
import { entityKeyFields, tableOf } from '../../src/stripe/catalog.js';
import { eventTypes } from '../../src/stripe/event-types.js';
import { storedObjects } from '../../src/stripe/stored-objects.js';
import { eventOf } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createReadingRoom } from '../support/reading-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

type State = Record<string, unknown>;
type Room = Awaited<ReturnType<typeof createReadingRoom>>;

const TYPES = eventTypes().flatMap(({ type, objects, retrieveKind }) =>
  objects.map((object) => ({ type, object, retrieveKind })),
);
const stored = new Set(storedObjects());
const PREVIEW = 'none (preview invoice has no id)';

const keyOf = (object: string, state: State) =>
  entityKeyFields(object)
    .map((field) => String(state[field]))
    .join(':');

/** An object of the simulator, without the event of its making. */
const make = (room: Room, object: string, fields: State = {}, parent?: { object: string; id: string }) =>
  room.simulator.create(object, fields as never, {
    event: false,
    created: room.now() - 500,
    ...(parent === undefined ? {} : { parent }),
  });

/** The balance is there from the beginning. */
const existing = (room: Room, object: string): State | undefined => room.simulator.get(object, object)?.data;

async function receive(room: Room, type: string, state: State, created = room.now() - 100): Promise<string> {
  const id = `evt_${type}_${String(state.id)}_${created}`;
  await room.receive([eventOf(id, type, created, state)]);
  return id;
}

const apply = (
  room: Room,
  object: string,
  objectId: string,
  ids: string[],
  hydrate: 'fetch' | 'auto' = 'fetch',
) => room.run('applyChanges', { account: room.account, object, objectId, ids, hydrate, apiVersion: null });

describe('every event type of the catalog', () => {
  it('is one of 237 by id, 20 by the id of a parent too, 3 singletons, and 15 that cannot be read', () => {
    const counts: Record<string, number> = {};
    for (const { retrieveKind } of eventTypes()) counts[retrieveKind] = (counts[retrieveKind] ?? 0) + 1;
    expect(counts).toEqual({ 'by-id': 237, 'needs-parent-id': 20, singleton: 3, none: 14, [PREVIEW]: 1 });
  });

  it('is read where it can be, applied as it came where not, and ignored with a reason where it has no row', async () => {
    const room = await createReadingRoom(database);
    const made = new Map<string, State>();
    const wrong: string[] = [];
    const became: Record<string, number> = {};
    for (const [index, { type, object, retrieveKind }] of TYPES.entries()) {
      const state = made.get(object) ?? existing(room, object) ?? make(room, object);
      made.set(object, state);
      const isPreview = retrieveKind === PREVIEW;
      const { id: _id, ...withoutId } = state;
      const payload = isPreview ? withoutId : state;
      const eventId = await receive(room, type, payload, room.now() - 100 - index);
      const [entry] = (await room.ledger()).filter(({ id }) => id === eventId);
      const applicable = stored.has(object) && !isPreview;
      let what = entry?.outcome ?? 'pending';
      if (applicable && entry?.outcome === null) {
        const key = keyOf(object, state);
        // The events arrive newest first, so each is told apart from what the row holds by its own read.
        await database.pool.query('delete from stripe_sync.events where account = $1 and id <> $2', [
          room.account,
          eventId,
        ]);
        await database.pool.query(`delete from stripe."${tableOf(object)}" where account = $1`, [
          room.account,
        ]);
        const applied = await apply(room, object, key, [eventId]);
        if (applied.fetch === null) {
          what = applied.tally.applied === 1 ? 'applied' : 'lost';
        } else {
          const read = await room.read(object, key);
          what =
            read.found === 'object' && keyOf(object, JSON.parse(read.data)) === key ? 'read' : read.found;
        }
      } else if (entry?.outcome === 'ignored') {
        if (!/^(no table for the object|the object in the event has no id)/.test(entry.error ?? ''))
          wrong.push(`${type}: ${entry.error}`);
      }
      const deletes = kindOf(type, object) === 'deleted';
      const expected = !applicable ? 'ignored' : deletes || retrieveKind === 'none' ? 'applied' : 'read';
      if (what !== expected) wrong.push(`${type} (${object}): ${what}, not ${expected}`);
      const kind = `${retrieveKind}, ${what}`;
      became[kind] = (became[kind] ?? 0) + 1;
    }
    expect(became).toMatchInlineSnapshot(`
      {
        "by-id, applied": 10,
        "by-id, read": 227,
        "needs-parent-id, applied": 6,
        "needs-parent-id, read": 25,
        "none (preview invoice has no id), ignored": 1,
        "none, applied": 13,
        "none, ignored": 1,
        "singleton, read": 3,
      }
    `);
    expect(wrong).toEqual([]);
  });

  it('says that an object can be read exactly where Stripe has a path for one that has a row', () => {
    const wrong = TYPES.filter(({ object, retrieveKind }) => {
      const expected = retrieveKind !== 'none' && stored.has(object);
      return traitsOf(object).retrievable !== expected;
    });
    expect(wrong).toEqual([]);
  });
});

describe('a preview of an invoice', () => {
  it('is ignored with its reason', async () => {
    const room = await createReadingRoom(database);
    await room.receive([
      eventOf('evt_upcoming', 'invoice.upcoming', room.now(), {
        object: 'invoice',
        lines: { object: 'list', data: [] },
      }),
    ]);
    expect(await room.ledger()).toContainEqual(
      expect.objectContaining({
        id: 'evt_upcoming',
        outcome: 'ignored',
        error: 'the object in the event has no id',
      }),
    );
  });
});

describe('an object that is read through its parent', () => {
  it('is found by the field of its event, also where it holds the parent itself, and by its row after the ledger forgot', async () => {
    const room = await createReadingRoom(database);
    const card = make(room, 'card');
    const id = String(card.id);
    await receive(room, 'customer.source.updated', {
      ...card,
      customer: { id: card.customer, object: 'customer' },
    });
    expect(await room.read('card', id)).toMatchObject({ found: 'object' });
    await database.pool.query('delete from stripe_sync.events where account = $1', [room.account]);
    await room.hold('card', { ...card, id }, 100, 100);
    expect(await room.read('card', id)).toMatchObject({ found: 'object' });
  });

  it('has no address where nothing says whose it is', async () => {
    const room = await createReadingRoom(database);
    await receive(room, 'customer.source.updated', { object: 'card', id: 'card_1' });
    await expect(room.read('card', 'card_1')).rejects.toThrow(NotReadable);
    expect(room.paths).toEqual([]);
  });

  it('is gone where the parent is there and it is not', async () => {
    const room = await createReadingRoom(database);
    const card = make(room, 'card');
    await receive(room, 'customer.source.updated', card);
    room.simulator.remove('card', String(card.id), { event: false });
    expect(await room.read('card', String(card.id))).toMatchObject({ found: 'gone' });
    expect(room.paths).toEqual([
      `/v1/customers/${card.customer}/sources/${card.id}`,
      `/v1/customers/${card.customer}`,
    ]);
  });

  it('is not called gone because its customer is, whose deletion says nothing of it', async () => {
    const room = await createReadingRoom(database);
    const card = make(room, 'card');
    await receive(room, 'customer.source.updated', card);
    room.simulator.remove('customer', String(card.customer), { event: false });
    await expect(room.read('card', String(card.id))).rejects.toThrow(
      /cannot be read .* the object that it belongs to is gone/,
    );
  });

  it('is not called gone while its parent cannot be asked for', async () => {
    const room = await createReadingRoom(database, {
      between: (path, get) => get(/customers\/\w+$/.test(path) ? '/v1/customers?limit=nonsense' : path),
    });
    const card = make(room, 'card');
    await receive(room, 'customer.source.updated', card);
    room.simulator.remove('card', String(card.id), { event: false });
    await expect(room.read('card', String(card.id))).rejects.toMatchObject({ kind: 'invalid' });
  });

  it('is read under its account where it is an external account', async () => {
    const room = await createReadingRoom(database);
    const account = make(room, 'account');
    const bank = make(room, 'bank_account', { account: account.id, customer: null });
    await receive(room, 'account.external_account.updated', bank);
    await room.read('bank_account', String(bank.id));
    expect(room.paths[0]).toBe(`/v1/accounts/${account.id}/external_accounts/${bank.id}`);
  });
});

describe('a source', () => {
  it('lives on where it is taken from its customer, and is read by its own id after the customer is gone', async () => {
    const room = await createReadingRoom(database);
    expect(kindOf('customer.source.deleted', 'source')).toBe('updated');
    expect(kindOf('customer.source.deleted', 'account')).toBe('updated');
    expect(kindOf('customer.source.deleted', 'card')).toBe('deleted');
    expect(kindOf('customer.source.deleted', 'bank_account')).toBe('deleted');
    const source = make(room, 'source');
    await receive(room, 'customer.source.deleted', source);
    expect(await room.read('source', String(source.id))).toMatchObject({ found: 'object' });
    expect(room.paths).toEqual([`/v1/sources/${source.id}`]);
  });
});

describe('a discount', () => {
  it('of a subscription is not looked for under the customer, where Stripe does not show it', async () => {
    const room = await createReadingRoom(database);
    const discount = make(room, 'discount');
    await receive(room, 'customer.discount.updated', { ...discount, subscription: 'sub_1' });
    await expect(room.read('discount', String(discount.id))).rejects.toThrow(/discount of a subscription/);
    expect(room.paths).toEqual([]);
  });

  it('is gone where the customer has another one now, and where it has none', async () => {
    const room = await createReadingRoom(database);
    const discount = make(room, 'discount');
    await receive(room, 'customer.discount.updated', { ...discount, id: 'di_before' });
    expect(await room.read('discount', 'di_before')).toMatchObject({ found: 'gone' });
    room.simulator.remove('discount', String(discount.id), { event: false });
    expect(await room.read('discount', 'di_before')).toMatchObject({ found: 'gone' });
  });
});

describe('an answer that is about something else', () => {
  it('makes no tombstone where the path does not exist, and is not stored where it is another object', async () => {
    const room = await createReadingRoom(database, {
      between: (path, get) => get(path.replace('cus_path', 'cus_path/nowhere').replace('cus_two', 'cus_one')),
    });
    make(room, 'customer', { id: 'cus_one' });
    await expect(room.read('customer', 'cus_path')).rejects.toMatchObject({ kind: 'invalid' });
    await expect(room.read('customer', 'cus_two')).rejects.toMatchObject({ kind: 'malformed' });
    expect(await room.read('customer', 'cus_never')).toMatchObject({ found: 'gone' });
  });

  it('says deleted of a customer, which is a tombstone', async () => {
    const room = await createReadingRoom(database);
    make(room, 'customer', { id: 'cus_1' });
    room.simulator.remove('customer', 'cus_1');
    expect(await room.read('customer', 'cus_1')).toMatchObject({ found: 'gone' });
  });

  it('is not taken for a state where Stripe has no path at all', async () => {
    const room = await createReadingRoom(database);
    await expect(room.read('billing_portal.session', 'bps_1')).rejects.toThrow(/no path/);
  });
});
