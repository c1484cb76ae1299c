import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ActivityRoom, createActivityRoom, hangingRequest } from '../support/activity-room.js';
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

  it('notes in which version events come, where the account was opened without any', async () => {
    const room = await createActivityRoom(database);
    const noted = async () =>
      (
        await database.pool.query<{ version: string | null }>(
          'select api_version as version from stripe_sync.accounts where account = $1',
          [room.account],
        )
      ).rows[0]?.version;
    await room.run('openAccount', { account: room.account, fresh: false, lagSeconds: 5 });
    const now = room.now();
    await rescan(room, now - 100, now);
    expect(await noted()).toBeNull();
    room.simulator.create('customer', {}, { created: now - 60, apiVersion: '2025-01-27.acacia' });
    await rescan(room, now - 100, now);
    expect(await noted()).toBe('2025-01-27.acacia');
    room.simulator.create('customer', {}, { created: now - 30 });
    await rescan(room, now - 100, now);
    expect(await noted()).toBe('2025-01-27.acacia');
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

  it('goes on after a crash where it had come to, and counts the leaks of before', async () => {
    const hanging = hangingRequest();
    let left = 4;
    const paths: string[] = [];
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        paths.push(path);
        left -= 1;
        return left === 0 ? hanging.request() : get(path);
      },
    });
    const now = room.now();
    for (let ago = 700; ago > 0; ago -= 1) room.simulator.create('customer', {}, { created: now - ago });
    const input = { account: room.account, from: now - 800, to: now };
    const lost = room.begin('rescanEvents', input);
    while (left > 0) await sleep(10);
    const before = paths.length;
    const heartbeatDetails = lost.heartbeats.at(-1);
    const report = await room.run('rescanEvents', input, { attempt: 2, heartbeatDetails });
    expect(paths[before]).toBe(paths[before - 1]);
    expect(paths.slice(before)).toHaveLength(4);
    expect(report).toMatchObject({ listed: 700, leaked: 700 });
    expect(await room.ledger()).toHaveLength(700);
    hanging.end();
    await expect(lost.result).rejects.toThrow();
  });

  it('that is deep notes how far everything was listed again, for whoever starts the account next', async () => {
    const room = await createActivityRoom(database);
    const now = room.now();
    const open = () => room.run('openAccount', { account: room.account, fresh: false, lagSeconds: 5 });
    expect(await open()).toMatchObject({ deepRescannedTo: null });
    await room.run('rescanEvents', { account: room.account, from: now - 50, to: now - 10, deep: true });
    await room.run('rescanEvents', { account: room.account, from: now - 50, to: now - 30, deep: true });
    expect(await open()).toMatchObject({ deepRescannedTo: now - 10 });
    const fresh = { account: room.account, fresh: true, lagSeconds: 5 };
    expect(await room.run('openAccount', fresh)).toMatchObject({ deepRescannedTo: null });
  });

  it('says of a leak how late it was at least: longer than the lag had waited', async () => {
    const room = await createActivityRoom(database);
    const now = room.now();
    room.simulator.create('customer', {}, { created: now - 100 });
    await room.run('rescanEvents', { account: room.account, from: now - 200, to: now, floorSeconds: 5 });
    const { rows } = await database.pool.query(
      `select extract(epoch from looked_at - created)::int as least, source from stripe_sync.events where account = $1`,
      [room.account],
    );
    expect(rows).toEqual([{ least: 6, source: 'rescan' }]);
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
