import { afterAll, beforeAll, expect, it } from 'vitest';
import { retryEvents } from '../../src/postgres/retry-events.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

async function park(account: string, count: number): Promise<string[]> {
  const { rows } = await database.pool.query<{ id: string }>(
    `insert into stripe_sync.events
       (account, id, type, created, object, object_id, event, source, seen_at, claimed_by, applied_at, attempts, error,
        outcome)
     select $1, 'evt_' || n, 'customer.updated', now(), 'customer', 'cus_1', '{}', 'poll', now(), 'a fetch', now(), 5,
       'refused', 'parked'
     from generate_series(1, $2) as n
     returning id`,
    [account, count],
  );
  return rows.map(({ id }) => id);
}

it('of several retries at the same time each parked event goes to one, and none waits for the other for ever', async () => {
  const ids = await park('many', 300);
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => retryEvents(database.pool, 'many', null)),
  );
  expect(answers.flatMap(({ taken }) => taken).sort()).toEqual([...ids].sort());
  expect(answers.flatMap(({ refused }) => refused)).toEqual([]);
});

it('of two retries that name the same event at the same time one takes all of its own, the other none', async () => {
  await park('two', 3);
  const answers = await Promise.all([
    retryEvents(database.pool, 'two', ['evt_1', 'evt_2']),
    retryEvents(database.pool, 'two', ['evt_3', 'evt_2']),
  ]);
  const [winner, loser] = answers[0].taken.length > 0 ? answers : answers.toReversed();
  expect(winner?.taken).toHaveLength(2);
  expect(winner?.refused).toEqual([]);
  expect(loser).toEqual({ taken: [], refused: [{ id: 'evt_2', known: true, outcome: null }] });
});

it('a retried event is one that a fetch can claim, with an error and attempts of its own to come', async () => {
  await park('one', 1);
  await retryEvents(database.pool, 'one', ['evt_1']);
  const { rows } = await database.pool.query(
    `select outcome, applied_at, claimed_by, claimed_at, error, attempts
     from stripe_sync.events where account = 'one'`,
  );
  const none = { outcome: null, applied_at: null, claimed_by: null, claimed_at: null, error: null };
  expect(rows).toEqual([{ ...none, attempts: 0 }]);
});
