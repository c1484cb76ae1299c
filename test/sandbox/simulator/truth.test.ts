import fc from 'fast-check';
import { expect, test } from 'vitest';
import { catalog, eventTypes } from '../../../src/sandbox/simulator/catalog.js';
import type { JsonObject, JsonValue, Simulator } from '../../../src/sandbox/simulator/index.js';
import { isJsonObject } from '../../../src/sandbox/simulator/json.js';
import { previousAttributes } from '../../../src/sandbox/simulator/previous-attributes.js';
import { ask, simulatorFor, walk } from './asking.js';

const story = (simulator: Simulator) =>
  simulator.events().map(({ type, object, objectId }) => ({ type, object, objectId }));

test('the same seed makes the same changes, and another seed makes others', async () => {
  const [one, two, three] = [
    await simulatorFor({ seed: 7 }),
    await simulatorFor({ seed: 7 }),
    await simulatorFor({ seed: 8 }),
  ];
  one.makeChanges(600);
  for (let step = 0; step < 60; step += 1) {
    two.makeChanges(10);
    if (step === 30) two.advanceClock(77);
    if (step % 20 === 0) await ask(two, '/v1/customers');
  }
  three.makeChanges(600);
  const sorted = (simulator: Simulator) =>
    story(simulator)
      .map((line) => JSON.stringify(line))
      .toSorted();
  // The second may make a little more, because a burst is not broken off.
  expect(two.stats().changes).toBeGreaterThanOrEqual(600);
  const shared = Math.min(one.stats().changes, two.stats().changes);
  expect(shared).toBeGreaterThanOrEqual(600);
  const [a, b] = [new Set(sorted(one)), new Set(sorted(two))];
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  expect([...small].filter((line) => !large.has(line))).toEqual([]);
  expect(sorted(three)).not.toEqual(sorted(one));
});

test('the truth is what GET returns, for every object, after a lot of traffic', {
  timeout: 30_000,
}, async () => {
  const simulator = await simulatorFor({ seed: 11 });
  simulator.makeChanges(1500);
  let compared = 0;
  let deleted = 0;
  for (const [object, objects] of simulator.truth()) {
    const entry = catalog.get(object);
    if (entry?.retrievePath == null) continue;
    for (const [id, state] of objects) {
      const parent = String(state.data.customer ?? state.data.account ?? '');
      const params = entry.retrievePath.match(/\{[^}]+\}/g) ?? [];
      const path =
        params.length === 2 ? entry.retrievePath.replace(params[0] ?? '', parent) : entry.retrievePath;
      const { status, body } = await ask(
        simulator,
        path.replace(params.at(-1) ?? '-', encodeURIComponent(id)),
      );
      compared += 1;
      if (!state.deleted) {
        expect([object, status, body]).toEqual([object, 200, state.data]);
      } else {
        deleted += 1;
        if (entry.retrieveMayReturnDeleted) expect(body).toEqual({ id, object, deleted: true });
        else expect([object, status]).toEqual([object, 404]);
      }
    }
  }
  expect(compared).toBeGreaterThan(500);
  expect(deleted).toBeGreaterThan(20);
});

test('the newest event of each object tells its present state, and types are known and fit', async () => {
  const simulator = await simulatorFor({ seed: 12 });
  simulator.makeChanges(1500);
  const newest = new Map<string, { data: JsonObject; type: string }>();
  const bySecond = new Map<string, number>();
  for (const { id, type, object, objectId, created } of simulator
    .events()
    .toSorted((a, b) => a.sequence - b.sequence)) {
    expect(eventTypes.get(type)?.objects).toContain(object);
    if (objectId === undefined) continue;
    const second = `${object} ${objectId} ${created}`;
    bySecond.set(second, (bySecond.get(second) ?? 0) + 1);
    if (object === 'customer' && type.endsWith('.updated')) {
      const { body } = await ask(simulator, `/v1/events/${id}`);
      newest.set(objectId, { type, data: (body.data as { object: JsonObject }).object });
    }
  }
  expect(Math.max(...bySecond.values())).toBeGreaterThan(3);
  const customers = simulator.truth().get('customer');
  const known = [...(customers ?? [])].filter(([id, { deleted }]) => !deleted && newest.has(id));
  expect(known.length).toBeGreaterThan(30);
  for (const [id, { data }] of known) expect(newest.get(id)?.data).toEqual(data);
});

test('lists, walked with the passes that their notes ask for, hold exactly what is alive', async () => {
  const simulator = await simulatorFor({ seed: 13 });
  simulator.makeChanges(1500);
  const truth = simulator.truth();
  const living = (object: string) =>
    [...(truth.get(object) ?? [])].flatMap(([id, { deleted }]) => (deleted ? [] : [id])).toSorted();
  for (const [object, query] of [
    ['customer', ''],
    ['product', ''],
    ['coupon', ''],
    ['charge', ''],
    ['invoice', ''],
    ['plan', ''],
    ['subscription', '?status=all'],
    ['payment_method', ''],
    ['balance_transaction', ''],
    ['shipping_rate', ''],
  ] as const) {
    const listed = await walk(simulator, `${catalog.get(object)?.listPath}${query}`);
    expect(listed.map(({ id }) => String(id)).toSorted()).toEqual(living(object));
  }
  const prices = [
    ...(await walk(simulator, '/v1/prices?active=true')),
    ...(await walk(simulator, '/v1/prices?active=false')),
  ];
  const ids = new Set(prices.map(({ id }) => String(id)));
  const inline = living('price').filter((id) => !ids.has(id));
  expect(inline.length).toBeGreaterThan(0);
  expect(inline.every((id) => truth.get('price')?.get(id)?.data.active === false)).toBe(true);
});

test('live traffic makes about as many changes as it was told to, until it is stopped', async () => {
  const simulator = await simulatorFor({ visibility: { p50: 0.1, p99: 0.3, max: 0.5 } });
  simulator.startTraffic({ changesPerSecond: 200 });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  simulator.stopTraffic();
  const made = simulator.stats().changes;
  expect(made).toBeGreaterThan(150);
  expect(made).toBeLessThan(450);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(simulator.stats().changes).toBe(made);
  expect(() => simulator.startTraffic({ changesPerSecond: 0 })).toThrow(/above 0/);
});

const json: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<JsonValue>(null, true, false, 0, 1, 'a', 'b'),
    fc.array(tie('value'), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value')) as fc.Arbitrary<JsonValue>,
  ),
})).value;
const record = fc
  .dictionary(fc.constantFrom('a', 'b', 'c', 'd'), json)
  .map((object) => JSON.parse(JSON.stringify(object)) as JsonObject);

/** Where an update began: the previous values laid over the present ones. */
function undone(after: JsonObject, previous: JsonObject): JsonObject {
  const before: JsonObject = { ...after };
  for (const [key, value] of Object.entries(previous)) {
    const current = after[key];
    before[key] = isJsonObject(value) && isJsonObject(current) ? undone(current, value) : value;
  }
  return before;
}

/** JSON in which a missing key and null are the same, as in previous_attributes. */
const compact = (value: JsonValue): JsonValue =>
  Array.isArray(value) || !isJsonObject(value)
    ? value
    : Object.fromEntries(
        Object.entries(value).flatMap(([key, inner]) => (inner === null ? [] : [[key, compact(inner)]])),
      );

test('previous attributes lead back from the new state to the old one, and name nothing that stayed', () => {
  fc.assert(
    fc.property(record, record, (before, after) => {
      const previous = previousAttributes(before, after);
      // An object that was emptied or removed inside of another cannot be told from its shell alone.
      const keys = Object.keys(previous);
      expect(keys.every((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))).toBe(true);
      for (const key of Object.keys(after)) {
        if (!keys.includes(key)) expect(before[key]).toEqual(after[key]);
      }
      expect(compact(undone(after, previous))).toEqual(compact(before));
    }),
  );
});
