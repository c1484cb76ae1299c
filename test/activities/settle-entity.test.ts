import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SettleInput } from '../../activities/settle-entity.js';
import { StripeFailure } from '../../src/domain/failures.js';
import { readFailures } from '../../src/postgres/read-failures.js';
import { upsertPage } from '../../src/postgres/upsert-page.js';
import { type ActivityRoom, createActivityRoom, eventOf, interrupted } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const ID = 'cus_1';

function asked(room: ActivityRoom, over: Partial<SettleInput> = {}): SettleInput {
  const { account } = room;
  return {
    account,
    object: 'customer',
    objectId: ID,
    ids: [],
    after: room.now() - 10,
    apiVersion: null,
    ...over,
  };
}

const settle = (room: ActivityRoom, over: Partial<SettleInput> = {}) =>
  room.run('settleEntity', asked(room, over));

const make = (room: ActivityRoom, description: string) =>
  room.simulator.create('customer', { id: ID, description }, { created: room.now() - 1_000 });

describe('a tie of one second', () => {
  it('is settled by one read, made after that second has passed', async () => {
    const room = await createActivityRoom(database);
    make(room, 'first');
    const second = room.now();
    await room.receive([
      eventOf('evt_a', 'customer.updated', second, { object: 'customer', id: ID, description: 'one' }),
      eventOf('evt_b', 'customer.updated', second, { object: 'customer', id: ID, description: 'two' }),
    ]);
    const settling = settle(room, { ids: ['evt_a', 'evt_b'], after: second });
    room.simulator.update('customer', ID, { description: 'as it is now' });
    expect(await settling).toMatchObject({ fetched: 2, stale: 0, applied: 0 });
    const [row] = await room.rows('customer');
    expect(row?.data.description).toBe('as it is now');
    expect(row?.asOf).toBeGreaterThan(second);
    expect(row?.source).toMatch(/^read:req_/);
    expect(room.simulator.stats().requests.retrieve).toBe(1);
    expect(await room.outcomes()).toEqual({ evt_a: 'fetched', evt_b: 'fetched' });
  });

  it('is read again where the answer took so long that it may be older than the second in question', async () => {
    let reads = 0;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        reads += 1;
        const response = await get(path);
        return reads === 1 ? { ...response, durationMs: 20_000 } : response;
      },
    });
    make(room, 'now');
    const after = room.now() - 10;
    await room.receive([
      eventOf('evt_a', 'customer.updated', after, { object: 'customer', id: ID, description: 'x' }),
    ]);
    expect(await settle(room, { ids: ['evt_a'], after })).toMatchObject({ fetched: 1 });
    expect(reads).toBe(2);
    expect((await room.rows('customer'))[0]?.asOf).toBeGreaterThan(after);
  });

  it('is not settled by an answer without a Date', async () => {
    const room = await createActivityRoom(database, { dateHeader: false });
    make(room, 'now');
    await expect(settle(room)).rejects.toMatchObject({ type: 'Stripe/malformed' });
    expect(await room.rows('customer')).toEqual([]);
  });
});

describe('a read that is too early', () => {
  it('does not settle a deletion that came late, even where nothing can be read any more after it', async () => {
    let reads = 0;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        reads += 1;
        if (reads > 1) throw new StripeFailure('permission', { message: 'no more' });
        return { ...(await get(path)), durationMs: 20_000 };
      },
    });
    const now = room.now();
    make(room, 'x');
    room.simulator.remove('customer', ID);
    const state = { object: 'customer', id: ID, description: 'x' };
    await room.receive([
      eventOf('evt_update', 'customer.updated', now - 5, state),
      eventOf('evt_deletion', 'customer.deleted', now - 20, state),
    ]);
    const entity = { account: room.account, object: 'customer', objectId: ID };
    const apply = (id: string) =>
      room.run('applyChanges', { ...entity, ids: [id], hydrate: 'auto', apiVersion: null });
    await apply('evt_update');
    const { fetch } = await apply('evt_deletion');
    expect(fetch).toEqual({ ids: ['evt_deletion'], after: now - 5 });
    await expect(settle(room, { ...fetch })).rejects.toMatchObject({ type: 'Stripe/permission' });
    expect(reads).toBe(2);
    expect(await room.outcomes()).toEqual({ evt_update: 'applied', evt_deletion: null });
  });

  it('again and again is told before the attempt runs out of time', async () => {
    const room = await createActivityRoom(database);
    make(room, 'x');
    const began = performance.now();
    const asks = asked(room, { after: room.now() + 86_400 });
    const failure = room.run('settleEntity', asks, { startToCloseTimeoutMs: 6_000 });
    await expect(failure).rejects.toMatchObject({
      type: 'Stripe/malformed',
      message: expect.stringContaining('never get past second'),
    });
    expect(performance.now() - began).toBeLessThan(6_000);
  });
});

describe('a failure of Stripe that lasts', () => {
  it('is noted with the changes that wait, counts as one attempt, and is never final', async () => {
    const room = await createActivityRoom(database, {
      between: async () => {
        throw new StripeFailure('transient', { message: 'Stripe answers with 500.' });
      },
    });
    const state = { object: 'customer', id: ID, description: 'x' };
    await room.receive([eventOf('evt_a', 'customer.updated', room.now() - 20, state)]);
    const attempt = async (number: number) => {
      const failing = room.run('settleEntity', asked(room, { ids: ['evt_a'], patience: 2 }), {
        attempt: number,
      });
      await expect(failing).rejects.toMatchObject({ type: 'Stripe/transient', nonRetryable: false });
      return (await readFailures(database.pool, room.account, null)).retrying;
    };
    expect((await attempt(1)).count).toBe(0);
    for (const number of [4, 5, 1_000]) {
      const retrying = await attempt(number);
      expect(retrying.changes).toMatchObject([
        { id: 'evt_a', attempts: 1, error: 'Stripe answers with 500.' },
      ]);
    }
  });
});

describe('an object that is gone', () => {
  it('becomes a tombstone with its last state', async () => {
    const room = await createActivityRoom(database);
    make(room, 'last');
    room.simulator.remove('customer', ID);
    const state = { object: 'customer', id: ID, description: 'last' };
    await room.hold('customer', state, 100, 102);
    expect(await settle(room)).toMatchObject({ fetched: 0 });
    expect(await room.rows('customer')).toMatchObject([{ data: state, deleted: true }]);
  });

  it('becomes one also where Stripe answers 404', async () => {
    const room = await createActivityRoom(database);
    const state = { object: 'coupon', id: 'SUMMER', name: 'last' };
    await room.hold('coupon', state as { id: string }, 100, 102);
    await settle(room, { object: 'coupon', objectId: 'SUMMER' });
    expect(await room.rows('coupon')).toMatchObject([{ data: state, deleted: true }]);
  });

  it('and has no row becomes one with the state of its newest event', async () => {
    const room = await createActivityRoom(database);
    make(room, 'x');
    room.simulator.remove('customer', ID);
    const created = room.now() - 20;
    await room.receive([
      eventOf('evt_a', 'customer.created', created, { object: 'customer', id: ID, description: 'one' }),
      eventOf('evt_b', 'customer.updated', created, { object: 'customer', id: ID, description: 'two' }),
    ]);
    expect(await settle(room, { ids: ['evt_a', 'evt_b'] })).toMatchObject({ fetched: 2 });
    expect(await room.rows('customer')).toMatchObject([{ data: { description: 'two' }, deleted: true }]);
  });

  it('and was never known leaves no row', async () => {
    const room = await createActivityRoom(database);
    await settle(room, { object: 'coupon', objectId: 'NEVER' });
    expect(await room.rows('coupon')).toEqual([]);
  });

  it('carries the time that Stripe’s clock must have shown, whatever the Date of the 404 says', async () => {
    let skew = 0;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        try {
          return await get(path);
        } catch (error) {
          if (!(error instanceof StripeFailure) || error.version === undefined) throw error;
          const { asOf, asOfUntil } = error.version;
          const version = { asOf: asOf + skew, asOfUntil: asOfUntil + skew };
          throw new StripeFailure('gone', { message: error.message, version });
        }
      },
    });
    const [now, coupon] = [room.now(), 'coupon'];
    room.simulator.create(coupon, { id: 'HERE' });
    await room.hold(coupon, { id: 'GONE' }, now - 1_000, now - 1_000);
    await settle(room, { object: coupon, objectId: 'HERE' });
    skew = 86_400;
    await settle(room, { object: coupon, objectId: 'GONE' });
    const [gone] = await room.rows(coupon);
    expect(gone).toMatchObject({ id: 'GONE', deleted: true });
    expect(gone?.asOfUntil).toBeLessThan(now + 60);
  });

  it('does not live on where a page of a backfill put it into the table meanwhile', async () => {
    const room: ActivityRoom = await createActivityRoom(database, {
      pool: interrupted(database.pool, /insert into stripe\./, async () => {
        await upsertPage(database.pool, {
          account: room.account,
          object: 'customer',
          table: 'customers',
          page: JSON.stringify({ data: [{ object: 'customer', id: ID, description: 'listed' }] }),
          source: 'backfill:1',
          keyFields: ['id'],
          asOf: room.now() - 2,
          asOfUntil: room.now(),
        });
      }),
    });
    make(room, 'x');
    room.simulator.remove('customer', ID);
    await settle(room);
    expect(await room.rows('customer')).toMatchObject([{ deleted: true }]);
  });
});

describe('a read', () => {
  it('makes the row of an object that has none', async () => {
    const room = await createActivityRoom(database);
    make(room, 'never seen');
    await settle(room);
    expect(await room.rows('customer')).toMatchObject([
      { id: ID, data: { description: 'never seen' }, deleted: false },
    ]);
  });

  it('that a listing asks for lies wholly after the second in question, whatever one before it found', async () => {
    const room = await createActivityRoom(database);
    make(room, 'now');
    const after = room.now();
    await settle(room, { after });
    expect((await room.rows('customer'))[0]?.asOf).toBeGreaterThan(after);
  });

  it('that was made long before does not put a newer row back, and its changes are stale', async () => {
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        return { ...response, date: (response.date ?? 0) - 500 };
      },
    });
    make(room, 'older');
    const now = room.now();
    await room.hold(
      'customer',
      { object: 'customer', id: ID, description: 'newer' } as { id: string },
      now,
      now,
    );
    const event = { object: 'customer', id: ID, description: 'event' };
    await room.receive([eventOf('evt_a', 'customer.updated', now - 600, event)]);
    expect(await settle(room, { ids: ['evt_a'], after: now - 600 })).toMatchObject({ stale: 1, fetched: 0 });
    expect(await room.rows('customer')).toMatchObject([{ data: { description: 'newer' } }]);
  });

  it('that two attempts make at once settles each change once', async () => {
    const room = await createActivityRoom(database);
    make(room, 'now');
    const created = room.now() - 20;
    const event = { object: 'customer', id: ID, description: 'x' };
    await room.receive([eventOf('evt_a', 'customer.updated', created, event)]);
    const tallies = await Promise.all([settle(room, { ids: ['evt_a'] }), settle(room, { ids: ['evt_a'] })]);
    expect(tallies.reduce((sum, tally) => sum + tally.fetched + tally.stale, 0)).toBe(1);
  });

  it('of another object than the one asked for is not stored', async () => {
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        return { ...response, body: { object: 'proxy', id: ID }, text: '{"object":"proxy"}' };
      },
    });
    make(room, 'now');
    await expect(settle(room)).rejects.toMatchObject({ type: 'Stripe/malformed' });
    expect(await room.rows('customer')).toEqual([]);
  });

  it('ends at once when it is cancelled while it waits for the second to pass', async () => {
    const room = await createActivityRoom(database);
    const settling = room.begin('settleEntity', asked(room, { after: room.now() + 5 }));
    await sleep(200);
    const began = performance.now();
    settling.cancel();
    await expect(settling.result).rejects.toMatchObject({ name: 'CancelledFailure' });
    expect(performance.now() - began).toBeLessThan(500);
  });
});

it('a read whose Date was cached for a second lets no row go back to what it has seen already', async () => {
  const room = await createActivityRoom(database, {
    between: async (path, get) => {
      const response = await get(path);
      return { ...response, date: response.date === null ? null : response.date - 1 };
    },
  });
  while (room.simulator.now() % 1 > 0.3) await sleep(50);
  const second = room.now();
  make(room, 'b');
  const event = (id: string, description: string) =>
    eventOf(id, 'customer.updated', second, { object: 'customer', id: ID, description });
  await room.receive([event('evt_a', 'a'), event('evt_b', 'b')]);
  await settle(room);
  expect((await room.rows('customer'))[0]?.asOf).toBeLessThan(second);
  const { fetch } = await room.run('applyChanges', {
    account: room.account,
    object: 'customer',
    objectId: ID,
    ids: ['evt_a'],
    hydrate: 'auto',
    apiVersion: null,
  });
  expect(fetch?.ids).toEqual(['evt_a']);
  expect((await room.rows('customer'))[0]?.data.description).toBe('b');
});
