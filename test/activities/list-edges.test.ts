import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ActivityRoom, createActivityRoom, type RoomOptions } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createPollLoop } from '../support/poll-loop.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const HOUR = 3_600;
const DAY = 24 * HOUR;

const QUICK = { pollSeconds: 0.1, waitSeconds: 0.5 };

async function begin(options: RoomOptions = {}) {
  const room = await createActivityRoom(database, options);
  return { room, loop: createPollLoop(room, QUICK) };
}

const customers = (room: ActivityRoom, count: number, ago: number, options = {}) => {
  for (let made = 0; made < count; made += 1)
    room.simulator.create('customer', {}, { created: room.now() - ago, ...options });
};

const idsOf = (events: readonly { readonly id: string }[]) => events.map(({ id }) => id).sort();

describe('the first start of an account', () => {
  it('without any event begins at the present, and takes the first event that comes', async () => {
    const { room, loop } = await begin();
    await loop.open();
    await loop.run(1);
    expect(loop.state()).toMatchObject({ cursor: null, caughtUp: true });
    customers(room, 1, 0);
    await loop.run(5, () => loop.handedOn.length > 0);
    expect(idsOf(loop.handedOn)).toEqual(idsOf(room.simulator.events()));
  });

  it('with one old event begins after it', async () => {
    const { room, loop } = await begin();
    customers(room, 1, DAY);
    await loop.open();
    expect(loop.state().cursor?.id).toBe(room.simulator.events()[0]?.id);
    await loop.run(1);
    expect(loop.handedOn).toEqual([]);
  });

  it('with events in the present second only takes them all, those too that surface later in it', async () => {
    const { room, loop } = await begin();
    customers(room, 120, 0);
    customers(room, 5, 0, { visibleAfterSeconds: 1.5 });
    await loop.open();
    expect(loop.state().cursor).toBeNull();
    await loop.run(5, () => loop.handedOn.length >= 125);
    expect(idsOf(loop.handedOn)).toEqual(idsOf(room.simulator.events()));
  });

  it('of an account whose events have all aged out begins at the present', async () => {
    const { room, loop } = await begin();
    customers(room, 5, 0);
    room.simulator.advanceClock(31 * DAY);
    await loop.open();
    expect(loop.state()).toMatchObject({ cursor: null, gap: null });
    customers(room, 2, 0);
    await loop.run(5, () => loop.handedOn.length >= 2);
    expect(loop.handedOn).toHaveLength(2);
    expect(loop.state().gap).toBeNull();
  });

  it('counts nothing as a leak that is older than the account', async () => {
    const { room, loop } = await begin();
    customers(room, 50, 600);
    customers(room, 1, 30);
    await loop.open();
    await loop.run(1);
    customers(room, 1, 0);
    await loop.run(7);
    await loop.rescan(HOUR);
    expect(loop.state()).toMatchObject({ leaks: 0, lag: { seconds: 5 } });
    expect(loop.handedOn).toHaveLength(1);
  }, 20_000);
});

describe('a page that is just full', () => {
  it.each([99, 100, 101, 200, 201])('is followed to the end, and no further: %i events', async (count) => {
    const { room, loop } = await begin();
    customers(room, 1, 100);
    await loop.open();
    for (let made = 0; made < count; made += 1) customers(room, 1, 3);
    const before = room.simulator.stats().requests.events;
    await loop.fetch();
    expect(room.simulator.stats().requests.events - before).toBe(Math.ceil(count / 100));
    expect(loop.handedOn).toHaveLength(count);
    expect(loop.state().caughtUp).toBe(true);
  });

  it('is found from its oldest event on without a cursor, in few requests', async () => {
    const { room, loop } = await begin();
    await loop.open();
    const state = loop.state();
    expect(state.cursor).toBeNull();
    for (let made = 0; made < 350; made += 1) customers(room, 1, -(made % 3));
    await loop.run(5, () => loop.handedOn.length >= 350);
    expect(idsOf(loop.handedOn)).toEqual(idsOf(room.simulator.events()));
  });
});

/** Stripe's `Date`, as something between us and Stripe may change it. */
function dates(change: (date: number, answer: number) => number | null): RoomOptions {
  let answers = 0;
  return {
    between: async (path, get) => {
      const response = await get(path);
      answers += 1;
      return { ...response, date: response.date === null ? null : change(response.date, answers) };
    },
  };
}

describe('clocks that are wrong', () => {
  const CLOCKS: Record<string, RoomOptions> = {
    'ours is an hour behind': { skewSeconds: HOUR },
    'ours is an hour ahead': { skewSeconds: -HOUR },
    'Stripe sends no Date': { dateHeader: false },
    'Stripe sends no Date, and ours is an hour ahead': { dateHeader: false, skewSeconds: -HOUR },
    'Date jumps back by an hour now and then': dates((date, answer) =>
      answer % 3 === 0 ? date - HOUR : date,
    ),
    'Date is far ahead now and then': dates((date, answer) => (answer % 6 === 4 ? date + HOUR : date)),
    'Date is missing now and then': dates((date, answer) => (answer % 2 === 0 ? date : null)),
  };

  it.each(Object.keys(CLOCKS))(
    'lose, double and delay nothing: %s',
    async (name) => {
      const { room, loop } = await begin({
        seed: 3,
        visibility: { p50: 0.4, p99: 2, max: 3 },
        ...CLOCKS[name],
      });
      await loop.open();
      const began = Math.floor(room.simulator.now());
      room.simulator.startTraffic({ changesPerSecond: 10 });
      await loop.run(10);
      room.simulator.stopTraffic();
      const events = room.simulator.events().filter(({ created }) => created >= began);
      const settled = new Set(
        (await room.ledger()).filter(({ outcome }) => outcome !== null).map(({ id }) => id),
      );
      await loop.run(5);
      const ignored = (await room.ledger())
        .filter(({ outcome }) => outcome === 'ignored')
        .map(({ id }) => id);
      const handedOn = loop.handedOn.map(({ id }) => id);
      expect(new Set(handedOn).size).toBe(handedOn.length);
      expect(new Set([...handedOn, ...ignored])).toEqual(
        new Set([...handedOn, ...ignored, ...idsOf(events)]),
      );
      expect(events.length).toBeGreaterThan(50);
      expect(settled.size).toBeLessThan(events.length);
      // The cursor moves all the same, so a restart would not begin from the beginning.
      expect(loop.state().cursor?.created ?? 0).toBeGreaterThanOrEqual(began);
    },
    30_000,
  );
});
