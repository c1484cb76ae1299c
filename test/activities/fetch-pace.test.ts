import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FetchInput } from '../../activities/fetch-events.js';
import { StripeFailure } from '../../src/domain/failures.js';
import { createActivityRoom, hangingRequest } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { asked, customers, firstEvent, following, idsOf, movedBy } from './asked-fetch.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

describe('the pace of fetches that follow one another at once', () => {
  it('is that of the poll interval, so that steady traffic costs no more than the interval says', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    const before = room.simulator.stats().requests.events;
    const began = performance.now();
    let last = following((await room.run('fetchEvents', asked(room, { cursor, pollSeconds: 0.5 }))).report);
    for (let fetch = 0; fetch < 4; fetch += 1) {
      customers(room, 1, 0);
      const { report } = await room.run(
        'fetchEvents',
        asked(room, { cursor, ...last, pollSeconds: 0.5, waitSeconds: 10 }),
      );
      expect(report.inserted).toBe(1);
      last = following(report);
    }
    const intervals = (performance.now() - began) / 500;
    expect(room.simulator.stats().requests.events - before).toBeLessThanOrEqual(intervals + 1);
  });

  it('is not held to where more waits in the inbox than there was room for', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 30, 60);
    const began = performance.now();
    const found = [];
    for (let fetch = 0; fetch < 3; fetch += 1) {
      const over = { cursor, room: 10, pollSeconds: 60, waitSeconds: 60 };
      found.push(...(await room.run('fetchEvents', asked(room, over))).references);
    }
    expect(idsOf(found)).toEqual(idsOf(room.simulator.events().slice(1)));
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('is not held to while a backlog is walked', async () => {
    const room = await createActivityRoom(database);
    let state: Partial<FetchInput> = { cursor: firstEvent(room, 2_000), caughtUp: false };
    for (let ago = 1_500; ago > 1_000; ago -= 1) customers(room, 1, ago);
    const began = performance.now();
    for (let fetches = 0; fetches < 6; fetches += 1) {
      const { report } = await room.run(
        'fetchEvents',
        asked(room, { ...state, pollSeconds: 60, pageCap: 1 }),
      );
      state = { ...following(report), ...movedBy(report, state.cursor ?? null), caughtUp: false };
    }
    expect((await room.ledger()).length).toBe(500);
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

describe('what a fetch asks of Stripe', () => {
  it('is one request in each interval, also where the interval does not divide the wait', async () => {
    const room = await createActivityRoom(database);
    let last: Partial<FetchInput> = { cursor: firstEvent(room, 100) };
    const began = performance.now();
    const before = room.simulator.stats().requests.events;
    for (let fetch = 0; fetch < 5; fetch += 1) {
      const { report } = await room.run(
        'fetchEvents',
        asked(room, { ...last, pollSeconds: 1.7, waitSeconds: 2 }),
      );
      last = { ...last, ...following(report), caughtUp: report.caughtUp };
    }
    const intervals = (performance.now() - began) / 1_700;
    expect(room.simulator.stats().requests.events - before).toBeLessThanOrEqual(intervals + 1);
  });

  it('waits for as long as Stripe asked for, over several fetches', async () => {
    const at: number[] = [];
    const room = await createActivityRoom(database, {
      between: async () => {
        at.push(performance.now());
        throw new StripeFailure('rate-limited', { message: 'slow down', retryAfterMs: 2_500 });
      },
    });
    const cursor = { id: 'evt_x', created: room.now() - 10 };
    for (let fetch = 0; fetch < 4; fetch += 1)
      await room.run('fetchEvents', asked(room, { cursor, caughtUp: false, trouble: 'slow down' }));
    expect(at.length).toBeGreaterThan(1);
    for (const [index, time] of at.entries())
      if (index > 0) expect(time - (at[index - 1] ?? 0)).toBeGreaterThan(2_400);
  });

  it('is counted, what a killed attempt had asked too', async () => {
    const hanging = hangingRequest();
    let asks = 0;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        asks += 1;
        return asks === 6 ? hanging.request() : get(path);
      },
    });
    const cursor = firstEvent(room, 500);
    for (let ago = 450; ago > 0; ago -= 1) customers(room, 2, ago + 10);
    const lost = room.begin('fetchEvents', asked(room, { cursor }), { activityId: 'one' });
    while (asks < 6) await sleep(10);
    const heartbeatDetails = lost.heartbeats.at(-1);
    const second = { activityId: 'one', attempt: 2, heartbeatDetails };
    await room.run('fetchEvents', asked(room, { cursor }), second);
    const { rows } = await database.pool.query(
      'select sum(reads)::int as reads from stripe_sync.reads where account = $1',
      [room.account],
    );
    expect(rows).toEqual([{ reads: asks }]);
    hanging.end();
    await lost.result.catch(() => undefined);
  });
});
