import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StripeFailure } from '../../src/domain/failures.js';
import { createActivityRoom } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { asked, customers, firstEvent, idsOf } from './asked-fetch.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const DAY = 86_400;

describe('a cursor that Stripe no longer knows', () => {
  it('is found again by time, further back, and nothing is missed', async () => {
    const room = await createActivityRoom(database);
    const older = firstEvent(room, 200);
    customers(room, 3, 60);
    const { references, report } = await room.run(
      'fetchEvents',
      asked(room, { cursor: { id: 'evt_unknown', created: room.now() - 100 } }),
    );
    expect(report.reanchored).toMatchObject({ cursor: older, gap: null });
    expect(idsOf(references)).toEqual(idsOf(room.simulator.events()));
  });

  it('begins at its own second where Stripe lists nothing older', async () => {
    const room = await createActivityRoom(database);
    customers(room, 3, 60);
    const created = room.now() - 100;
    const { references, report } = await room.run(
      'fetchEvents',
      asked(room, { cursor: { id: 'evt_unknown', created } }),
    );
    expect(report.reanchored).toEqual({ cursor: null, anchor: created - 5, gap: null });
    expect(references).toHaveLength(3);
  });

  it('that aged out leaves a gap, which is told at once', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 10);
    room.simulator.advanceClock(31 * DAY);
    const { report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    const gap = report.reanchored?.gap;
    expect(gap?.from).toBe(cursor.created - 5);
    expect(Math.abs((gap?.to ?? 0) - (room.now() - 30 * DAY))).toBeLessThanOrEqual(3);
  });

  it('with a gap makes a later start fill the tables again, should this run not come to it', async () => {
    const room = await createActivityRoom(database);
    const open = () => room.run('openAccount', { account: room.account, fresh: false, lagSeconds: 5 });
    const cursor = firstEvent(room, 100);
    await open();
    await room.run('finishBackfill', room.account);
    expect(await open()).toMatchObject({ backfilled: true });
    room.simulator.advanceClock(31 * DAY);
    await room.run('fetchEvents', asked(room, { cursor }));
    expect(await open()).toMatchObject({ backfilled: false });
  });

  it('leaves the gap also where the answer has no Date', async () => {
    const room = await createActivityRoom(database, { dateHeader: false });
    const cursor = { id: 'evt_unknown', created: room.now() - 31 * DAY };
    const { report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    expect(report.reanchored?.gap).toMatchObject({ from: cursor.created - 5 });
  });

  it('is waited out where Stripe knows no position at all', async () => {
    const room = await createActivityRoom(database, {
      between: (path, get) => {
        if (!path.includes('ending_before')) return get(path);
        throw new StripeFailure('cursor-lost', { message: 'Stripe no longer knows the object.' });
      },
    });
    firstEvent(room, 200);
    const cursor = { id: 'evt_unknown', created: room.now() - 100 };
    const { report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    expect(report.trouble).toBe('Stripe no longer knows the object.');
    expect(room.simulator.stats().requests.events).toBeLessThanOrEqual(3);
  });
});
