import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Comparison, compareTruth } from '../../src/sandbox/compare-truth.js';
import { type ActivityRoom, createActivityRoom, eventOf, type TableRow } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { deliver, entityOf, listedEvents } from '../support/entity-loop.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const EMBEDDED = [
  'subscription_item',
  'line_item',
  'credit_note_line_item',
  'transfer_reversal',
  'radar.value_list_item',
];

/** Delivers all events that were not received yet, each by itself and in order. */
async function deliverAll(room: ActivityRoom): Promise<void> {
  const known = new Set((await room.ledger()).map(({ id }) => id));
  const events = (await listedEvents(room.simulator)).filter(({ id }) => !known.has(id));
  await room.receive(events);
  for (const event of events) {
    const entity = entityOf(event);
    if (entity !== null) await deliver(room, entity, [event.id]);
  }
}

async function compare(room: ActivityRoom): Promise<Comparison> {
  const announced = new Set(room.simulator.events().map(({ object, objectId }) => `${object}/${objectId}`));
  return compareTruth(database.pool, room.account, room.simulator.truth(), announced);
}

const ofEmbedded = ({ differences }: Comparison) =>
  differences.filter(({ object }) => EMBEDDED.includes(object));
const living = (rows: readonly TableRow[]) => rows.filter(({ deleted }) => !deleted);
const items = (object: Record<string, unknown>, field: string) =>
  (object[field] as { data: Record<string, unknown>[] }).data;

describe('the items of a subscription', () => {
  it('come, change and go with the events of the subscription', async () => {
    const room = await createActivityRoom(database);
    const { simulator } = room;
    const { id } = simulator.create('subscription', {}, { items: 2 });
    const subscription = String(id);
    await deliverAll(room);
    const first = await room.rows('subscription_item');
    expect(first.map(({ data }) => data)).toEqual(
      items(simulator.get('subscription', subscription)?.data ?? {}, 'items').toSorted((a, b) =>
        String(a.id) < String(b.id) ? -1 : 1,
      ),
    );
    expect(first).toHaveLength(2);

    simulator.advanceClock(10);
    const added = String(simulator.create('subscription_item', { subscription }).id);
    await deliverAll(room);
    expect(living(await room.rows('subscription_item')).map((row) => row.id)).toContain(added);

    simulator.advanceClock(10);
    simulator.update('subscription_item', added, { quantity: 17 });
    await deliverAll(room);
    const changed = (await room.rows('subscription_item')).find((row) => row.id === added);
    const [event] = (await room.ledger()).slice(-1);
    expect(changed).toMatchObject({ data: { quantity: 17 }, source: event?.id, asOf: event?.created });

    simulator.advanceClock(10);
    simulator.remove('subscription_item', added);
    await deliverAll(room);
    const rows = await room.rows('subscription_item');
    expect(rows.find((row) => row.id === added)).toMatchObject({ deleted: true, data: { quantity: 17 } });
    expect(living(rows)).toHaveLength(2);
    // What nobody touched is as the first event left it.
    expect(living(rows).map(({ source }) => source)).toEqual(first.map(({ source }) => source));

    const { rows: feed } = await database.pool.query(
      `select kind, changed, event_id is not null as "byEvent" from stripe_sync.settled_changes
       where account = $1 and object = 'subscription_item' and id = $2 order by sequence`,
      [room.account, added],
    );
    expect(feed).toEqual([
      { kind: 'created', changed: [], byEvent: true },
      { kind: 'updated', changed: ['quantity'], byEvent: true },
      { kind: 'deleted', changed: [], byEvent: true },
    ]);
    expect(ofEmbedded(await compare(room))).toEqual([]);
  });

  it('live on after its cancellation, which is no deletion', async () => {
    const room = await createActivityRoom(database);
    const { id } = room.simulator.create('subscription', {}, { items: 2 });
    room.simulator.advanceClock(5);
    room.simulator.remove('subscription', String(id));
    await deliverAll(room);
    expect(living(await room.rows('subscription_item'))).toHaveLength(2);
    expect(ofEmbedded(await compare(room))).toEqual([]);
  });

  it('are not put back by an event that comes late', async () => {
    const room = await createActivityRoom(database);
    const state = (...ids: string[]) => ({
      object: 'subscription',
      id: 'sub_1',
      items: {
        object: 'list',
        has_more: false,
        url: '/x',
        data: ids.map((id) => ({ object: 'subscription_item', id })),
      },
    });
    await room.receive([
      eventOf('evt_new', 'customer.subscription.updated', 200, state('si_2')),
      eventOf('evt_old', 'customer.subscription.created', 100, state('si_1')),
    ]);
    const entity = { object: 'subscription', objectId: 'sub_1' };
    await deliver(room, entity, ['evt_new'], { hydrate: 'payload' });
    await deliver(room, entity, ['evt_old'], { hydrate: 'payload' });
    expect(await room.rows('subscription_item')).toMatchObject([
      { id: 'si_2', source: 'evt_new', deleted: false },
    ]);
  });

  it('end only with a payload that shows all of them, where payloads are all there is', async () => {
    const room = await createActivityRoom(database);
    const state = (hasMore: boolean, ...ids: string[]) => ({
      object: 'subscription',
      id: 'sub_1',
      items: {
        object: 'list',
        has_more: hasMore,
        url: '/x',
        data: ids.map((id) => ({ object: 'subscription_item', id })),
      },
    });
    await room.receive([
      eventOf('evt_1', 'customer.subscription.created', 100, state(false, 'si_1', 'si_2', 'si_3')),
      eventOf('evt_2', 'customer.subscription.updated', 200, state(true, 'si_4')),
      eventOf('evt_3', 'customer.subscription.updated', 300, state(false, 'si_3', 'si_4')),
    ]);
    const entity = { object: 'subscription', objectId: 'sub_1' };
    const livingOnce = async (id: string) => {
      await deliver(room, entity, [id], { hydrate: 'payload' });
      return living(await room.rows('subscription_item')).map((row) => row.id);
    };
    expect(await livingOnce('evt_1')).toEqual(['si_1', 'si_2', 'si_3']);
    expect(await livingOnce('evt_2')).toEqual(['si_1', 'si_2', 'si_3', 'si_4']);
    expect(await livingOnce('evt_3')).toEqual(['si_3', 'si_4']);
  });
});

describe('the lines of an invoice', () => {
  it('are all there, even if Stripe shows ten of thirty', async () => {
    const room = await createActivityRoom(database);
    const { id } = room.simulator.create('invoice', {}, { items: 30 });
    room.simulator.advanceClock(10);
    await deliverAll(room);
    const rows = await room.rows('line_item');
    expect(rows).toHaveLength(30);
    expect(rows.every(({ deleted, source }) => !deleted && source.startsWith('read:'))).toBe(true);
    const whole = room.simulator.get('invoice', String(id))?.complete?.lines ?? [];
    expect(rows.map(({ data }) => data)).toEqual(
      whole.toSorted((a, b) => (String(a.id) < String(b.id) ? -1 : 1)),
    );
    const { differences, invisible } = await compare(room);
    expect(differences.filter(({ object }) => object === 'line_item' || object === 'invoice')).toEqual([]);
    expect(invisible).not.toHaveProperty('line_item');
  });

  it('go with a draft that is deleted', async () => {
    const room = await createActivityRoom(database);
    const draft = room.simulator.create('invoice', { status: 'draft' }, { items: 3 });
    const other = room.simulator.create('invoice', {}, { items: 2 });
    await deliverAll(room);
    expect(living(await room.rows('line_item'))).toHaveLength(5);
    room.simulator.advanceClock(10);
    room.simulator.remove('invoice', String(draft.id));
    await deliverAll(room);
    const rows = await room.rows('line_item');
    expect(rows.filter(({ deleted }) => deleted).map(({ data }) => data.invoice)).toEqual([
      draft.id,
      draft.id,
      draft.id,
    ]);
    expect(living(rows).map(({ data }) => data.invoice)).toEqual([other.id, other.id]);
    const compared = await compare(room);
    expect(ofEmbedded(compared)).toEqual([]);
    expect(compared.tombstones).toBe(4);
  });

  it('go with a draft that a read finds gone', async () => {
    const room = await createActivityRoom(database);
    const { id } = room.simulator.create('invoice', { status: 'draft' }, { items: 30 });
    room.simulator.advanceClock(10);
    await deliverAll(room);
    expect(living(await room.rows('line_item'))).toHaveLength(30);
    room.simulator.remove('invoice', String(id), { event: false });
    room.simulator.advanceClock(10);
    const key = { account: room.account, object: 'invoice', objectId: String(id), ids: [], apiVersion: null };
    await room.run('settleEntity', { ...key, after: room.now() - 5 });
    const rows = await room.rows('line_item');
    expect(rows).toHaveLength(30);
    expect(living(rows)).toEqual([]);
    expect(ofEmbedded(await compare(room))).toEqual([]);
  });
});

describe('the comparison with the truth', () => {
  it('finds what differs in rows that follow another object', async () => {
    const room = await createActivityRoom(database);
    const invoice = room.simulator.create('invoice', {}, { items: 4 });
    await deliverAll(room);
    expect(ofEmbedded(await compare(room))).toEqual([]);
    const [one, two, three, four] = (await room.rows('line_item')).map(({ id }) => id);
    const change = (text: string, id: string | undefined) =>
      database.pool.query(`${text} where account = $1 and id = $2`, [room.account, id]);
    await change('delete from stripe.line_items', one);
    await change('update stripe.line_items set deleted = true', two);
    await change(`update stripe.line_items set data = data || '{"amount": -1}'`, three);
    await change(`update stripe.line_items set parent_id = 'in_other'`, four);
    await room.hold('line_item', { id: 'il_nobody' }, 1, 2);
    const object = 'line_item';
    expect(ofEmbedded(await compare(room)).toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual(
      [
        { object, id: one, kind: 'missing' },
        { object, id: two, kind: 'a tombstone' },
        { object, id: three, kind: 'differs', keys: ['amount'] },
        { object, id: four, kind: 'differs', keys: ['parent_id'] },
        { object, id: 'il_nobody', kind: 'extra' },
      ].toSorted((a, b) => ((a.id ?? '') < (b.id ?? '') ? -1 : 1)),
    );
    room.simulator.remove('invoice', String(invoice.id));
    expect(ofEmbedded(await compare(room)).filter(({ kind }) => kind === 'not a tombstone')).toHaveLength(2);
  });
});

it('eight workers that apply changes of many parents meet no deadlock, and every child equals the truth', async () => {
  const room = await createActivityRoom(database, { seed: 5 });
  const { simulator } = room;
  const subscriptions = simulator.createMany('subscription', 25, { items: 3 });
  const invoices = simulator.createMany('invoice', 25, { items: 12 });
  for (const object of ['credit_note', 'transfer', 'radar.value_list']) simulator.createMany(object, 5);
  for (let turn = 0; turn < 300; turn += 1) {
    if (turn % 5 === 0) simulator.advanceClock(1);
    const subscription = subscriptions[turn % 25] ?? '';
    if (turn % 3 === 0) simulator.create('subscription_item', { subscription });
    else if (turn % 3 === 1) {
      const [item] = items(simulator.get('subscription', subscription)?.data ?? {}, 'items');
      simulator.update('subscription_item', String(item?.id), { quantity: turn });
    } else simulator.update('invoice', invoices[turn % 25] ?? '', { metadata: { turn: String(turn) } });
  }
  for (const invoice of invoices.slice(0, 5)) simulator.remove('invoice', invoice);
  simulator.advanceClock(10);
  const deadlocks = async () => {
    const { rows } = await database.pool.query<{ deadlocks: number }>(
      'select deadlocks::int as deadlocks from pg_stat_database where datname = current_database()',
    );
    return rows[0]?.deadlocks;
  };
  const before = await deadlocks();
  const events = await listedEvents(simulator);
  await room.receive(events);
  const queue = events.flatMap((event, index) => {
    const entity = entityOf(event);
    return entity === null ? [] : [{ entity, id: event.id, place: (index * 7919) % events.length }];
  });
  queue.sort((a, b) => a.place - b.place);
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift())
        await deliver(room, next.entity, [next.id]);
    }),
  );
  const touched = new Set(events.map((event) => entityOf(event)?.objectId));
  const truth = new Map(
    [...simulator.truth()].map(([object, objects]) => {
      const kept = ['subscription', 'invoice'].includes(object)
        ? [...objects].filter(([id]) => touched.has(id))
        : [...objects];
      return [object, new Map(kept)] as const;
    }),
  );
  const comparison = await compareTruth(database.pool, room.account, truth, new Set());
  expect(
    comparison.differences.filter(({ object }) =>
      ['subscription', 'invoice', 'subscription_item', 'line_item'].includes(object),
    ),
  ).toEqual([]);
  expect(living(await room.rows('subscription_item')).length).toBeGreaterThan(100);
  expect(living(await room.rows('line_item')).length).toBeGreaterThan(150);
  expect(await deadlocks()).toBe(before);
}, 180_000);
