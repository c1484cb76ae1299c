import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createActivityRoom } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { asked, customers, firstEvent, movedBy } from './asked-fetch.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

describe('what Stripe answers amiss', () => {
  it('is waited out, and then all events are there', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 3, 60);
    room.simulator.addFault({ kind: 'server_error', next: 2 });
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 20 }));
    expect(references).toHaveLength(3);
    expect(report).toMatchObject({ failedPasses: 2, trouble: null, caughtUp: true });
  });

  it.each(['server_error', 'not_json', 'cut_body', 'bad_gateway'] as const)(
    'is reported in words where it goes on: %s',
    async (kind) => {
      const room = await createActivityRoom(database);
      const cursor = firstEvent(room, 100);
      room.simulator.setFaults({ rules: [{ kind, probability: 1 }] });
      const { references, report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
      expect(references).toEqual([]);
      expect(report).toMatchObject({ failedPasses: 3, trail: [], stripeNow: null });
      expect(report.trouble).toMatch(/Stripe/);
      expect(report.trouble).not.toContain(room.simulator.apiKey);
    },
  );

  it('is reported once: a trouble that is known already is waited out to the end', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    room.simulator.revokeKey();
    const first = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    expect(first.report.trouble).toMatch(/does not accept the API key/);
    const { trouble } = first.report;
    const second = await room.run('fetchEvents', asked(room, { cursor, trouble, waitSeconds: 8 }));
    expect(second.report.failedPasses).toBeGreaterThan(3);
  });

  it('is over when a pass succeeds, which is told at once', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    const { report } = await room.run(
      'fetchEvents',
      asked(room, { cursor, trouble: 'Stripe is away', waitSeconds: 30 }),
    );
    expect(report).toMatchObject({ trouble: null, passes: 1 });
  });

  it('with a time to wait is not asked again before that', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 1, 60);
    room.simulator.addFault({ kind: 'rate_limit', next: 1, retryAfterSeconds: 3 });
    const began = performance.now();
    const { references } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    expect(references).toHaveLength(1);
    expect(performance.now() - began).toBeGreaterThan(2_900);
  });

  it.each(['event_without_object', 'event_null_object'] as const)(
    'does not hold up the other events of the page: %s',
    async (kind) => {
      const room = await createActivityRoom(database);
      const cursor = firstEvent(room, 100);
      customers(room, 5, 60);
      room.simulator.addFault({ kind, next: 1 });
      const { references } = await room.run('fetchEvents', asked(room, { cursor }));
      expect(references).toHaveLength(4);
      const ignored = (await room.ledger()).filter((entry) => entry.outcome === 'ignored');
      expect(ignored).toMatchObject([{ error: 'the event carries no object' }]);
    },
  );

  it('is counted where an entry is no event', async () => {
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        const body = response.body as { data: Record<string, unknown>[] };
        delete body.data[0]?.id;
        return { ...response, body, text: JSON.stringify(body) };
      },
    });
    const cursor = firstEvent(room, 100);
    customers(room, 3, 60);
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor }));
    expect(references).toHaveLength(2);
    expect(report.malformed).toBe(1);
  });

  it('is not asked for in a circle where an empty page says that there is more', async () => {
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        return { ...response, body: { object: 'list', data: [], has_more: true }, text: '{"data":[]}' };
      },
    });
    const cursor = firstEvent(room, 100);
    const { report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    expect(report).toMatchObject({ failedPasses: 3, caughtUp: false });
    expect(report.trouble).toMatch(/says that there is more/);
    expect(room.simulator.stats().requests.events).toBe(3);
  });

  it('does not move the cursor where there is no Date, and hands the events on all the same', async () => {
    const room = await createActivityRoom(database, { dateHeader: false });
    const cursor = firstEvent(room, 100);
    customers(room, 3, 60);
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor }));
    expect(references).toHaveLength(3);
    expect(movedBy(report, cursor).cursor).toEqual(cursor);
  });
});
