import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BackfillTypeInput } from '../../activities/backfill-type.js';
import { type ActivityRoom, createActivityRoom, eventOf } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

function asked(room: ActivityRoom, over: Partial<BackfillTypeInput> = {}): BackfillTypeInput {
  const { account } = room;
  return {
    account,
    object: 'customer',
    number: 1,
    apiVersion: null,
    from: null,
    seconds: 30,
    ...over,
  };
}

const list = (room: ActivityRoom, over: Partial<BackfillTypeInput> = {}) =>
  room.run('backfillType', asked(room, over));

const idsOf = (rows: readonly { readonly id: string }[]) => rows.map((row) => row.id).sort();

describe('the listing of a type', () => {
  it('takes every object once, as Stripe has it', async () => {
    const room = await createActivityRoom(database);
    const ids = room.simulator.createMany('customer', 250);
    const result = await list(room);
    expect(result).toEqual({
      position: null,
      rows: 250,
      skipped: null,
      ambiguous: [],
      refused: { count: 0, first: [] },
    });
    const rows = await room.rows('customer');
    expect(idsOf(rows)).toEqual(ids.toSorted());
    expect(rows[0]?.data).toEqual(room.simulator.get('customer', rows[0]?.id ?? '')?.data);
    expect(new Set(rows.map((row) => row.source))).toEqual(new Set(['backfill:1']));
  });

  it('takes what the list leaves out unless it is asked for: inactive prices, canceled subscriptions', async () => {
    const room = await createActivityRoom(database);
    const price = room.simulator.create('price', { active: false }, { event: false });
    const subscription = room.simulator.create('subscription', {}, { event: false });
    room.simulator.remove('subscription', String(subscription.id), { event: false });
    await list(room, { object: 'price' });
    await list(room, { object: 'subscription' });
    expect(idsOf(await room.rows('price'))).toContain(price.id);
    expect(idsOf(await room.rows('subscription'))).toContain(subscription.id);
  });

  it('stops when its time is over and goes on from the position that it reports', async () => {
    const room = await createActivityRoom(database);
    const ids = room.simulator.createMany('customer', 250);
    let from: BackfillTypeInput['from'] = null;
    let slices = 0;
    do {
      const slice = await list(room, { from, seconds: 0 });
      from = slice.position;
      slices += 1;
    } while (from !== null);
    expect(slices).toBe(3);
    expect(idsOf(await room.rows('customer'))).toEqual(ids.toSorted());
    expect(room.simulator.stats().requests.list).toBe(3);
  });

  it('goes on from the heartbeat of the attempt that was lost', async () => {
    let asked200 = false;
    const room = await createActivityRoom(database, {
      between: (path, get) => {
        const pages = room.simulator.stats().requests.list;
        if (pages < 2 || asked200) return get(path);
        asked200 = true;
        return get('/v1/customers?limit=nonsense');
      },
    });
    room.simulator.createMany('customer', 350);
    const first = room.begin('backfillType', asked(room));
    const partial = await first.result;
    expect(partial.skipped).toMatch(/Stripe refuses the request/);
    const left = first.heartbeats.at(-1);
    const before = room.simulator.stats().requests.list;
    const result = await room.run('backfillType', asked(room), { attempt: 2, heartbeatDetails: left });
    expect(result).toMatchObject({ position: null, rows: 350, skipped: null });
    expect(room.simulator.stats().requests.list - before).toBe(2);
    expect(await room.rows('customer')).toHaveLength(350);
  });

  it('is left out, with what is missing, where the key may not read the type', async () => {
    const room = await createActivityRoom(database, {
      key: (simulator) => simulator.createRestrictedKey(['rak_product_read']),
    });
    room.simulator.createMany('customer', 3);
    const result = await list(room);
    expect(result).toMatchObject({ position: null, rows: 0, ambiguous: [] });
    expect(result.skipped).toContain('rak_customer_read');
    expect(await room.rows('customer')).toEqual([]);
  });

  it('is asked again where a page has no Date, since nobody could order it', async () => {
    const room = await createActivityRoom(database, { dateHeader: false });
    room.simulator.createMany('customer', 3);
    await expect(list(room)).rejects.toMatchObject({ type: 'Stripe/malformed' });
    expect(await room.rows('customer')).toEqual([]);
  });

  it('goes on where the object that the next page begins after was deleted meanwhile', async () => {
    const room = await createActivityRoom(database);
    const ids = room.simulator.createMany('customer', 250);
    const first = await list(room, { seconds: 0 });
    const gone = first.position?.startingAfter ?? '';
    room.simulator.remove('customer', gone);
    const rest = await list(room, { from: first.position });
    expect(rest).toMatchObject({ position: null, skipped: null });
    expect(idsOf(await room.rows('customer'))).toEqual(ids.toSorted());
  });
});

describe('a row that a page meets', () => {
  it('is named where the clock cannot tell which is newer, with a second that lies past both', async () => {
    const room = await createActivityRoom(database);
    const [id = ''] = room.simulator.createMany('customer', 1);
    const until = room.now() + 30;
    await room.hold('customer', { id, name: 'another state' } as { id: string }, room.now() - 2, until);
    const result = await list(room);
    expect(result.ambiguous).toEqual([{ objectId: id, after: until }]);
    expect(await room.rows('customer')).toMatchObject([{ data: { name: 'another state' } }]);
  });

  it('is not named where both say the same', async () => {
    const room = await createActivityRoom(database);
    room.simulator.createMany('customer', 5);
    await list(room);
    expect((await list(room, { number: 2 })).ambiguous).toEqual([]);
  });

  it('ends at the change that was made after the page was read, whichever comes first', async () => {
    const room = await createActivityRoom(database);
    const [id = ''] = room.simulator.createMany('customer', 1);
    const changed = { ...room.simulator.get('customer', id)?.data, description: 'changed' };
    const apply = (event: string) =>
      room.run('applyChanges', {
        account: room.account,
        object: 'customer',
        objectId: id,
        ids: [event],
        hydrate: 'auto',
        apiVersion: null,
      });
    await room.receive([eventOf('evt_a', 'customer.updated', room.now() + 100, changed)]);
    await apply('evt_a');
    await list(room);
    expect(await room.rows('customer')).toMatchObject([{ data: { description: 'changed' } }]);
    await room.receive([eventOf('evt_b', 'customer.updated', room.now() + 200, changed)]);
    await list(room, { number: 2 });
    await apply('evt_b');
    expect(await room.rows('customer')).toMatchObject([
      { data: { description: 'changed' }, source: 'evt_b' },
    ]);
  });

  it('is not revived where it was deleted after the page was read', async () => {
    const room = await createActivityRoom(database);
    const [id = ''] = room.simulator.createMany('customer', 1);
    await room.hold('customer', { id }, room.now() + 100, room.now() + 100, true);
    await list(room);
    expect(await room.rows('customer')).toMatchObject([{ deleted: true }]);
  });
});
