import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CatchUpInput, CatchUpResult } from '../../activities/catch-up.js';
import type { FetchInput } from '../../activities/fetch-events.js';
import { addOutcomes, NO_OUTCOMES, type OutcomeTally } from '../../src/domain/account-state.js';
import type { Backlog } from '../../src/domain/backlog.js';
import { StripeFailure } from '../../src/domain/failures.js';
import { rangeOf } from '../../src/domain/ranges.js';
import type { EventReference } from '../../src/domain/references.js';
import { groupByEntity } from '../../src/domain/routing.js';
import { defineHandlers } from '../../src/handlers/index.js';
import { compareTruth } from '../../src/sandbox/compare-truth.js';
import { tableOf } from '../../src/stripe/catalog.js';
import { silentObjects } from '../../src/stripe/stored-objects.js';
import { type ActivityRoom, createActivityRoom, eventOf, hangingRequest } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { type Effects, watchEffects } from '../support/effects.js';
import { deliver, listedEvents } from '../support/entity-loop.js';
import { CHANGED, makeManyChanges, randomFrom } from '../support/many-changes.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
let effects: Effects;
beforeAll(async () => {
  database = await createMigratedDatabase();
  effects = await watchEffects(database, CHANGED.map(tableOf));
});
afterAll(() => database.drop());

function backlogUntilNow(room: ActivityRoom): Backlog {
  const [from, to] = [0, room.now() - 5];
  return { from, to, ranges: [rangeOf(0, from, to)], newest: null, listed: 0 };
}

function asked(room: ActivityRoom, backlog: Backlog, over: Partial<CatchUpInput> = {}): CatchUpInput {
  return {
    account: room.account,
    backlog,
    cursor: null,
    anchor: 0,
    lookedAt: null,
    lagSeconds: 5,
    hydrate: 'auto',
    apiVersion: room.simulator.apiVersion,
    seconds: 20,
    walkers: 8,
    room: 10_000,
    freeOlderThanSeconds: null,
    ...over,
  };
}

interface Walked {
  readonly tally: OutcomeTally;
  readonly references: readonly EventReference[];
  readonly slices: number;
  readonly inserted: number;
  readonly requests: number;
  readonly newest: Backlog['newest'];
}

/** Walks the whole backlog, slice by slice. */
async function walk(room: ActivityRoom, over: Partial<CatchUpInput> = {}): Promise<Walked> {
  let left: Backlog | null = backlogUntilNow(room);
  let tally = NO_OUTCOMES;
  const references: EventReference[] = [];
  let [slices, inserted, requests] = [0, 0, 0];
  let newest: Backlog['newest'] = null;
  while (left !== null) {
    const { report, references: claimed }: CatchUpResult = await room.run('catchUp', asked(room, left, over));
    expect(report.trouble).toBeNull();
    tally = addOutcomes(tally, { ...NO_OUTCOMES, applied: report.applied, stale: report.stale });
    references.push(...claimed);
    slices += 1;
    inserted += report.inserted;
    requests += report.requests;
    ({ left, newest } = report);
  }
  return { tally, references, slices, inserted, requests, newest };
}

async function deliverAll(room: ActivityRoom, references: readonly EventReference[]): Promise<OutcomeTally> {
  let tally = NO_OUTCOMES;
  for (const { object, objectId, events } of groupByEntity(references)) {
    const ids = events.map(({ id }) => id);
    tally = addOutcomes(tally, await deliver(room, { object, objectId }, ids));
  }
  return tally;
}

async function assertEqual(room: ActivityRoom, atLeast = 20): Promise<void> {
  const announced = new Set(room.simulator.events().map(({ object, objectId }) => `${object}/${objectId}`));
  const { differences, equal } = await compareTruth(
    database.pool,
    room.account,
    room.simulator.truth(),
    announced,
  );
  const silent = new Set(silentObjects());
  expect(differences.filter(({ object }) => !silent.has(object))).toEqual([]);
  expect(equal).toBeGreaterThanOrEqual(atLeast);
}

/** Many changes of customers, one to the second. */
function customers(room: ActivityRoom, count: number, changes: number): void {
  const { simulator } = room;
  const ids = Array.from({ length: count }, () => String(simulator.create('customer').id));
  for (let made = 0; made < changes; made += 1) {
    if (made % count === 0) simulator.advanceClock(2);
    simulator.update('customer', ids[made % count] ?? '', { metadata: { made: String(made) } });
  }
  simulator.advanceClock(60);
}

describe('a backlog', () => {
  it('of two thousand changes is in the ledger and in the tables, each change once, and no row went back', async () => {
    const room = await createActivityRoom(database, { seed: 5 });
    makeManyChanges(room.simulator, randomFrom(5), 2_000);
    const events = await listedEvents(room.simulator);
    const { tally, references, inserted, newest } = await walk(room);
    expect(inserted).toBe(events.length);
    expect(newest?.id).toBe(events.at(-1)?.id);
    const total = addOutcomes(tally, await deliverAll(room, references));
    const ledger = await room.ledger();
    expect(ledger.map(({ id }) => id).sort()).toEqual(events.map(({ id }) => id).sort());
    expect(ledger.filter(({ outcome }) => outcome === null)).toEqual([]);
    const ignored = ledger.filter(({ outcome }) => outcome === 'ignored').length;
    expect(total.applied + total.stale + total.fetched + ignored).toBe(events.length);
    console.log(
      `${events.length} events: ${tally.applied} applied and ${tally.stale} stale together, ` +
        `${references.length} left to their entities`,
    );
    // All but a few: the traffic is made so that many seconds hold several changes of an object.
    expect(references.length).toBeLessThan(events.length / 3);
    expect(await effects.stepsBack(room.account)).toEqual([]);
    await assertEqual(room);
  });

  it('is walked in several places at once, and hardly any page is asked for twice', async () => {
    let underWay = 0;
    let most = 0;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        underWay += 1;
        most = Math.max(most, underWay);
        try {
          return await get(path);
        } finally {
          underWay -= 1;
        }
      },
      faults: { latency: { fixedMs: 20 } },
    });
    customers(room, 50, 3_000);
    const { references, requests, inserted } = await walk(room);
    expect(inserted).toBe(3_050);
    expect(most).toBeGreaterThanOrEqual(6);
    expect(requests).toBeLessThan(31 * 3);
    expect(references).toEqual([]);
    await assertEqual(room);
  });

  it('is walked in slices, each of which goes on where the last one ended', async () => {
    const room = await createActivityRoom(database, { faults: { latency: { fixedMs: 50 } } });
    customers(room, 20, 1_500);
    const { slices, requests, inserted } = await walk(room, { seconds: 0.1, walkers: 2 });
    expect(inserted).toBe(1_520);
    expect(slices).toBeGreaterThan(3);
    expect(requests).toBeLessThan(16 * 4);
    await assertEqual(room);
  });

  it('goes on after a crash where it was, and what is listed twice changes nothing', async () => {
    let asks = 0;
    const hanging = hangingRequest();
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        asks += 1;
        return asks > 8 && asks <= 16 ? hanging.request() : get(path);
      },
    });
    customers(room, 20, 1_500);
    const input = asked(room, backlogUntilNow(room), { walkers: 2 });
    const first = room.begin('catchUp', input, { activityId: 'a' });
    const lost = expect(first.result).rejects.toThrow();
    await expect.poll(() => asks, { timeout: 10_000 }).toBeGreaterThanOrEqual(10);
    const before = first.heartbeats.length;
    await expect.poll(() => first.heartbeats.length, { timeout: 10_000 }).toBeGreaterThan(before);
    const heartbeatDetails = first.heartbeats.at(-1);
    asks = 100;
    const second = await room.run('catchUp', input, { activityId: 'a', attempt: 2, heartbeatDetails });
    hanging.end();
    first.cancel();
    await lost;
    expect(second.report).toMatchObject({ left: null, inserted: 1_520 });
    expect(second.references).toEqual([]);
    expect(second.report.requests).toBeLessThan(16 * 4);
    await assertEqual(room);
  });

  it('keeps to the outcome that each of its events has already', async () => {
    const room = await createActivityRoom(database);
    customers(room, 20, 300);
    const first = await walk(room);
    const before = await room.ledger();
    const rows = await room.rows('customer');
    const second = await walk(room);
    expect(first.inserted).toBe(320);
    expect(second).toMatchObject({ inserted: 0, tally: NO_OUTCOMES, references: [] });
    expect(await room.ledger()).toEqual(before);
    expect(await room.rows('customer')).toEqual(rows);
  });

  it('is told as trouble where Stripe refuses, with what was walked until then', async () => {
    let asks = 0;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        asks += 1;
        if (asks === 4) throw new StripeFailure('authentication', { message: 'Stripe refuses the key.' });
        return get(path);
      },
    });
    customers(room, 20, 800);
    const input = asked(room, backlogUntilNow(room), { walkers: 1 });
    const { report } = await room.run('catchUp', input);
    expect(report).toMatchObject({ trouble: 'Stripe refuses the key.', inserted: 300, requests: 4 });
    expect(await room.ledger()).toHaveLength(300);
    if (report.left === null) throw new Error('it is not done');
    const rest = await room.run('catchUp', { ...input, backlog: report.left });
    expect(rest.report).toMatchObject({ trouble: null, left: null, inserted: 520 });
    await assertEqual(room);
  });

  it('leaves to their entities the changes that have a handler, all at the end and in the order of time', async () => {
    const seen: string[] = [];
    const room = await createActivityRoom(database, {
      faults: { latency: { fixedMs: 20 } },
      handlers: defineHandlers({
        'customer.updated': async ({ event }) => {
          seen.push(event.id);
        },
      }),
    });
    customers(room, 3, 450);
    room.simulator.create('product');
    room.simulator.advanceClock(10);
    let left: Backlog | null = backlogUntilNow(room);
    const claimed: EventReference[][] = [];
    while (left !== null) {
      const slice: CatchUpResult = await room.run(
        'catchUp',
        asked(room, left, { seconds: 0.05, walkers: 2 }),
      );
      claimed.push([...slice.references]);
      ({ left } = slice.report);
    }
    const references = claimed.at(-1) ?? [];
    expect(claimed.slice(0, -1).flat()).toEqual([]);
    expect(references).toHaveLength(453);
    await deliverAll(room, references);
    const updates = (await listedEvents(room.simulator)).filter(({ type }) => type === 'customer.updated');
    for (const id of new Set(updates.map(({ data }) => data.object.id))) {
      const ofCustomer = updates.filter(({ data }) => data.object.id === id).map((event) => event.id);
      expect(seen.filter((event) => ofCustomer.includes(event))).toEqual(ofCustomer);
    }
    await assertEqualRows(room);
  });

  it('with an event that PostgreSQL cannot hold loses none of the others', async () => {
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        if (!path.startsWith('/v1/events')) return response;
        const text = response.text.replace('"poison"', `1e${'9'.repeat(9)}`);
        return { ...response, text };
      },
    });
    customers(room, 5, 40);
    room.simulator.create('customer', { metadata: { a: 'poison' } });
    room.simulator.advanceClock(10);
    const { inserted, references } = await walk(room);
    expect(inserted).toBe(46);
    await deliverAll(room, references);
    const ledger = await room.ledger();
    const odd = ledger.filter(({ outcome }) => outcome !== 'applied' && outcome !== 'stale');
    expect(odd).toMatchObject([{ outcome: 'parked', error: expect.stringContaining('cannot be kept') }]);
    expect(await room.rows('customer')).toHaveLength(5);
  });

  it('counts the transactions that Stripe allows reads for', async () => {
    const room = await createActivityRoom(database);
    for (let made = 0; made < 5; made += 1)
      room.simulator.create('charge', { status: 'succeeded', paid: true });
    room.simulator.advanceClock(10);
    const succeeded = room.simulator.events().filter(({ type }) => type === 'charge.succeeded').length;
    await walk(room);
    const { rows } = await database.pool.query<{ sum: string }>(
      'select sum(transactions)::int as sum from stripe_sync.reads where account = $1',
      [room.account],
    );
    expect(Number(rows[0]?.sum ?? 0)).toBe(succeeded);
    expect(succeeded).toBeGreaterThan(0);
  });
});

/** Rows of customers and products against Stripe's own. */
async function assertEqualRows(room: ActivityRoom): Promise<void> {
  const { differences } = await compareTruth(database.pool, room.account, room.simulator.truth(), new Set());
  expect(differences.filter(({ object }) => ['customer', 'product'].includes(object))).toEqual([]);
}

describe('what waits in the inbox', () => {
  const fetchInput = (room: ActivityRoom, over: Partial<FetchInput> = {}): FetchInput => ({
    account: room.account,
    cursor: null,
    anchor: room.now(),
    lagSeconds: 5,
    limits: { floorSeconds: 5, maxSeconds: 300 },
    frontier: null,
    room: 100,
    waitSeconds: 0,
    pollSeconds: 0.1,
    pageCap: 10,
    freeOlderThanSeconds: null,
    caughtUp: true,
    trouble: null,
    hydrate: 'auto',
    apiVersion: room.simulator.apiVersion,
    ...over,
  });

  it('is handed to the entities while there is room for it, and applied together where it is more', async () => {
    const room = await createActivityRoom(database);
    customers(room, 30, 60);
    await room.receive(await listedEvents(room.simulator));
    const few = await room.run('fetchEvents', fetchInput(room, { entities: 'auto' }));
    expect(few.references).toHaveLength(90);
    expect(few.report).toMatchObject({ applied: 0, stale: 0 });
    const full = await createActivityRoom(database);
    customers(full, 30, 600);
    await full.receive(await listedEvents(full.simulator));
    const many = await full.run('fetchEvents', fetchInput(full, { entities: 'auto' }));
    expect(many.references).toEqual([]);
    expect(many.report).toMatchObject({ applied: 60, stale: 570 });
    await assertEqualRows(full);
  });

  it.each([
    { entities: 'never', references: 0 },
    { entities: 'always', references: 50 },
    { entities: undefined, references: 50 },
  ] as const)('goes to $references entities of 50 where entities are asked for $entities', async (asks) => {
    const room = await createActivityRoom(database);
    customers(room, 50, 0);
    await room.receive(await listedEvents(room.simulator));
    const { entities } = asks;
    const { references, report } = await room.run(
      'fetchEvents',
      fetchInput(room, entities === undefined ? {} : { entities }),
    );
    expect(references).toHaveLength(asks.references);
    expect(report.applied).toBe(50 - asks.references);
  });

  it('and has many ties ends as Stripe has it, each change with one effect', async () => {
    const room = await createActivityRoom(database, { seed: 9 });
    makeManyChanges(room.simulator, randomFrom(9), 1_500);
    const events = await listedEvents(room.simulator);
    await room.receive(events);
    const { references, report } = await room.run(
      'fetchEvents',
      fetchInput(room, { entities: 'never', room: 5_000 }),
    );
    expect((report.applied ?? 0) + (report.stale ?? 0)).toBeGreaterThan(events.length / 2);
    await deliverAll(room, references);
    const ledger = await room.ledger();
    expect(ledger.filter(({ outcome }) => outcome === null)).toEqual([]);
    expect(ledger).toHaveLength(events.length);
    expect(await effects.stepsBack(room.account)).toEqual([]);
    await assertEqual(room);
  });

  it('and was tried before, or is claimed, is left to its entity', async () => {
    const room = await createActivityRoom(database);
    const now = room.now();
    await room.receive([
      eventOf('evt_tried', 'customer.created', now - 9, { object: 'customer', id: 'cus_1' }),
      eventOf('evt_claimed', 'customer.created', now - 9, { object: 'customer', id: 'cus_2' }),
      eventOf('evt_free', 'customer.created', now - 9, { object: 'customer', id: 'cus_3' }),
    ]);
    await database.pool.query(
      `update stripe_sync.events set attempts = case when id = 'evt_tried' then 1 else 0 end,
         claimed_by = case when id = 'evt_claimed' then 'somebody' end
       where account = $1`,
      [room.account],
    );
    const { references, report } = await room.run(
      'fetchEvents',
      fetchInput(room, { entities: 'never', apiVersion: null }),
    );
    expect(references.map(({ id }) => id)).toEqual(['evt_tried']);
    expect(report.applied).toBe(1);
    expect((await room.rows('customer')).map(({ id }) => id)).toEqual(['cus_3']);
  });
});
