import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import type { ReadingRoom } from '../support/reading-room.js';
import { createWalkRoom, idsOf, walk } from './walk-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const SOURCES = ['card', 'bank_account', 'source'];

/** Lists all customers into their table, as a backfill does before it walks over them. */
const listCustomers = (of: ReadingRoom) =>
  of.run('listType', {
    account: of.account,
    object: 'customer',
    number: 1,
    apiVersion: null,
    since: null,
    seconds: 60,
    walkers: 2,
  });

it('a backfill gets what Stripe attached to customers, and asks no others', async () => {
  const of = await createWalkRoom(database);
  const customers = of.simulator.createMany('customer', 6);
  const [one, two, three, emptied] = customers;
  const attach = (object: string, customer: string | undefined): string =>
    String(of.simulator.create(object, { customer: customer ?? '' }).id);
  const cards = [attach('card', one), attach('card', two)];
  const banks = [attach('bank_account', two), attach('bank_account', three)];
  const sources = [attach('source', three)];
  of.simulator.remove('card', attach('card', emptied));
  // A default that went: its successor keeps the customer among those that are asked.
  of.simulator.remove('card', cards.shift() ?? '');
  banks.push(attach('bank_account', one));
  of.simulator.remove('card', cards.shift() ?? '');

  expect(await listCustomers(of)).toMatchObject({ done: true });
  for (const [object, ids] of [
    ['card', cards],
    ['bank_account', banks],
    ['source', sources],
  ] as const) {
    expect(await walk(of, object)).toMatchObject({
      done: true,
      rows: ids.length,
      skipped: null,
      parents: { done: 3, total: 3 },
    });
    expect(await idsOf(of, object)).toEqual(ids.toSorted());
  }
});

it('a backfill after traffic has every card and bank account of customers', async () => {
  const of = await createWalkRoom(database, { seed: 11 });
  of.simulator.makeChanges(1_500);
  expect(await listCustomers(of)).toMatchObject({ done: true });
  let all = 0;
  for (const object of SOURCES) {
    const living = [...(of.simulator.truth().get(object) ?? [])].filter(
      ([, { data, deleted }]) => !deleted && typeof data.customer === 'string',
    );
    all += living.length;
    await walk(of, object);
    expect(await idsOf(of, object)).toEqual(living.map(([id]) => id).toSorted());
  }
  expect(all).toBeGreaterThan(3);
});
