import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createActivityRoom, hangingRequest } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { asked, customers, firstEvent, idsOf, movedBy } from './asked-fetch.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const DAY = 86_400;

describe('a long walk', () => {
  it('goes on after a crash from the page that it had come to, and loses nothing of what it knew', async () => {
    const hanging = hangingRequest();
    let left = 4;
    const paths: string[] = [];
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        paths.push(path);
        left -= 1;
        // The worker is gone in the middle of a request; nobody hears of it.
        return left === 0 ? hanging.request() : get(path);
      },
    });
    const cursor = firstEvent(room, 2_000);
    for (let ago = 1_000; ago > 200; ago -= 1) customers(room, 1, ago);
    const lost = room.begin('fetchEvents', asked(room, { cursor, caughtUp: false }), { activityId: 'one' });
    while (left > 0) await sleep(10);
    const heartbeatDetails = lost.heartbeats.at(-1);
    const before = paths.length;
    const next = await room.run('fetchEvents', asked(room, { cursor, caughtUp: false }), {
      activityId: 'one',
      attempt: 2,
      heartbeatDetails,
    });
    expect(paths[before]).toBe(paths[before - 1]);
    expect(paths.slice(before)).toHaveLength(5);
    expect(next.report).toMatchObject({ inserted: 800, caughtUp: true });
    expect(idsOf(next.references)).toEqual(idsOf(room.simulator.events().slice(1)));
    expect(movedBy(next.report, cursor).cursor?.id).toBe(next.references.at(-1)?.id);
    expect(JSON.stringify(heartbeatDetails).length).toBeLessThan(2_000);
    hanging.end();
    await expect(lost.result).rejects.toThrow();
  });

  it('tells of a gap although it crashes right after it was noticed', async () => {
    const hanging = hangingRequest();
    let isLost = false;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        if (!path.includes('created[gte]')) return get(path);
        if (isLost) return get(path);
        isLost = true;
        return hanging.request();
      },
    });
    const cursor = firstEvent(room, 10);
    room.simulator.advanceClock(31 * DAY);
    const lost = room.begin('fetchEvents', asked(room, { cursor }), { activityId: 'one' });
    while (!isLost) await sleep(10);
    const heartbeatDetails = lost.heartbeats.at(-1);
    const { report } = await room.run('fetchEvents', asked(room, { cursor }), {
      activityId: 'one',
      attempt: 2,
      heartbeatDetails,
    });
    expect(report.reanchored?.gap?.from).toBe(cursor.created - 5);
    hanging.end();
    await expect(lost.result).rejects.toThrow();
  });
});

describe('an attempt that follows one which PostgreSQL ended in the middle of a walk', () => {
  it('does not say that the list was read to its end before it is, whatever the poll interval', async () => {
    let pages = 0;
    let isBroken = false;
    const lostConnection = Object.assign(new Error('connection lost'), { code: 'ECONNRESET' });
    const pool = new Proxy(database.pool, {
      get(target, property) {
        const value = Reflect.get(target, property) as unknown;
        if (typeof value !== 'function') return value;
        if (property !== 'query') return value.bind(target);
        return (...args: unknown[]) => {
          if (String(args[0]).includes('with listed')) pages += 1;
          if (pages === 2 || isBroken) {
            pages += 1;
            isBroken = true;
            return Promise.reject(lostConnection);
          }
          return value.apply(target, args) as unknown;
        };
      },
    });
    const room = await createActivityRoom(database, { pool });
    const cursor = firstEvent(room, 100);
    customers(room, 250, 60);
    const over = { cursor, pollSeconds: 10, waitSeconds: 60 };
    const lost = room.begin('fetchEvents', asked(room, over), { activityId: 'one' });
    await expect(lost.result).rejects.toMatchObject({ type: 'PostgreSQL/unavailable' });
    isBroken = false;
    const { report, references } = await room.run('fetchEvents', asked(room, over), {
      activityId: 'one',
      attempt: 2,
      heartbeatDetails: lost.heartbeats.at(-1),
    });
    expect(references).toHaveLength(250);
    expect(report.caughtUp).toBe(true);
    const moved = movedBy(report, cursor).cursor;
    const window = { account: room.account, from: cursor.created + 1, to: moved?.created ?? 0 };
    expect(await room.run('rescanEvents', window)).toMatchObject({ listed: 250, leaked: 0 });
  });
});
