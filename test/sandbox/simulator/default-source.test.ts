import { expect, test } from 'vitest';
import type { JsonObject, Simulator } from '../../../src/sandbox/simulator/index.js';
import { askPage, objectIn, simulatorFor, stripeFor } from './asking.js';

const SOURCES = ['card', 'bank_account', 'source'];

const defaultOf = async (simulator: Simulator, customer: string): Promise<unknown> =>
  ((await stripeFor(simulator).customers.retrieve(customer)) as { default_source?: unknown }).default_source;

/** Hangs one on the customer that was made so many seconds ago, and returns its id. */
const attach = (simulator: Simulator, object: string, customer: string, secondsAgo = 0): string =>
  String(simulator.create(object, { customer }, { created: Math.floor(simulator.now()) - secondsAgo }).id);

/** The types of the events about the customer, in the order of the alphabet. */
const told = (simulator: Simulator, customer: string): string[] =>
  simulator
    .events()
    .filter(({ objectId }) => objectId === customer)
    .map(({ type }) => type)
    .toSorted();

/** Of each `customer.updated`, newest first: the default before and after. */
async function moves(simulator: Simulator): Promise<{ from: unknown; to: unknown }[]> {
  const { data } = await askPage(simulator, '/v1/events?type=customer.updated&limit=100');
  return data.map((event) => {
    const { previous_attributes: previous } = event.data as JsonObject;
    expect(Object.keys(previous as JsonObject)).toEqual(['default_source']);
    return { from: (previous as JsonObject).default_source, to: objectIn(event).default_source };
  });
}

test.each(SOURCES)('the first %s of a customer is the default, and an event tells of it', async (object) => {
  const simulator = await simulatorFor();
  const customer = String(simulator.create('customer').id);
  const id = attach(simulator, object, customer);
  expect(await defaultOf(simulator, customer)).toBe(id);
  expect(simulator.truth().get('customer')?.get(customer)?.data.default_source).toBe(id);
  expect(await moves(simulator)).toEqual([{ from: null, to: id }]);
  const types = simulator.events().map(({ type }) => type);
  expect(types.toSorted()).toEqual(['customer.created', 'customer.source.created', 'customer.updated']);
});

test('a default stays when others follow, and when one goes that is not the default', async () => {
  const simulator = await simulatorFor();
  const customer = String(simulator.create('customer').id);
  const first = attach(simulator, 'card', customer, 30);
  const second = attach(simulator, 'bank_account', customer, 20);
  attach(simulator, 'card', customer, 10);
  simulator.update('card', first, { exp_year: 2040 });
  simulator.remove('bank_account', second);
  expect(await defaultOf(simulator, customer)).toBe(first);
  expect(await moves(simulator)).toEqual([{ from: null, to: first }]);
});

test('the most recently added one follows a default that is deleted, and none the last one', async () => {
  const simulator = await simulatorFor();
  const customer = String(simulator.create('customer').id);
  const other = String(simulator.create('customer').id);
  const first = attach(simulator, 'card', customer, 50);
  const second = attach(simulator, 'card', customer, 40);
  const newest = attach(simulator, 'bank_account', customer, 30);
  const third = attach(simulator, 'card', customer, 35);
  const others = attach(simulator, 'card', other, 10);
  simulator.remove('card', first);
  expect(await defaultOf(simulator, customer)).toBe(newest);
  simulator.remove('bank_account', newest);
  expect(await defaultOf(simulator, customer)).toBe(third);
  simulator.remove('card', second);
  simulator.remove('card', third);
  expect(await defaultOf(simulator, customer)).toBeNull();
  expect(await defaultOf(simulator, other)).toBe(others);
  const again = attach(simulator, 'card', customer);
  expect(await defaultOf(simulator, customer)).toBe(again);
  expect(told(simulator, customer)).toEqual(['customer.created', ...Array(5).fill('customer.updated')]);
});

test('each change of the default says what it was before', async () => {
  const simulator = await simulatorFor();
  const at = Math.floor(simulator.now()) - 100;
  const customer = String(simulator.create('customer', {}, { created: at }).id);
  const first = String(simulator.create('card', { customer }, { created: at + 1 }).id);
  const second = String(simulator.create('card', { customer }, { created: at + 2 }).id);
  simulator.remove('card', first, { created: at + 3 });
  simulator.remove('card', second, { created: at + 4 });
  expect(await moves(simulator)).toEqual([
    { from: second, to: null },
    { from: first, to: second },
    { from: null, to: first },
  ]);
  const { data } = await askPage(simulator, '/v1/events?type=customer.updated');
  expect(data.map(({ created }) => created)).toEqual([at + 4, at + 3, at + 1]);
});

test('what is attached later, by a change of the source itself, counts too', async () => {
  const simulator = await simulatorFor();
  const [one, two] = [String(simulator.create('customer').id), String(simulator.create('customer').id)];
  const source = attach(simulator, 'source', one);
  simulator.update('source', source, { customer: two });
  expect([await defaultOf(simulator, one), await defaultOf(simulator, two)]).toEqual([null, source]);
  simulator.update('source', source, { customer: null });
  expect([await defaultOf(simulator, one), await defaultOf(simulator, two)]).toEqual([null, null]);
});

test('a silent change moves the default in silence, and an event of another type does not stand for it', async () => {
  const simulator = await simulatorFor();
  const customer = String(simulator.create('customer', {}, { event: false }).id);
  const [seeded = ''] = simulator.createMany('card', 1, { fields: { customer } });
  expect(await defaultOf(simulator, customer)).toBe(seeded);
  const silent = String(simulator.create('card', { customer }, { event: false }).id);
  simulator.remove('card', seeded, { event: false });
  expect(await defaultOf(simulator, customer)).toBe(silent);
  expect(simulator.events()).toEqual([]);
  simulator.remove('card', silent, { event: 'customer.source.deleted' });
  expect(told(simulator, customer)).toEqual(['customer.updated']);
});

test('a connected account’s own card or bank account is no customer’s default', async () => {
  const simulator = await simulatorFor();
  const customer = String(simulator.create('customer').id);
  const account = String(simulator.create('account').id);
  for (const object of ['card', 'bank_account']) {
    const id = String(simulator.create(object, { account }).id);
    simulator.remove(object, id);
  }
  expect(await defaultOf(simulator, customer)).toBeNull();
  expect(await moves(simulator)).toEqual([]);
});

test('a customer who is deleted with all sources gets no other default on the way', async () => {
  const simulator = await simulatorFor();
  const customer = String(simulator.create('customer').id);
  const first = attach(simulator, 'card', customer, 20);
  attach(simulator, 'bank_account', customer, 10);
  const before = simulator.events().length;
  simulator.remove('customer', customer);
  expect(simulator.events()).toHaveLength(before + 3);
  expect(await moves(simulator)).toEqual([{ from: null, to: first }]);
});

test('under traffic, every customer with a way to pay of this kind has a default that is there', async () => {
  const simulator = await simulatorFor({ seed: 7 });
  simulator.makeChanges(3_000);
  const truth = simulator.truth();
  const held = new Map<string, string[]>();
  for (const object of SOURCES) {
    for (const [id, { data, deleted }] of truth.get(object) ?? []) {
      if (deleted || typeof data.customer !== 'string') continue;
      held.set(data.customer, [...(held.get(data.customer) ?? []), id]);
    }
  }
  expect(held.size).toBeGreaterThan(3);
  for (const [id, { data, deleted }] of truth.get('customer') ?? []) {
    if (deleted) continue;
    const sources = held.get(id);
    if (sources === undefined) expect(data.default_source).toBeNull();
    else expect(sources).toContain(data.default_source);
  }
});
