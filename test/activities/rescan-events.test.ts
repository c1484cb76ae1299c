import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ActivityRoom, createActivityRoom } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const rescan = (room: ActivityRoom, from: number, to: number) =>
  room.run('rescanEvents', { account: room.account, from, to });

describe('a rescan', () => {
  it('finds what the cursor missed, counts it, and leaves it in the inbox for the next fetch', async () => {
    const room = await createActivityRoom(database);
    const now = room.now();
    for (const ago of [90, 60, 30]) room.simulator.create('customer', {}, { created: now - ago });
    await rescan(room, now - 100, now);
    room.simulator.create('customer', {}, { created: now - 50 });
    const leak = room.simulator.events().find((event) => event.created === now - 50);
    const report = await rescan(room, now - 100, now);
    expect(report.listed).toBe(4);
    expect(report.leaks).toHaveLength(1);
    expect(report.leaks[0]).toBeGreaterThanOrEqual(50);
    expect(report.leaks[0]).toBeLessThanOrEqual(53);
    expect((await room.ledger()).find((entry) => entry.id === leak?.id)).toMatchObject({
      claimed: false,
      outcome: null,
      source: 'rescan',
    });
    expect(room.logged.filter((line) => line.includes(leak?.id ?? '-'))).toHaveLength(1);
  });

  it('finds nothing where nothing was missed', async () => {
    const room = await createActivityRoom(database);
    const now = room.now();
    for (let ago = 250; ago > 0; ago -= 1) room.simulator.create('customer', {}, { created: now - ago });
    const first = await rescan(room, now - 300, now);
    expect(first.leaks).toHaveLength(250);
    const again = await rescan(room, now - 300, now);
    expect(again).toMatchObject({ listed: 250, requests: 3, leaks: [] });
  });

  it('lists its window only, both ends included', async () => {
    const room = await createActivityRoom(database);
    const now = room.now();
    for (const ago of [41, 40, 30, 20, 19]) room.simulator.create('customer', {}, { created: now - ago });
    expect((await rescan(room, now - 40, now - 20)).listed).toBe(3);
  });

  it('does not end with half of its window where Stripe fails in between', async () => {
    const room = await createActivityRoom(database, {
      between: (path, get) => get(path.includes('starting_after') ? '/v1/nonsense' : path),
    });
    const now = room.now();
    for (let ago = 150; ago > 0; ago -= 1) room.simulator.create('customer', {}, { created: now - ago });
    await expect(rescan(room, now - 300, now)).rejects.toMatchObject({ type: 'Stripe/invalid' });
  });
});
