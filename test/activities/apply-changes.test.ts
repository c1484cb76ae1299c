import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApplyInput } from '../../activities/apply-changes.js';
import { insertUnholdable } from '../../src/postgres/insert-unholdable.js';
import { retryEvents } from '../../src/postgres/retry-events.js';
import { upsertPage } from '../../src/postgres/upsert-page.js';
import { compositeKeys, storedObjects } from '../../src/stripe/stored-objects.js';
import { type ActivityRoom, createActivityRoom, eventOf, interrupted } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const customer = (name: string) => ({ object: 'customer', id: 'cus_1', name });
const coupon = (name: string) => ({ object: 'coupon', id: 'SUMMER', name });

function asked(
  room: ActivityRoom,
  ids: readonly string[],
  over: Partial<Omit<ApplyInput, 'account'>> = {},
): ApplyInput {
  const { account } = room;
  return {
    account,
    object: 'customer',
    objectId: 'cus_1',
    ids,
    hydrate: 'auto',
    apiVersion: '2026-10-28.endive',
    ...over,
  };
}

const apply = (room: ActivityRoom, ids: readonly string[], over: Partial<Omit<ApplyInput, 'account'>> = {}) =>
  room.run('applyChanges', asked(room, ids, over));

describe('changes of an entity', () => {
  it('leave the newest of a batch in the row, whatever their order of arrival', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_c', 'customer.updated', 300, customer('third')),
      eventOf('evt_a', 'customer.created', 100, customer('first')),
      eventOf('evt_b', 'customer.updated', 200, customer('second')),
    ]);
    const { tally, fetch } = await apply(room, ['evt_b', 'evt_c', 'evt_a']);
    expect(tally).toMatchObject({ applied: 1, stale: 2 });
    expect(fetch).toBeNull();
    expect(await room.rows('customer')).toMatchObject([
      { data: customer('third'), asOf: 300, asOfUntil: 300, source: 'evt_c', deleted: false },
    ]);
    expect(await room.outcomes()).toEqual({ evt_a: 'stale', evt_b: 'stale', evt_c: 'applied' });
  });

  it('that are older than the row do not put it back', async () => {
    const room = await createActivityRoom(database);
    await room.hold('customer', customer('read'), 200, 202);
    await room.receive([eventOf('evt_a', 'customer.updated', 199, customer('older'))]);
    expect((await apply(room, ['evt_a'])).tally).toMatchObject({ applied: 0, stale: 1 });
    expect(await room.rows('customer')).toMatchObject([{ data: customer('read'), source: 'read:earlier' }]);
  });

  it('that are newer than the row replace it', async () => {
    const room = await createActivityRoom(database);
    await room.hold('customer', customer('read'), 200, 202);
    await room.receive([eventOf('evt_a', 'customer.updated', 203, customer('newer'))]);
    expect((await apply(room, ['evt_a'])).tally).toMatchObject({ applied: 1 });
    expect(await room.rows('customer')).toMatchObject([{ data: customer('newer'), asOf: 203 }]);
  });

  it.each([200, 201, 202])(
    'in a second that the row covers (%i) wait for a read past all of it, unless both say the same',
    async (created) => {
      const room = await createActivityRoom(database);
      await room.hold('customer', customer('read'), 200, 202);
      await room.receive([
        eventOf('evt_a', 'customer.updated', created, customer('other')),
        eventOf('evt_b', 'customer.updated', created, customer('read')),
      ]);
      const { tally, fetch } = await apply(room, ['evt_a', 'evt_b']);
      expect(tally).toMatchObject({ applied: 1, stale: 0 });
      expect(fetch).toEqual({ ids: ['evt_a'], after: 202 });
      expect(await room.rows('customer')).toMatchObject([{ data: customer('read') }]);
      expect(await room.outcomes()).toEqual({ evt_a: null, evt_b: 'applied' });
    },
  );

  it('of one second wait for a read where nothing tells their order', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_a', 'customer.updated', 100, customer('one')),
      eventOf('evt_b', 'customer.updated', 100, customer('two')),
    ]);
    expect((await apply(room, ['evt_a', 'evt_b'])).fetch).toEqual({ ids: ['evt_a', 'evt_b'], after: 100 });
    expect(await room.rows('customer')).toEqual([]);
  });

  it('of one second need no read where one is the creation or the deletion', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_c', 'customer.created', 100, customer('one')),
      eventOf('evt_a', 'customer.deleted', 100, customer('two')),
      eventOf('evt_b', 'customer.updated', 100, customer('two')),
    ]);
    expect((await apply(room, ['evt_a', 'evt_b', 'evt_c'])).fetch).toBeNull();
    expect(await room.rows('customer')).toMatchObject([{ source: 'evt_a', deleted: true }]);
  });

  it('that go there and back within the second of the creation wait for a read, in one batch', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_a', 'customer.created', 100, customer('one')),
      eventOf('evt_b', 'customer.updated', 100, customer('two')),
      eventOf('evt_c', 'customer.updated', 100, customer('one')),
    ]);
    expect((await apply(room, ['evt_a', 'evt_b', 'evt_c'])).fetch).toMatchObject({ after: 100 });
  });

  it('that go there and back within the second of the creation wait for a read, one by one', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_a', 'customer.created', 100, customer('one')),
      eventOf('evt_b', 'customer.updated', 100, customer('two')),
      eventOf('evt_c', 'customer.updated', 100, customer('one')),
    ]);
    await apply(room, ['evt_a']);
    await apply(room, ['evt_c']);
    expect((await apply(room, ['evt_b'])).fetch).toEqual({ ids: ['evt_b'], after: 100 });
  });

  it('in another API version than the pinned one wait for a read, and are taken as they are when told so', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_a', 'customer.updated', 100, customer('one'), '2020-08-27'),
      eventOf('evt_b', 'customer.updated', 200, customer('two'), '2020-08-27'),
    ]);
    expect((await apply(room, ['evt_a'])).fetch).toEqual({ ids: ['evt_a'], after: 100 });
    expect((await apply(room, ['evt_b'], { hydrate: 'payload' })).tally).toMatchObject({ applied: 1 });
  });
});

describe('a tombstone', () => {
  it('keeps the last state, and nothing older revives it', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_d', 'customer.deleted', 200, customer('last')),
      eventOf('evt_a', 'customer.updated', 150, customer('older')),
    ]);
    await apply(room, ['evt_d']);
    await apply(room, ['evt_a']);
    expect(await room.rows('customer')).toMatchObject([{ data: customer('last'), deleted: true }]);
    expect(await room.outcomes()).toEqual({ evt_d: 'applied', evt_a: 'stale' });
  });

  it('of an id that never comes back is read again where a newer change speaks against it', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_d', 'customer.deleted', 200, customer('last')),
      eventOf('evt_a', 'customer.updated', 210, customer('alive')),
    ]);
    await apply(room, ['evt_d']);
    expect((await apply(room, ['evt_a'])).fetch).toEqual({ ids: ['evt_a'], after: 210 });
    expect(await room.rows('customer')).toMatchObject([{ deleted: true }]);
  });

  it('of a coupon gives way when one is created again under its id', async () => {
    const room = await createActivityRoom(database);
    const over = { object: 'coupon', objectId: 'SUMMER' };
    await room.receive([
      eventOf('evt_d', 'coupon.deleted', 200, coupon('old')),
      eventOf('evt_a', 'coupon.created', 210, coupon('new')),
    ]);
    await apply(room, ['evt_d'], over);
    await apply(room, ['evt_a'], over);
    expect(await room.rows('coupon')).toMatchObject([{ data: coupon('new'), deleted: false }]);
  });

  it('does not come from the cancellation of a subscription', async () => {
    const room = await createActivityRoom(database);
    const canceled = { object: 'subscription', id: 'sub_1', status: 'canceled' };
    await room.receive([eventOf('evt_a', 'customer.subscription.deleted', 100, canceled)]);
    await apply(room, ['evt_a'], { object: 'subscription', objectId: 'sub_1' });
    expect(await room.rows('subscription')).toMatchObject([{ deleted: false }]);
  });
});

describe('attempts of one batch', () => {
  it('commit each change once, however many run at the same time', async () => {
    const room = await createActivityRoom(database);
    const ids = Array.from({ length: 20 }, (_, index) => `evt_${index}`);
    await room.receive(
      ids.map((id, index) => eventOf(id, 'customer.updated', 100 + index, customer(`state ${index}`))),
    );
    const results = await Promise.all(Array.from({ length: 6 }, () => apply(room, ids)));
    const applied = results.reduce((sum, { tally }) => sum + tally.applied, 0);
    const stale = results.reduce((sum, { tally }) => sum + tally.stale, 0);
    expect({ applied, stale }).toEqual({ applied: 1, stale: 19 });
    const { rows } = await database.pool.query(
      'select distinct attempts from stripe_sync.events where account = $1',
      [room.account],
    );
    expect(rows).toEqual([{ attempts: 1 }]);
  });

  it('that split a batch between them end with the newest state', async () => {
    const room = await createActivityRoom(database);
    const ids = Array.from({ length: 30 }, (_, index) => `evt_${index}`);
    await room.receive(
      ids.map((id, index) => eventOf(id, 'customer.updated', 100 + index, customer(`state ${index}`))),
    );
    await Promise.all(ids.toReversed().map((id) => apply(room, [id])));
    expect(await room.rows('customer')).toMatchObject([{ data: customer('state 29'), asOf: 129 }]);
    expect(Object.values(await room.outcomes())).not.toContain(null);
  });
});

describe('a page of a backfill that comes between the look at the row and the write', () => {
  const page = (room: () => ActivityRoom, name: string, asOf: number, asOfUntil: number) => async () => {
    await upsertPage(database.pool, {
      account: room().account,
      object: 'customer',
      table: 'customers',
      page: JSON.stringify({ data: [customer(name)] }),
      source: 'backfill:1',
      keyFields: ['id'],
      asOf,
      asOfUntil,
    });
  };

  it('wins where it is newer, and the change is stale', async () => {
    const room: ActivityRoom = await createActivityRoom(database, {
      pool: interrupted(
        database.pool,
        /insert into stripe\./,
        page(() => room, 'listed', 200, 201),
      ),
    });
    await room.receive([eventOf('evt_a', 'customer.updated', 100, customer('event'))]);
    expect((await apply(room, ['evt_a'])).tally).toMatchObject({ applied: 0, stale: 1 });
    expect(await room.rows('customer')).toMatchObject([{ data: customer('listed') }]);
  });

  it('gives way where it is older', async () => {
    const room: ActivityRoom = await createActivityRoom(database, {
      pool: interrupted(
        database.pool,
        /insert into stripe\./,
        page(() => room, 'listed', 50, 51),
      ),
    });
    await room.receive([eventOf('evt_a', 'customer.updated', 100, customer('event'))]);
    expect((await apply(room, ['evt_a'])).tally).toMatchObject({ applied: 1 });
    expect(await room.rows('customer')).toMatchObject([{ data: customer('event') }]);
  });

  it('asks for a read where the clock cannot tell', async () => {
    const room: ActivityRoom = await createActivityRoom(database, {
      pool: interrupted(
        database.pool,
        /insert into stripe\./,
        page(() => room, 'listed', 99, 101),
      ),
    });
    await room.receive([eventOf('evt_a', 'customer.updated', 100, customer('event'))]);
    expect((await apply(room, ['evt_a'])).fetch).toEqual({ ids: ['evt_a'], after: 101 });
  });
});

describe('changes that are given up', () => {
  const park = (room: ActivityRoom, ids: readonly string[]) =>
    room.run('parkChanges', {
      account: room.account,
      object: 'customer',
      objectId: 'cus_1',
      ids,
      reason: 'PostgreSQL answered with error 22003.',
    });

  it('are parked with the reason, and those that have their outcome keep it', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_a', 'customer.updated', 100, customer('one')),
      eventOf('evt_b', 'customer.updated', 200, customer('two')),
    ]);
    await apply(room, ['evt_a']);
    await room.claim();
    expect(await park(room, ['evt_a', 'evt_b'])).toBe(1);
    expect(await room.ledger()).toMatchObject([
      { id: 'evt_a', outcome: 'applied', error: null },
      { id: 'evt_b', outcome: 'parked', error: 'PostgreSQL answered with error 22003.' },
    ]);
    expect(await park(room, ['evt_a', 'evt_b'])).toBe(0);
  });

  it('do not hold up newer ones of the same entity', async () => {
    const room = await createActivityRoom(database);
    await room.receive([eventOf('evt_a', 'customer.updated', 100, customer('one'))]);
    await room.claim();
    await park(room, ['evt_a']);
    await apply(room, ['evt_a']);
    expect(await room.rows('customer')).toEqual([]);
    await room.receive([eventOf('evt_b', 'customer.updated', 200, customer('two'))]);
    expect((await apply(room, ['evt_a', 'evt_b'])).tally).toMatchObject({ applied: 1 });
    expect(await room.outcomes()).toEqual({ evt_a: 'parked', evt_b: 'applied' });
  });

  it('are not given up once more by the second attempt of a park, where the user has taken them again', async () => {
    const room = await createActivityRoom(database);
    await room.receive([eventOf('evt_a', 'customer.updated', 100, customer('one'))]);
    await room.claim();
    expect(await park(room, ['evt_a'])).toBe(1);
    await retryEvents(database.pool, room.account, null);
    expect(await park(room, ['evt_a'])).toBe(0);
    expect(await room.outcomes()).toEqual({ evt_a: null });
  });
});

describe('a deletion that PostgreSQL cannot hold', () => {
  const deletion = (room: ActivityRoom) => ({
    account: room.account,
    source: 'poll' as const,
    seenAt: 200,
    lookedAt: null,
    objects: storedObjects(),
    keyFields: compositeKeys(),
    reason: 'it is too deep',
    event: eventOf('evt_d', 'customer.deleted', 200, customer('too deep')),
  });

  it('makes a tombstone of the last state once it is taken again', async () => {
    const room = await createActivityRoom(database);
    await room.receive([eventOf('evt_a', 'customer.created', 100, customer('one'))]);
    await apply(room, ['evt_a']);
    await insertUnholdable(database.pool, deletion(room));
    await retryEvents(database.pool, room.account, ['evt_d']);
    expect((await apply(room, ['evt_d'])).tally).toMatchObject({ applied: 1 });
    expect(await room.rows('customer')).toMatchObject([
      { deleted: true, data: customer('one'), source: 'evt_d', asOf: 200 },
    ]);
  });

  it('of an object that was never known leaves no row', async () => {
    const room = await createActivityRoom(database);
    await insertUnholdable(database.pool, deletion(room));
    await retryEvents(database.pool, room.account, ['evt_d']);
    expect((await apply(room, ['evt_d'])).tally).toMatchObject({ applied: 1 });
    expect(await room.rows('customer')).toEqual([]);
  });
});

describe('payloads that are to do', () => {
  const payload = { hydrate: 'payload' } as const;

  it.each([[['evt_a', 'evt_b']], [['evt_b', 'evt_a']]])(
    'never ask for a read, and leave the same state whatever comes first of one second: %j',
    async (order) => {
      const room = await createActivityRoom(database);
      await room.receive([
        eventOf('evt_a', 'customer.updated', 100, customer('a')),
        eventOf('evt_b', 'customer.updated', 100, customer('b')),
      ]);
      for (const id of order) expect((await apply(room, [id], payload)).fetch).toBeNull();
      expect(await room.rows('customer')).toMatchObject([{ data: customer('b') }]);
    },
  );

  it('leave a tombstone where an update has the second of the deletion', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_a', 'coupon.deleted', 100, coupon('a')),
      eventOf('evt_b', 'coupon.updated', 100, coupon('b')),
    ]);
    const over = { ...payload, object: 'coupon', objectId: 'SUMMER' };
    expect((await apply(room, ['evt_a'], over)).fetch).toBeNull();
    expect((await apply(room, ['evt_b'], over)).fetch).toBeNull();
    expect(await room.rows('coupon')).toMatchObject([{ deleted: true }]);
  });
});

describe('an apply that fails', () => {
  it('says where, and not a word of what PostgreSQL said of the data', async () => {
    const room = await createActivityRoom(database);
    await database.pool.query(
      `alter table stripe.customers add constraint no_secret check (data->>'name' <> 'Jane Secret')`,
    );
    await room.receive([eventOf('evt_a', 'customer.updated', 100, customer('Jane Secret'))]);
    const failure: unknown = await apply(room, ['evt_a']).catch((error: unknown) => error);
    await database.pool.query('alter table stripe.customers drop constraint no_secret');
    expect(failure).toMatchObject({ type: 'PostgreSQL/refused', nonRetryable: true });
    const said = JSON.stringify(failure) + String(failure) + (failure as Error).stack;
    expect(said).toContain('no_secret');
    expect(said).not.toContain('Jane');
    expect(await room.outcomes()).toEqual({ evt_a: null });
  });
});
