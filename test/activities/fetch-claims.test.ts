import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { takeFence } from '../../src/postgres/take-fence.js';
import { createActivityRoom } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { asked, customers, firstEvent, idsOf } from './asked-fetch.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

describe('the claims of a fetch', () => {
  it('come back to its next attempt, and to nobody else', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 5, 60);
    const first = await room.run('fetchEvents', asked(room, { cursor }), { activityId: 'one' });
    const again = await room.run('fetchEvents', asked(room, { cursor }), { activityId: 'one', attempt: 2 });
    expect(first.references).toHaveLength(5);
    expect(again.references).toEqual(first.references);
    const other = await room.run('fetchEvents', asked(room, { cursor }), { activityId: 'two' });
    expect(other.references).toEqual([]);
  });

  it('come back in full to its next attempt, although an older event has surfaced and there is no more room', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 2, 60);
    const first = await room.run('fetchEvents', asked(room, { cursor, room: 2 }), { activityId: 'one' });
    customers(room, 1, 80);
    const again = await room.run('fetchEvents', asked(room, { cursor, room: 2 }), {
      activityId: 'one',
      attempt: 2,
    });
    const rest = await room.run('fetchEvents', asked(room, { cursor, room: 2 }), { activityId: 'two' });
    expect(first.references).toHaveLength(2);
    const handedOn = new Set(idsOf([...again.references, ...rest.references]));
    expect([...handedOn]).toEqual(idsOf(room.simulator.events().slice(1)));
  });

  it('that were lost are freed when it is told to', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 3, 60);
    await room.run('fetchEvents', asked(room, { cursor }), { activityId: 'lost' });
    const freed = await room.run('fetchEvents', asked(room, { cursor, freeOlderThanSeconds: 0 }));
    expect(freed.references).toHaveLength(3);
  });

  it('are none where it was given up and the next one runs already', async () => {
    let hold: Promise<void> | null = null;
    let release = () => {};
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        await hold;
        return response;
      },
    });
    const cursor = firstEvent(room, 100);
    customers(room, 3, 60);
    hold = new Promise((resolve) => {
      release = resolve;
    });
    const zombie = room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }), { activityId: 'one' });
    const failure = expect(zombie).rejects.toMatchObject({ type: 'FenceLost' });
    while (room.simulator.stats().requests.events === 0) await sleep(10);
    const next = room.run('fetchEvents', asked(room, { cursor }), { activityId: 'one', attempt: 2 });
    while (room.simulator.stats().requests.events === 1) await sleep(10);
    release();
    hold = null;
    await failure;
    expect((await next).references).toHaveLength(3);
  });

  it('are not missed for the whole wait where an attempt that was given up took the fence back', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    const waiting = room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }), {
      activityId: 'one',
      attempt: 2,
    });
    const failure = expect(waiting).rejects.toMatchObject({ type: 'FenceLost' });
    await sleep(300);
    const late = { account: room.account, fetchId: 'given-up#1', cursor, anchor: 0, lagSeconds: 5 };
    await takeFence(database.pool, late);
    await failure;
    customers(room, 2, 60);
    const repeated = await room.run('fetchEvents', asked(room, { cursor }), {
      activityId: 'one',
      attempt: 3,
    });
    expect(repeated.references).toHaveLength(2);
  });
});
