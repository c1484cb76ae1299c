import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { type InboxNews, listenForInboxNews } from '../../src/postgres/inbox-news.js';
import { type EventSource, insertEvents } from '../../src/postgres/insert-events.js';
import { retryEvents } from '../../src/postgres/retry-events.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

function listening(url = database.url): { news: InboxNews; logged: string[] } {
  const logged: string[] = [];
  const log = { info: (_: unknown, message: string) => void logged.push(message) };
  const news = listenForInboxNews({ connectionString: url, pool: database.pool, log });
  onTestFinished(() => news.close());
  return { news, logged };
}

let count = 0;
async function insert(account: string, source: EventSource, type = 'customer.updated'): Promise<string> {
  count += 1;
  const id = `evt_${count}`;
  const object = { object: 'customer', id: 'cus_1' };
  const event = { id, object: 'event', type, created: 1_700_000_000, data: { object } };
  await insertEvents(database.pool, {
    account,
    page: JSON.stringify({ data: [event] }),
    source,
    seenAt: 1_700_000_001,
    objects: ['customer'],
    keyFields: {},
  });
  return id;
}

/** Whether news came within the time, in milliseconds. */
async function hears(watch: ReturnType<InboxNews['watch']>, within: number): Promise<boolean> {
  const end = performance.now() + within;
  while (performance.now() < end) {
    if (watch.heard()) return true;
    await sleep(5);
  }
  return watch.heard();
}

/** A listener says first what may have come before it: that is over once nothing more comes. */
async function watching(news: InboxNews, account: string) {
  const watch = news.watch(account);
  onTestFinished(() => watch.end());
  await hears(watch, 3_000);
  return watch;
}

it('what a webhook or a rescan brings is heard at once, by whoever watches that account', async () => {
  const { news } = listening();
  const watch = await watching(news, 'a');
  const other = await watching(news, 'b');
  for (const source of ['webhook', 'rescan'] as const) {
    const { signal } = watch;
    const aborted = signal();
    await insert('a', source);
    expect(await hears(watch, 500)).toBe(true);
    expect(aborted.aborted).toBe(true);
    expect(signal().aborted).toBe(false);
    expect(watch.heard()).toBe(false);
  }
  expect(await hears(other, 200)).toBe(false);
});

it('what a poll brings, what can never be applied, and what is there already is no news', async () => {
  const { news } = listening();
  const watch = await watching(news, 'c');
  await insert('c', 'poll');
  await insertEvents(database.pool, {
    account: 'c',
    page: JSON.stringify({
      data: [
        {
          id: 'evt_ignored',
          type: 'x',
          created: 1_700_000_000,
          data: { object: { object: 'nothing', id: 'n' } },
        },
        { id: `evt_${count}`, type: 'customer.updated', created: 1_700_000_000, data: {} },
      ],
    }),
    source: 'webhook',
    seenAt: 1_700_000_001,
    objects: ['customer'],
    keyFields: {},
  });
  expect(await hears(watch, 300)).toBe(false);
});

it('what is retried is heard', async () => {
  const { news } = listening();
  const id = await insert('d', 'poll');
  await database.pool.query(`update stripe_sync.events set outcome = 'parked' where account = 'd'`);
  const watch = await watching(news, 'd');
  expect(await retryEvents(database.pool, 'd', [id])).toEqual({ taken: [id], refused: [] });
  expect(await hears(watch, 500)).toBe(true);
});

it('a listener whose connection is cut looks into the inbox meanwhile', async () => {
  const { news, logged } = listening();
  const watch = await watching(news, 'e');
  await database.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'stripe-sync listener' and datname = current_database()`,
  );
  await expect.poll(() => logged).toContainEqual(expect.stringContaining('looked into once a second'));
  await insert('e', 'webhook');
  expect(await hears(watch, 3_000)).toBe(true);
});

it('where notifications get lost on their way, the inbox is looked into once a second', async () => {
  // Who listens on another database hears nothing, as behind a pooler that swaps connections.
  const elsewhere = await createTestDatabase();
  onTestFinished(() => elsewhere.drop());
  const { news, logged } = listening(elsewhere.url);
  const watch = news.watch('f');
  onTestFinished(() => watch.end());
  await expect
    .poll(() => logged, { timeout: 6_000 })
    .toContainEqual(expect.stringContaining('looked into once a second'));
  await insert('f', 'poll');
  expect(await hears(watch, 3_000)).toBe(true);
});

it('transactions are counted by the hour in which they were made, each once', async () => {
  await insert('g', 'webhook', 'charge.succeeded');
  count -= 1;
  await insert('g', 'poll', 'charge.succeeded');
  await insert('g', 'poll', 'charge.succeeded');
  await insert('g', 'poll', 'charge.updated');
  const { rows } = await database.pool.query(
    `select extract(epoch from hour)::integer as hour, transactions from stripe_sync.reads where account = 'g'`,
  );
  expect(rows).toEqual([{ hour: 1_700_000_000 - (1_700_000_000 % 3_600), transactions: '2' }]);
});
