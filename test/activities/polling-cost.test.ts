import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createActivityRoom } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createPollLoop } from '../support/poll-loop.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const PER_SECOND = 20;

describe('what polling asks of Stripe', () => {
  it('is one list request a pass and one more for 100 events, and one pass a second, at a steady 20 events a second', async () => {
    const room = await createActivityRoom(database, { visibility: { p50: 0.4, p99: 2, max: 3 } });
    const loop = createPollLoop(room);
    await loop.open();
    const began = performance.now();
    let made = 0;
    const traffic = setInterval(() => {
      for (; made < ((performance.now() - began) / 1_000) * PER_SECOND; made += 1)
        room.simulator.create('customer');
    }, 20);
    try {
      await loop.run(15);
      const [events, before] = [made, loop.state().counters];
      await loop.run(40);
      const after = loop.state().counters;
      const seconds = (made - events) / PER_SECOND;
      const passes = after.passes - before.passes;
      const requests = after.requests - before.requests;
      console.log(
        `${made - events} events in ${seconds.toFixed(1)} s: ${passes} passes, ${requests} requests, ` +
          `${(requests / passes).toFixed(2)} a pass, ${(requests / seconds).toFixed(2)} a second`,
      );
      // One a pass, and one for each full page of what has settled: 1.2 where passes are a second apart. Where the
      // machine stalls, a pass can meet more news than a page holds.
      expect(requests).toBeLessThanOrEqual(passes + Math.ceil((made - events) / 100) + 3);
      expect(passes / seconds).toBeLessThanOrEqual(1.05);
      expect(passes / seconds).toBeGreaterThan(0.8);
    } finally {
      clearInterval(traffic);
    }
    await loop.run(5);
    expect(new Set(loop.handedOn.map(({ id }) => id)).size).toBe(made);
  }, 120_000);

  it('is one request in each poll interval where nothing happens', async () => {
    const room = await createActivityRoom(database);
    for (let ago = 40; ago > 20; ago -= 1)
      room.simulator.create('customer', {}, { created: room.now() - ago });
    const loop = createPollLoop(room, { pollSeconds: 0.5 });
    await loop.open();
    await loop.run(3);
    const before = room.simulator.stats().requests.events;
    const began = performance.now();
    await loop.run(10);
    const intervals = (performance.now() - began) / 500;
    const requests = room.simulator.stats().requests.events - before;
    expect(requests).toBeLessThanOrEqual(intervals + 1);
    expect(requests).toBeGreaterThan(intervals * 0.8);
  }, 60_000);
});
