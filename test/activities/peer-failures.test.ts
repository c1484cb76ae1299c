/** What other mirrors of Stripe get wrong, on a real simulator and a real PostgreSQL: one test for each. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insertEvents } from '../../src/postgres/insert-events.js';
import type { JsonObject } from '../../src/sandbox/simulator/index.js';
import { compositeKeys, storedObjects } from '../../src/stripe/stored-objects.js';
import {
  type ActivityRoom,
  createActivityRoom,
  eventOf,
  type RoomOptions,
} from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { deliver, entityOf, listedEvents } from '../support/entity-loop.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createPollLoop } from '../support/poll-loop.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const ID = 'the_one';

/** Makes an object long ago, without a trace in the events. */
function make(room: ActivityRoom, object: string, fields: JsonObject = {}): void {
  room.simulator.create(object, { id: ID, ...fields }, { created: room.now() - 2_000, event: false });
}

/** The object's events, oldest first as they were made, in the inbox. */
async function received(room: ActivityRoom, object: string): Promise<string[]> {
  const made = new Map(room.simulator.events().map(({ id, sequence }) => [id, sequence]));
  const events = (await listedEvents(room.simulator))
    .filter((event) => entityOf(event)?.object === object && entityOf(event)?.objectId === ID)
    .sort((a, b) => (made.get(a.id) ?? 0) - (made.get(b.id) ?? 0));
  await room.receive(events);
  return events.map(({ id }) => id);
}

/** The row is what Stripe has, and every change of the object has its outcome. */
async function expectTruth(room: ActivityRoom, object: string): Promise<void> {
  const truth = room.simulator.get(object, ID);
  const row = (await room.rows(object)).find(({ id }) => id === ID);
  expect(row?.deleted).toBe(truth?.deleted);
  if (truth?.deleted === false) expect(row?.data).toEqual(truth.data);
  const open = (await room.ledger()).filter(({ outcome }) => outcome === null || outcome === 'parked');
  expect(open).toEqual([]);
}

/** All orders in which two or three deliveries can arrive. */
function ordersOf<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, index) => ordersOf(items.toSpliced(index, 1)).map((rest) => [item, ...rest]));
}

describe('two updates in one second', () => {
  it.each(['one by one', 'together'])('leave the last one, in every order of arrival, %s', async (how) => {
    for (const order of ordersOf([0, 1])) {
      const room = await createActivityRoom(database);
      make(room, 'customer');
      const created = room.now() - 100;
      room.simulator.update('customer', ID, { name: 'first' }, { created });
      room.simulator.update('customer', ID, { name: 'second', phone: '1' }, { created });
      const ids = await received(room, 'customer');
      expect(ids).toHaveLength(2);
      const arriving = order.map((index) => ids[index] ?? '');
      for (const batch of how === 'together' ? [arriving] : arriving.map((id) => [id])) {
        await deliver(room, { object: 'customer', objectId: ID }, batch);
      }
      await expectTruth(room, 'customer');
      expect((await room.rows('customer'))[0]?.data.name).toBe('second');
    }
  });

  it('leave the last one where the second puts back what the first had changed', async () => {
    for (const order of ordersOf([0, 1])) {
      const room = await createActivityRoom(database);
      make(room, 'customer', { name: 'as before' });
      const created = room.now() - 100;
      room.simulator.update('customer', ID, { name: 'for a moment' }, { created });
      room.simulator.update('customer', ID, { name: 'as before' }, { created });
      const ids = await received(room, 'customer');
      for (const index of order) {
        await deliver(room, { object: 'customer', objectId: ID }, [ids[index] ?? '']);
      }
      await expectTruth(room, 'customer');
      expect((await room.rows('customer'))[0]?.data.name).toBe('as before');
    }
  });
});

describe('an update and a deletion in one second', () => {
  it.each(['customer', 'product', 'coupon'])(
    'leave a tombstone of the %s, in every order of arrival',
    async (object) => {
      for (const order of ordersOf([0, 1])) {
        const room = await createActivityRoom(database);
        make(room, object);
        const created = room.now() - 100;
        room.simulator.update(object, ID, { metadata: { last: 'words' } }, { created });
        room.simulator.remove(object, ID, { created });
        const ids = await received(room, object);
        expect(ids).toHaveLength(2);
        for (const index of order) await deliver(room, { object, objectId: ID }, [ids[index] ?? '']);
        await expectTruth(room, object);
        expect(await room.rows(object)).toMatchObject([{ id: ID, deleted: true }]);
      }
    },
  );
});

describe('a deletion, and an older update that arrives after it', () => {
  it.each(['product', 'price', 'coupon', 'invoice', 'customer'])(
    'leave a tombstone of the %s',
    async (object) => {
      for (const order of ordersOf([0, 1, 2]).filter((each) => each[0] === 2)) {
        const room = await createActivityRoom(database);
        const at = room.now() - 500;
        room.simulator.create(object, { id: ID }, { created: at });
        room.simulator.update(object, ID, { metadata: { old: 'news' } }, { created: at + 100 });
        room.simulator.remove(object, ID, { created: at + 200 });
        const all = await received(room, object);
        const ids = [all[0], all.at(-2), all.at(-1)].map(String);
        expect(new Set(ids).size).toBe(3);
        expect((await listedEvents(room.simulator)).find(({ id }) => id === ids[2])?.type).toBe(
          `${object}.deleted`,
        );
        for (const index of order) await deliver(room, { object, objectId: ID }, [ids[index] ?? '']);
        const [row] = await room.rows(object);
        expect(row).toMatchObject({ id: ID, deleted: true, data: { metadata: { old: 'news' } } });
        await deliver(room, { object, objectId: ID }, all);
        await expectTruth(room, object);
      }
    },
  );
});

const MOMENTS = [
  { when: 'in the same second', later: 0 },
  { when: 'seconds later', later: 5 },
];

/** Lists the customers; `change` is made once the page was read and before it is written. */
async function listing(change: (room: ActivityRoom) => Promise<void>, later: number): Promise<ActivityRoom> {
  let changed = false;
  const between: RoomOptions['between'] = async (path, get) => {
    const response = await get(path);
    if (!changed && path.startsWith('/v1/customers?')) {
      changed = true;
      if (later > 0) room.simulator.advanceClock(later);
      await change(room);
    }
    return response;
  };
  const room: ActivityRoom = await createActivityRoom(database, { between });
  make(room, 'customer', { name: 'as listed' });
  const { ambiguous } = await room.run('backfillType', {
    account: room.account,
    object: 'customer',
    number: 1,
    apiVersion: null,
    from: null,
    seconds: 30,
  });
  // As the backfill hands them on.
  for (const { objectId, after } of ambiguous) {
    const key = { account: room.account, object: 'customer', objectId };
    await room.run('settleEntity', { ...key, ids: [], after, apiVersion: null });
  }
  return room;
}

describe.each(MOMENTS)('a change made $when after a page of a backfill was read', ({ later }) => {
  const arrive = async (room: ActivityRoom) => {
    const ids = await received(room, 'customer');
    expect(ids).toHaveLength(1);
    await deliver(room, { object: 'customer', objectId: ID }, ids);
  };

  it.each(['update', 'deletion'])('wins where it arrives before the page is written: %s', async (kind) => {
    const room = await listing(async (inside) => {
      if (kind === 'update') inside.simulator.update('customer', ID, { name: 'changed' });
      else inside.simulator.remove('customer', ID);
      await arrive(inside);
    }, later);
    await expectTruth(room, 'customer');
  });

  it.each(['update', 'deletion'])('wins where it arrives after the page is written: %s', async (kind) => {
    const room = await listing(async (inside) => {
      if (kind === 'update') inside.simulator.update('customer', ID, { name: 'changed' });
      else inside.simulator.remove('customer', ID);
    }, later);
    expect(await room.rows('customer')).toMatchObject([{ data: { name: 'as listed' }, deleted: false }]);
    await arrive(room);
    await expectTruth(room, 'customer');
  });
});

describe('a change between the start of the backfill and the first poll', () => {
  it.each(['before', 'after'])('is not missed where it is made %s its type is listed', async (moment) => {
    const room = await createActivityRoom(database);
    make(room, 'customer', { name: 'at first' });
    const loop = createPollLoop(room);
    await loop.open();
    const change = () => room.simulator.update('customer', ID, { name: 'changed' });
    if (moment === 'before') change();
    const key = { account: room.account, object: 'customer' };
    await room.run('backfillType', { ...key, number: 1, apiVersion: null, from: null, seconds: 30 });
    if (moment === 'after') change();
    expect(room.simulator.stats().requests.retrieve).toBe(0);
    await loop.run(10, () => loop.handedOn.length > 0);
    expect(loop.handedOn).toMatchObject([{ type: 'customer.updated', objectId: ID }]);
    await deliver(
      room,
      { object: 'customer', objectId: ID },
      loop.handedOn.map(({ id }) => id),
    );
    await expectTruth(room, 'customer');
    expect((await room.rows('customer'))[0]?.data.name).toBe('changed');
  });
});

describe('an event of a connected account that a webhook brings', () => {
  const customer = { object: 'customer', id: ID, name: 'of somebody else' };

  async function bring(room: ActivityRoom, event: object): Promise<void> {
    await insertEvents(database.pool, {
      account: room.account,
      page: JSON.stringify({ data: [event] }),
      source: 'webhook',
      seenAt: room.now(),
      objects: storedObjects(),
      keyFields: compositeKeys(),
    });
  }

  async function account(room: ActivityRoom, stripeAccount: string | null): Promise<void> {
    await database.pool.query('insert into stripe_sync.accounts (account, stripe_account) values ($1, $2)', [
      room.account,
      stripeAccount,
    ]);
  }

  it.each([{ known: null }, { known: 'acct_another' }])(
    'is not filed under the platform, whose account is $known',
    async ({ known }) => {
      const room = await createActivityRoom(database);
      await account(room, known);
      const event = eventOf('evt_a', 'customer.created', 100, customer);
      await bring(room, { ...event, account: 'acct_connected' });
      expect(await room.ledger()).toMatchObject([
        { id: 'evt_a', outcome: 'ignored', error: 'it belongs to the connected account acct_connected' },
      ]);
      await deliver(room, { object: 'customer', objectId: ID }, ['evt_a']);
      expect(await room.rows('customer')).toEqual([]);
    },
  );

  it('is taken where the account is that one', async () => {
    const room = await createActivityRoom(database);
    await account(room, 'acct_connected');
    const event = eventOf('evt_a', 'customer.created', 100, customer);
    await bring(room, { ...event, account: 'acct_connected' });
    await deliver(room, { object: 'customer', objectId: ID }, ['evt_a']);
    expect(await room.outcomes()).toEqual({ evt_a: 'applied' });
    expect(await room.rows('customer')).toMatchObject([{ data: customer }]);
  });

  it("does not keep the platform's own events out", async () => {
    const room = await createActivityRoom(database);
    await account(room, null);
    await bring(room, eventOf('evt_a', 'customer.created', 100, customer));
    await deliver(room, { object: 'customer', objectId: ID }, ['evt_a']);
    expect(await room.outcomes()).toEqual({ evt_a: 'applied' });
  });
});
