import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ActivityRoom, createActivityRoom } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const open = (room: ActivityRoom, fresh = false) =>
  room.run('openAccount', { account: room.account, fresh, lagSeconds: 5 });

const fetchFrom = (room: ActivityRoom, start: Awaited<ReturnType<typeof open>>) =>
  room.run('fetchEvents', {
    account: room.account,
    cursor: start.cursor,
    anchor: start.anchor,
    lagSeconds: 9,
    limits: { floorSeconds: 5, maxSeconds: 300 },
    frontier: null,
    room: 100,
    waitSeconds: 1,
    pollSeconds: 0.1,
    pageCap: 10,
    freeOlderThanSeconds: null,
    caughtUp: true,
    trouble: null,
  });

describe('an account that is opened', () => {
  it('begins a lag behind the present where it has no events, and sees the first one', async () => {
    const room = await createActivityRoom(database);
    const start = await open(room);
    expect(start).toMatchObject({ cursor: null, apiVersion: null, lagSeconds: null, backfilled: false });
    expect(Math.abs(start.anchor - (room.now() - 5))).toBeLessThanOrEqual(1);
    room.simulator.create('customer');
    expect((await fetchFrom(room, start)).references).toHaveLength(1);
  });

  it('begins at its newest settled event, in the version of its newest one', async () => {
    const room = await createActivityRoom(database);
    room.simulator.create('customer', {}, { created: room.now() - 1_000 });
    room.simulator.create('customer', {}, { created: room.now() - 500, apiVersion: '2025-01-27.acacia' });
    const settled = room.simulator.events().at(-1);
    const start = await open(room);
    expect(start.cursor).toEqual({ id: settled?.id, created: settled?.created });
    expect(start.apiVersion).toBe('2025-01-27.acacia');
  });

  it('does not begin in a second that may still fill up', async () => {
    const room = await createActivityRoom(database);
    room.simulator.create('customer');
    const start = await open(room);
    expect(start.cursor).toBeNull();
    room.simulator.create('customer', {}, { created: room.now() - 1 });
    room.simulator.create('customer');
    const { references } = await fetchFrom(room, start);
    expect(references.map((entry) => entry.id).sort()).toEqual(
      room.simulator
        .events()
        .map((event) => event.id)
        .sort(),
    );
  });

  it('goes on where an earlier run was, with the lag that it had reached', async () => {
    const room = await createActivityRoom(database);
    room.simulator.create('customer', {}, { created: room.now() - 1_000 });
    const first = await open(room);
    await fetchFrom(room, first);
    room.simulator.create('customer', {}, { created: room.now() - 100 });
    const again = await open(room);
    expect(again).toMatchObject({ cursor: first.cursor, lagSeconds: 9, apiVersion: first.apiVersion });
    expect((await fetchFrom(room, again)).references).toHaveLength(1);
  });

  it('goes on from the anchor where an earlier run had no event yet', async () => {
    const room = await createActivityRoom(database);
    const first = await open(room);
    room.simulator.advanceClock(100);
    expect(await open(room)).toMatchObject({ cursor: null, anchor: first.anchor });
  });

  it('knows that a backfill was finished', async () => {
    const room = await createActivityRoom(database);
    await open(room);
    await room.run('finishBackfill', room.account);
    expect((await open(room)).backfilled).toBe(true);
  });

  it('begins at the present when it is to begin anew, and is filled anew', async () => {
    const room = await createActivityRoom(database);
    room.simulator.create('customer', {}, { created: room.now() - 1_000 });
    await open(room);
    await room.run('finishBackfill', room.account);
    room.simulator.create('customer', {}, { created: room.now() - 100 });
    const newest = room.simulator.events().at(-1);
    expect(await open(room, true)).toMatchObject({
      cursor: { id: newest?.id },
      lagSeconds: null,
      backfilled: false,
    });
  });

  it('tells what Stripe refuses without the key', async () => {
    const room = await createActivityRoom(database);
    room.simulator.revokeKey();
    const failure: unknown = await open(room).catch((error: unknown) => error);
    expect(failure).toMatchObject({ type: 'Stripe/authentication', nonRetryable: false });
    expect(JSON.stringify(failure) + String(failure)).not.toContain(room.simulator.apiKey);
  });
});
