import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entityKeyFields } from '../../src/stripe/catalog.js';
import { eventTypes } from '../../src/stripe/event-types.js';
import { isRecreatable } from '../../src/stripe/stored-objects.js';
import { type ActivityRoom, createActivityRoom, eventOf } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

/** Each type of event whose name says that an object is deleted, with each kind of object that it may carry. */
const DELETIONS = eventTypes()
  .filter(({ deleted }) => deleted)
  .flatMap(({ type, objects }) => objects.map((object) => ({ type, object })));
const CANCELLATION = 'customer.subscription.deleted';
/** Taken from its customer, a source or an account lives on, under its own path. */
const DETACHED = ['source', 'account'];
const isDetachment = ({ type, object }: { type: string; object: string }) =>
  type === 'customer.source.deleted' && DETACHED.includes(object);
const REAL_DELETIONS = DELETIONS.filter((each) => each.type !== CANCELLATION && !isDetachment(each));

type State = Record<string, unknown> & { id: string };

function stateOf(object: string, description: string): State {
  const keys = Object.fromEntries(entityKeyFields(object).map((field) => [field, `${field}_1`]));
  return { ...keys, id: 'id_1', object, customer: 'cus_1', account: 'acct_1', description };
}

function apply(room: ActivityRoom, object: string, ids: readonly string[]) {
  const state = stateOf(object, '');
  const objectId = entityKeyFields(object)
    .map((field) => state[field])
    .join(':');
  const { account } = room;
  return room.run('applyChanges', { account, object, objectId, ids, hydrate: 'auto', apiVersion: null });
}

const updateOf = (type: string) => type.replace(/deleted$/, 'updated');
const createdOf = (type: string) => type.replace(/deleted$/, 'created');

it('the catalog has fifteen types of deletions, and a subscription is cancelled by its own', () => {
  expect(new Set(DELETIONS.map(({ type }) => type)).size).toBe(15);
  expect(DELETIONS).toContainEqual({ type: CANCELLATION, object: 'subscription' });
});

describe.each(REAL_DELETIONS)('$type of a $object', ({ type, object }) => {
  it('leaves a tombstone with the last state', async () => {
    const room = await createActivityRoom(database);
    await room.hold(object, stateOf(object, 'before'), 50, 52);
    const gone = stateOf(object, 'the last state');
    await room.receive([eventOf('evt_d', type, 200, gone)]);
    expect((await apply(room, object, ['evt_d'])).fetch).toBeNull();
    expect(await room.rows(object)).toMatchObject([
      { data: gone, deleted: true, asOf: 200, asOfUntil: 200, source: 'evt_d' },
    ]);
    expect(await room.outcomes()).toEqual({ evt_d: 'applied' });
  });

  it('is not undone by an older update or creation that comes late', async () => {
    const room = await createActivityRoom(database);
    const gone = stateOf(object, 'the last state');
    await room.receive([eventOf('evt_d', type, 200, gone)]);
    await apply(room, object, ['evt_d']);
    await room.receive([
      eventOf('evt_u', updateOf(type), 199, stateOf(object, 'older')),
      eventOf('evt_c', createdOf(type), 100, stateOf(object, 'oldest')),
    ]);
    await apply(room, object, ['evt_u']);
    await apply(room, object, ['evt_c']);
    expect(await room.rows(object)).toMatchObject([
      { data: gone, deleted: true, asOf: 200, source: 'evt_d' },
    ]);
    expect(await room.outcomes()).toEqual({ evt_d: 'applied', evt_u: 'stale', evt_c: 'stale' });
  });

  it('wins over older updates that come with it, whatever their order', async () => {
    const room = await createActivityRoom(database);
    const gone = stateOf(object, 'the last state');
    await room.receive([
      eventOf('evt_a', type, 200, gone),
      eventOf('evt_b', updateOf(type), 150, stateOf(object, 'older')),
      eventOf('evt_c', createdOf(type), 100, stateOf(object, 'oldest')),
    ]);
    expect((await apply(room, object, ['evt_c', 'evt_a', 'evt_b'])).fetch).toBeNull();
    expect(await room.rows(object)).toMatchObject([{ data: gone, deleted: true, source: 'evt_a' }]);
    expect(await room.outcomes()).toEqual({ evt_a: 'applied', evt_b: 'stale', evt_c: 'stale' });
  });
});

/** A deletion and an update of one second, one by one in both orders of arrival; what the last one left. */
async function inOneSecond({ type, object }: { readonly type: string; readonly object: string }) {
  const events = [
    eventOf('evt_d', type, 200, stateOf(object, 'the last state')),
    eventOf('evt_u', updateOf(type), 200, stateOf(object, 'updated')),
  ];
  const left = [];
  for (const order of [
    ['evt_d', 'evt_u'],
    ['evt_u', 'evt_d'],
  ]) {
    const room = await createActivityRoom(database);
    await room.receive(events);
    let asks: Awaited<ReturnType<typeof apply>>['fetch'] = null;
    for (const id of order) asks = (await apply(room, object, [id])).fetch ?? asks;
    left.push({ rows: await room.rows(object), asksForRead: asks !== null });
  }
  return left;
}

describe.each(REAL_DELETIONS.filter(({ object }) => !isRecreatable(object)))(
  '$type of a $object, whose id never comes back,',
  (deletion) => {
    it('is not undone by an update of the same second', async () => {
      for (const { rows } of await inOneSecond(deletion)) {
        expect(rows).toMatchObject([{ deleted: true, source: 'evt_d' }]);
      }
    });
  },
);

// One second may have seen the end of one life and the beginning of the next.
describe.each(REAL_DELETIONS.filter(({ object }) => isRecreatable(object)))(
  '$type of a $object, whose id may come back,',
  (deletion) => {
    it('ends in a tombstone or in a question to Stripe where an update has the same second', async () => {
      for (const { rows, asksForRead } of await inOneSecond(deletion)) {
        expect(rows[0]?.deleted === true || asksForRead).toBe(true);
      }
    });
  },
);

describe('the cancellation of a subscription', () => {
  const canceled = { ...stateOf('subscription', 'canceled'), status: 'canceled' };

  it('is an update: the row lives on as canceled', async () => {
    const room = await createActivityRoom(database);
    await room.receive([eventOf('evt_d', CANCELLATION, 200, canceled)]);
    await apply(room, 'subscription', ['evt_d']);
    expect(await room.rows('subscription')).toMatchObject([
      { data: canceled, deleted: false, source: 'evt_d' },
    ]);
  });

  it('is not undone by an older update that comes late', async () => {
    const room = await createActivityRoom(database);
    await room.receive([eventOf('evt_d', CANCELLATION, 200, canceled)]);
    await apply(room, 'subscription', ['evt_d']);
    await room.receive([
      eventOf('evt_u', updateOf(CANCELLATION), 199, {
        ...stateOf('subscription', 'active'),
        status: 'active',
      }),
    ]);
    await apply(room, 'subscription', ['evt_u']);
    expect(await room.rows('subscription')).toMatchObject([{ data: { status: 'canceled' }, deleted: false }]);
    expect(await room.outcomes()).toEqual({ evt_d: 'applied', evt_u: 'stale' });
  });
});

describe.each(DELETIONS.filter(isDetachment))('$type of a $object', ({ type, object }) => {
  it('is an update: the row lives on with what the event carries', async () => {
    const room = await createActivityRoom(database);
    const detached = stateOf(object, 'detached');
    await room.receive([eventOf('evt_d', type, 200, detached)]);
    await apply(room, object, ['evt_d']);
    expect(await room.rows(object)).toMatchObject([{ data: detached, deleted: false, source: 'evt_d' }]);
  });
});

describe('a coupon that is deleted and created again under its id', () => {
  const again = stateOf('coupon', 'the second life');
  const events = [
    eventOf('evt_c', 'coupon.created', 100, stateOf('coupon', 'the first life')),
    eventOf('evt_d', 'coupon.deleted', 200, stateOf('coupon', 'the first life')),
    eventOf('evt_a', 'coupon.created', 300, again),
  ];

  it.each([
    { order: [['evt_c'], ['evt_d'], ['evt_a']] },
    { order: [['evt_d'], ['evt_a'], ['evt_c']] },
    { order: [['evt_a'], ['evt_d'], ['evt_c']] },
    { order: [['evt_a', 'evt_c', 'evt_d']] },
  ])('lives, in the order of arrival $order', async ({ order }) => {
    const room = await createActivityRoom(database);
    await room.receive(events);
    for (const ids of order) expect((await apply(room, 'coupon', ids)).fetch).toBeNull();
    expect(await room.rows('coupon')).toMatchObject([
      { data: again, deleted: false, asOf: 300, source: 'evt_a' },
    ]);
    expect(Object.values(await room.outcomes())).not.toContain(null);
  });

  it('dies again with its next deletion, and stays so when the old creation comes late', async () => {
    const room = await createActivityRoom(database);
    await room.receive([...events, eventOf('evt_z', 'coupon.deleted', 400, again)]);
    await apply(room, 'coupon', ['evt_z']);
    await apply(room, 'coupon', ['evt_a']);
    await apply(room, 'coupon', ['evt_c', 'evt_d']);
    expect(await room.rows('coupon')).toMatchObject([{ data: again, deleted: true, source: 'evt_z' }]);
  });
});

describe.each(['coupon', 'plan', 'price', 'product'])(
  'a %s whose id is chosen, or is that of a plan,',
  (object) => {
    it('is asked for where one second saw the end of a life and the beginning of the next', async () => {
      const room = await createActivityRoom(database);
      await room.receive([
        eventOf('evt_d', `${object}.deleted`, 200, stateOf(object, 'the first life')),
        eventOf('evt_c', `${object}.created`, 200, stateOf(object, 'the second life')),
      ]);
      expect((await apply(room, object, ['evt_d', 'evt_c'])).fetch).toMatchObject({ after: 200 });
      expect(await room.rows(object)).toEqual([]);
    });
  },
);
