import { afterAll, beforeAll, expect, it } from 'vitest';
import { addOutcomes, NO_OUTCOMES } from '../../src/domain/account-state.js';
import { compareTruth } from '../../src/sandbox/compare-truth.js';
import { tableOf } from '../../src/stripe/catalog.js';
import { silentObjects } from '../../src/stripe/stored-objects.js';
import { createActivityRoom } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { type Effects, watchEffects } from '../support/effects.js';
import { deliver, entityOf, type ListedEvent, listedEvents } from '../support/entity-loop.js';
import { CHANGED, makeManyChanges, randomFrom, shuffled } from '../support/many-changes.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

const EVENTS = 2_000;
const STREAMS = 8;

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

interface Batch {
  readonly entity: { readonly object: string; readonly objectId: string };
  readonly ids: readonly string[];
}

/** All events in batches of one entity each, in an order of their own; some of them twice. */
function streamOf(events: readonly ListedEvent[], random: () => number): Batch[] {
  const groups = new Map<string, Batch[]>();
  const twice = events.filter(() => random() < 0.2);
  for (const event of shuffled([...events, ...twice], random)) {
    const entity = entityOf(event);
    if (entity === null) continue;
    const key = `${entity.object}/${entity.objectId}`;
    const batches = groups.get(key) ?? [];
    const last = batches.at(-1);
    if (last === undefined || random() < 0.3) batches.push({ entity, ids: [event.id] });
    else batches[batches.length - 1] = { entity, ids: [...last.ids, event.id] };
    groups.set(key, batches);
  }
  return shuffled([...groups.values()].flat(), random);
}

async function assertOneEffectEach(effects: Effects, account: string, ids: readonly string[]): Promise<void> {
  const settled = await effects.settled(account);
  expect([...settled].filter(([, times]) => times !== 1)).toEqual([]);
  expect([...settled.keys()].sort()).toEqual([...ids].sort());
}

it('two thousand changes, delivered by eight streams at once, shuffled and doubled, have one effect each', async () => {
  const room = await createActivityRoom(database, { seed: 77 });
  const random = randomFrom(77);
  makeManyChanges(room.simulator, random, EVENTS);
  const events = await listedEvents(room.simulator);
  const objects = new Set(events.map((event) => JSON.stringify(entityOf(event))));
  expect(events.length).toBeGreaterThanOrEqual(EVENTS);
  expect(objects.size).toBeGreaterThan(100);
  const seconds = new Map<string, number>();
  for (const event of events) {
    const second = `${JSON.stringify(entityOf(event))} ${event.created}`;
    seconds.set(second, (seconds.get(second) ?? 0) + 1);
  }
  const ties = [...seconds.values()].filter((count) => count > 1).length;
  expect(ties).toBeGreaterThan(20);

  const effects = await watchEffects(database, CHANGED.map(tableOf));
  await room.receive(events);
  const open = (await room.ledger()).filter(({ outcome }) => outcome === null).map(({ id }) => id);
  const isOpen = new Set(open);
  const delivered = events.filter(({ id }) => isOpen.has(id));

  const began = performance.now();
  let deliveries = 0;
  const tallies = await Promise.all(
    Array.from({ length: STREAMS }, async (_, stream) => {
      let tally = NO_OUTCOMES;
      for (const { entity, ids } of streamOf(delivered, randomFrom(1_000 + stream))) {
        deliveries += 1;
        tally = addOutcomes(tally, await deliver(room, entity, ids));
      }
      return tally;
    }),
  );
  const total = tallies.reduce(addOutcomes, NO_OUTCOMES);
  const reads = room.simulator.stats().requests.retrieve;
  console.log(
    `${open.length} changes of ${objects.size} objects, ${ties} ties, ${deliveries} deliveries, ${reads} reads in ` +
      `${((performance.now() - began) / 1_000).toFixed(1)} s: ${JSON.stringify(total)}`,
  );

  await assertOneEffectEach(effects, room.account, open);
  expect(total.applied + total.stale + total.fetched).toBe(open.length);
  expect(total.parked).toBe(0);
  expect(await effects.stepsBack(room.account)).toEqual([]);
  const announced = new Set(room.simulator.events().map(({ object, objectId }) => `${object}/${objectId}`));
  const truth = room.simulator.truth();
  const { differences, equal } = await compareTruth(database.pool, room.account, truth, announced);
  // What changes without an event is for a listing to find.
  const silent = new Set(silentObjects());
  expect(
    differences.filter(({ object, id }) => announced.has(`${object}/${id}`) && !silent.has(object)),
  ).toEqual([]);
  expect(equal).toBeGreaterThan(100);
  const { rows } = await database.pool.query<{ deadlocks: number }>(
    'select deadlocks::int as deadlocks from pg_stat_database where datname = current_database()',
  );
  expect(rows).toEqual([{ deadlocks: 0 }]);
}, 180_000);
