import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { StripeFailure } from '../../src/domain/failures.js';
import { createActivityRoom, hangingRequest } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { DAY, idsOf, listingsIn, lists } from './list-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const { opened, asked, list, listing } = listingsIn(() => database.pool);

describe('the listing of a type', () => {
  it.each([0, 1, 100, 101])('takes %d objects once, as Stripe has them', async (count) => {
    const room = await createActivityRoom(database);
    const ids = room.simulator.createMany('customer', count);
    const result = await list(room);
    expect(result).toMatchObject({ done: true, rows: count, skipped: null, refused: 0, share: 1 });
    const rows = await room.rows('customer');
    expect(idsOf(rows)).toEqual(ids.toSorted());
    for (const row of rows.slice(0, 3))
      expect(row.data).toEqual(room.simulator.get('customer', row.id)?.data);
    expect(lists(room)).toBe(count > 100 ? 2 : 1);
  });

  it('waits where Stripe refuses the key, as no failure of its own, and goes on once it takes the key', async () => {
    let isRefused = true;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        if (isRefused) throw new StripeFailure('authentication', { message: 'the key was revoked' });
        return get(path);
      },
    });
    const ids = room.simulator.createMany('customer', 101);
    const input = await asked(room);
    const refused = room.begin('listType', input);
    const ended = refused.result.then(
      () => 'it ended',
      () => 'it failed',
    );
    await vi.waitFor(() => expect(room.logged.join()).toContain('the key was revoked'));
    expect(
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 1_000, 'it waits'))]),
    ).toBe('it waits');
    refused.cancel();
    await ended;
    isRefused = false;
    expect(await room.run('listType', input)).toMatchObject({ done: true, rows: ids.length });
  });

  it('loses nothing where a page ends a range while another walker divides it', async () => {
    const others: Promise<unknown>[] = [];
    // The division gets to PostgreSQL when the page that reaches beyond it is written.
    const slowToDivide = new Proxy(database.pool, {
      get(pool, name) {
        const value: unknown = Reflect.get(pool, name, pool);
        if (name !== 'query') return typeof value === 'function' ? value.bind(pool) : value;
        return async (...args: Parameters<typeof pool.query>) => {
          const [query] = args as unknown[];
          if (typeof query === 'string' && query.includes('created_from = $5')) {
            await vi.waitFor(async () => expect(await listedRows()).toBeGreaterThan(200), 10_000);
          }
          const asked = pool.query(...args);
          others.push(asked as unknown as Promise<unknown>);
          return asked;
        };
      },
    });
    const room = await createActivityRoom(database, { pool: slowToDivide });
    const listedRows = async () => (await listing(room))?.rows ?? 0;
    const now = room.now();
    // Two pages of today, and a third one that spans years.
    room.simulator.createMany('customer', 50, { from: now - 5_000 * DAY, to: now - 4_500 * DAY });
    room.simulator.createMany('customer', 213, { from: now - 4_400 * DAY, to: now - 4_300 * DAY });
    room.simulator.createMany('customer', 60, { from: now - 700 * DAY, to: now - 3 * DAY });
    room.simulator.createMany('customer', 200, { from: now - 7_200, to: now - 60 });
    expect(await list(room, { walkers: 2 })).toMatchObject({ done: true });
    expect(await room.rows('customer')).toHaveLength(523);
    await Promise.all(others);
  });

  it('counts an object once that two halves show', async () => {
    let asked = 0;
    const room = await createActivityRoom(database, {
      // The page that spans years was asked for before the division, and comes after it.
      between: async (path, get) => {
        asked += 1;
        // The other walker asks once its half is divided off.
        if (asked === 2) await vi.waitFor(() => expect(asked).toBeGreaterThan(2), 10_000);
        return get(path);
      },
    });
    const now = room.now();
    room.simulator.createMany('customer', 250, { from: now - 5_000 * DAY, to: now - 4_300 * DAY });
    room.simulator.createMany('customer', 60, { from: now - 700 * DAY, to: now - 3 * DAY });
    room.simulator.createMany('customer', 100, { from: now - 7_200, to: now - 60 });
    expect(await list(room, { walkers: 2 })).toMatchObject({ done: true });
    expect(await room.rows('customer')).toHaveLength(410);
    expect((await listing(room))?.rows).toBe(410);
  });

  it('walks a large type in several places at once, and asks for few pages twice', async () => {
    let underWay = 0;
    let most = 0;
    const room = await createActivityRoom(database, {
      faults: { latency: { fixedMs: 20 } },
      between: async (path, get) => {
        underWay += 1;
        most = Math.max(most, underWay);
        try {
          return await get(path);
        } finally {
          underWay -= 1;
        }
      },
    });
    const now = room.now();
    const ids = room.simulator.createMany('customer', 6_000, { from: now - 700 * DAY, to: now - DAY });
    const result = await list(room);
    expect(result).toMatchObject({ done: true, skipped: null });
    expect(idsOf(await room.rows('customer'))).toEqual(ids.toSorted());
    expect(most).toBe(4);
    expect(lists(room)).toBeLessThan(60 * 1.5);
    expect((await listing(room))?.requests).toBe(lists(room));
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

  it('stops when its time is over and goes on where it was, with each page asked for once', async () => {
    const room = await createActivityRoom(database, { faults: { latency: { fixedMs: 60 } } });
    const now = room.now();
    const ids = room.simulator.createMany('customer', 1_500, { from: now - 500, to: now - 400 });
    let slices = 0;
    for (let done = false; !done; slices += 1) ({ done } = await list(room, { seconds: 0.1, walkers: 1 }));
    expect(slices).toBeGreaterThan(3);
    expect(idsOf(await room.rows('customer'))).toEqual(ids.toSorted());
    expect(lists(room)).toBe(15);
  });

  it('lists again after a crash only what was under way, and two attempts at once miss nothing', async () => {
    const hanging = hangingRequest();
    let left = 6;
    const room = await createActivityRoom(database, {
      between: (path, get) => {
        left -= 1;
        return left < 0 ? hanging.request() : get(path);
      },
    });
    const now = room.now();
    const ids = room.simulator.createMany('customer', 2_000, { from: now - 700 * DAY, to: now - DAY });
    const lost = room.begin('listType', await asked(room));
    lost.result.catch(() => undefined);
    await vi.waitFor(() => expect(left).toBeLessThanOrEqual(-2));
    const before = lists(room);
    expect(before).toBe(6);
    left = 10_000;
    const zombieToo = await Promise.all([list(room), list(room)]);
    hanging.end();
    expect(zombieToo.some(({ done }) => done)).toBe(true);
    expect((await list(room)).done).toBe(true);
    expect(idsOf(await room.rows('customer'))).toEqual(ids.toSorted());
  });

  it('goes on where the object that the next page begins after was deleted meanwhile', async () => {
    const room = await createActivityRoom(database);
    const ids = room.simulator.createMany('product', 350);
    const number = await opened(room, 'run-1', ['product']);
    await list(room, { object: 'product', number, seconds: 0, walkers: 1 });
    await list(room, { object: 'product', number, seconds: 0, walkers: 1 });
    const { rows } = await database.pool.query<{ after: string | null }>(
      'select starting_after as after from stripe_sync.listing_ranges where account = $1',
      [room.account],
    );
    const gone = rows[0]?.after ?? '';
    if (gone !== '') room.simulator.remove('product', gone);
    expect(await list(room, { object: 'product', number })).toMatchObject({ done: true, skipped: null });
    const living = ids.filter((id) => id !== gone);
    const held = (await room.rows('product')).filter((row) => !row.deleted);
    expect(idsOf(held)).toEqual(living.toSorted());
  });

  it('takes only what was created lately where it is asked for that, and then finds no deletions', async () => {
    const room = await createActivityRoom(database);
    const now = room.now();
    const old = room.simulator.createMany('customer', 150, { from: now - 90 * DAY, to: now - 80 * DAY });
    const young = room.simulator.createMany('customer', 150, { from: now - 2 * DAY, to: now - DAY });
    await room.hold('customer', { id: old[0] ?? '' }, now - 100 * DAY, now - 100 * DAY);
    room.simulator.remove('customer', old[0] ?? '', { event: false });
    const result = await list(room, { since: now - 3 * DAY });
    expect(result).toMatchObject({ done: true, rows: 150 });
    const rows = await room.rows('customer');
    expect(idsOf(rows)).toEqual([...young, old[0]].toSorted());
    expect(rows.some((row) => row.deleted)).toBe(false);
  });
});

describe('a type that cannot be listed', () => {
  it('is left out, with what is missing, where the key may not read it', async () => {
    const room = await createActivityRoom(database, {
      key: (simulator) => simulator.createRestrictedKey(['rak_product_read']),
    });
    room.simulator.createMany('customer', 3);
    const result = await list(room);
    expect(result).toMatchObject({ done: true, rows: 0 });
    expect(result.skipped).toContain('rak_customer_read');
    expect(await room.rows('customer')).toEqual([]);
    expect(await listing(room)).toMatchObject({ state: 'skipped', reason: result.skipped });
  });

  it('is asked again a few times where Stripe fails, and then left to the next attempt', async () => {
    const room = await createActivityRoom(database);
    const ids = room.simulator.createMany('customer', 130);
    room.simulator.addFault({ kind: 'server_error', next: 2, path: '/v1/customers' });
    expect(await list(room)).toMatchObject({ done: true, rows: 130 });
    expect(idsOf(await room.rows('customer'))).toEqual(ids.toSorted());
    room.simulator.setFaults({ rules: [{ kind: 'server_error', path: '/v1/customers', probability: 1 }] });
    const number = await opened(room, 'run-2');
    await expect(list(room, { number })).rejects.toMatchObject({
      type: 'Stripe/transient',
      nonRetryable: false,
    });
    expect(await listing(room, 'customer', number)).toMatchObject({ state: 'listing', rows: 0 });
  });

  it('is asked again where a page has no Date, since nobody could order it', async () => {
    const room = await createActivityRoom(database, { dateHeader: false });
    room.simulator.createMany('customer', 3);
    await expect(list(room)).rejects.toMatchObject({ type: 'Stripe/malformed' });
    expect(await room.rows('customer')).toEqual([]);
  });
});

describe('a singleton', () => {
  it('is one row under its own name', async () => {
    const room = await createActivityRoom(database);
    expect(await list(room, { object: 'balance' })).toMatchObject({ done: true, skipped: null });
    const [row] = await room.rows('balance');
    expect(row).toMatchObject({ id: 'balance', data: { object: 'balance' } });
  });
});
