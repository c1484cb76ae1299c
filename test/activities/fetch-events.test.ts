import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insertEvents } from '../../src/postgres/insert-events.js';
import { compositeKeys, storedObjects } from '../../src/stripe/stored-objects.js';
import { createActivityRoom, eventOf } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { asked, customers, firstEvent, following, idsOf, movedBy } from './asked-fetch.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

describe('a fetch', () => {
  it('hands on every event of all pages once, oldest first, without any payload', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 130, 90);
    customers(room, 120, 60);
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor }));
    expect(idsOf(references)).toEqual(idsOf(room.simulator.events().slice(1)));
    expect(references.map((entry) => entry.created)).toEqual(
      references.map((entry) => entry.created).toSorted((a, b) => a - b),
    );
    expect(Object.keys(references[0] ?? {}).sort()).toEqual(['created', 'id', 'object', 'objectId', 'type']);
    expect(report).toMatchObject({ inserted: 250, requests: 3, passes: 1, caughtUp: true, trouble: null });
  });

  it('stops at the page cap, and the next one goes on where the cursor has got to', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 500);
    for (let ago = 450; ago > 0; ago -= 1) customers(room, 1, ago + 10);
    const first = await room.run('fetchEvents', asked(room, { cursor, pageCap: 2 }));
    expect(first.report).toMatchObject({ inserted: 200, caughtUp: false });
    const moved = movedBy(first.report, cursor);
    expect(moved.cursor?.id).toBe(first.references.at(-1)?.id);
    const second = await room.run('fetchEvents', asked(room, { ...moved, caughtUp: false, pageCap: 2 }));
    const third = await room.run('fetchEvents', asked(room, { ...moved, caughtUp: false, pageCap: 2 }));
    const all = [first, second, third].flatMap((fetch) => fetch.references);
    expect(idsOf(all)).toEqual(idsOf(room.simulator.events().slice(1)));
  });

  it('gets past a burst that is longer than the page cap and not settled yet', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 350, 0);
    const found = [];
    for (let fetch = 0; fetch < 2; fetch += 1) {
      const { references } = await room.run('fetchEvents', asked(room, { cursor, pageCap: 2 }));
      found.push(...references);
    }
    expect(found).toHaveLength(350);
  });

  it('lets the cursor reach the newest settled event, and not one of a second that may still fill up', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 1, 20);
    const settled = room.simulator.events().at(-1);
    customers(room, 1, 2);
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor }));
    expect(references).toHaveLength(2);
    expect(movedBy(report, cursor).cursor?.id).toBe(settled?.id);
  });

  it('counts the lag from when Stripe read the list, not from the Date of a slow answer', async () => {
    const slow = 30;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        const date = (response.date ?? 0) + slow;
        return { ...response, date, durationMs: response.durationMs + slow * 1_000 };
      },
    });
    const cursor = firstEvent(room, 100);
    // At the moment of the listing this second is not settled; at the Date of the answer it would be.
    customers(room, 1, 2);
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor }));
    expect(references).toHaveLength(1);
    expect(movedBy(report, cursor).cursor).toEqual(cursor);
  });

  it('measures how late an event is that surfaces behind one that was seen before', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 1, 2);
    const first = await room.run('fetchEvents', asked(room, { cursor }));
    expect(first.report.lateness).toEqual([]);
    customers(room, 1, 8);
    const second = await room.run('fetchEvents', asked(room, { cursor, ...following(first.report) }));
    expect(second.references).toHaveLength(1);
    expect(second.report.lateness).toHaveLength(1);
    expect(second.report.lateness[0]).toBeGreaterThanOrEqual(8);
    expect(second.report.lateness[0]).toBeLessThanOrEqual(11);
  });

  it('waits for an event that surfaces while it polls', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 1, 0, { visibleAfterSeconds: 0.7 });
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 10 }));
    expect(references).toHaveLength(1);
    expect(report.passes).toBeGreaterThan(1);
  });
});

describe('an event that a webhook told of first', () => {
  it('is handed on once, and measured when the list shows it', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 1, 9, { visibleAfterSeconds: 1.5 });
    const event = room.simulator.events().at(-1);
    await insertEvents(database.pool, {
      account: room.account,
      page: JSON.stringify({
        data: [
          eventOf(event?.id ?? '', 'customer.created', event?.created ?? 0, {
            object: 'customer',
            id: 'cus_1',
          }),
        ],
      }),
      source: 'webhook',
      seenAt: room.now(),
      objects: storedObjects(),
      keyFields: compositeKeys(),
    });
    const first = await room.run('fetchEvents', asked(room, { cursor }));
    expect(idsOf(first.references)).toEqual([event?.id]);
    const { rows: unlisted } = await database.pool.query(
      'select listed_at from stripe_sync.events where account = $1 and id = $2',
      [room.account, event?.id],
    );
    expect(unlisted).toEqual([{ listed_at: null }]);
    await sleep(2_000);
    // Nothing newer was seen in the list: only the webhook tells that it was late.
    const second = await room.run('fetchEvents', asked(room, { cursor, ...following(first.report) }));
    expect(second.references).toEqual([]);
    expect(second.report).toMatchObject({ inserted: 0 });
    expect(second.report.lateness).toHaveLength(1);
    expect(second.report.lateness[0]).toBeGreaterThanOrEqual(10);
    expect(second.report.lateness[0]).toBeLessThanOrEqual(14);
    const { rows } = await database.pool.query<{ least: number; most: number; source: string }>(
      `select extract(epoch from looked_at - created)::int as least, extract(epoch from listed_at - created)::int as most,
         source
       from stripe_sync.events where account = $1 and id = $2`,
      [room.account, event?.id],
    );
    expect(rows[0]?.source).toBe('webhook');
    expect(rows[0]?.least).toBeGreaterThanOrEqual(8);
    expect(rows[0]?.least).toBeLessThan(rows[0]?.most ?? 0);
    const third = await room.run('fetchEvents', asked(room, { cursor, ...following(second.report) }));
    expect(third.report.lateness).toEqual([]);
  });
});

describe('a fetch that waits', () => {
  it('ends at once when it is cancelled', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    const fetch = room.begin('fetchEvents', asked(room, { cursor, waitSeconds: 60, pollSeconds: 60 }));
    await sleep(300);
    const began = performance.now();
    fetch.cancel();
    await expect(fetch.result).rejects.toMatchObject({ name: 'CancelledFailure' });
    expect(performance.now() - began).toBeLessThan(500);
  });

  it('ends at once when it is cancelled in the middle of a slow answer', async () => {
    const room = await createActivityRoom(database, { faults: { latency: { fixedMs: 20_000 } } });
    const fetch = room.begin('fetchEvents', asked(room));
    await sleep(300);
    const began = performance.now();
    fetch.cancel();
    await expect(fetch.result).rejects.toMatchObject({ name: 'CancelledFailure' });
    expect(performance.now() - began).toBeLessThan(500);
  });

  it('hands in what it has when the worker is told to stop', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    const fetch = room.begin('fetchEvents', asked(room, { cursor, waitSeconds: 60, pollSeconds: 60 }));
    await sleep(300);
    const began = performance.now();
    room.stopping.abort();
    expect((await fetch.result).report).toMatchObject({ caughtUp: true, trouble: null });
    expect(performance.now() - began).toBeLessThan(500);
  });
});
