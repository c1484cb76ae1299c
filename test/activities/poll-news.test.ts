import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { INBOX_CHANNEL, type InboxNews, listenForInboxNews } from '../../src/postgres/inbox-news.js';
import { insertEvents } from '../../src/postgres/insert-events.js';
import { compositeKeys, storedObjects } from '../../src/stripe/stored-objects.js';
import { createActivityRoom } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { asked, following } from './asked-fetch.js';

let database: TestDatabase;
let inbox: InboxNews;
beforeAll(async () => {
  database = await createMigratedDatabase();
  const log = { info: () => undefined };
  inbox = listenForInboxNews({ connectionString: database.url, pool: database.pool, log });
});
afterAll(async () => {
  await inbox.close();
  await database.drop();
});

type Room = Awaited<ReturnType<typeof createActivityRoom>>;

/** A poll of an account that has seen everything, in the middle of a long wait. */
async function waitingPoll(room: Room, over: { pollSeconds?: number; slowestSeconds?: number } = {}) {
  room.simulator.create('customer', { name: 'the first' });
  await sleep(1_100);
  const input = asked(room, {
    anchor: room.now() - 60,
    room: 100,
    waitSeconds: 0,
    pollSeconds: 30,
    caughtUp: false,
    ...over,
  });
  const { report } = await room.run('fetchEvents', input);
  const poll = room.begin('fetchEvents', {
    ...input,
    ...following(report),
    caughtUp: true,
    waitSeconds: 40,
  });
  poll.result.catch(() => undefined);
  onTestFinished(() => poll.cancel());
  await sleep(300);
  return poll;
}

const requests = (room: Room) => room.simulator.stats().requests.events;

/** What a webhook tells of, as the receiver puts it into the inbox. */
async function deliver(room: Room): Promise<string> {
  room.simulator.create('customer', { name: 'the second' });
  const event = room.simulator.events().at(-1);
  if (event === undefined) throw new Error('a creation raises an event');
  await insertEvents(database.pool, {
    account: room.account,
    page: JSON.stringify({
      data: [
        {
          id: event.id,
          type: 'customer.created',
          created: event.created,
          data: { object: { object: 'customer', id: event.objectId } },
        },
      ],
    }),
    source: 'webhook',
    seenAt: event.created,
    objects: storedObjects(),
    keyFields: compositeKeys(),
  });
  return event.id;
}

it('what a webhook brings is handed on at once, without a request to Stripe', async () => {
  const room = await createActivityRoom(database, { inbox });
  const poll = await waitingPoll(room);
  const before = requests(room);
  const began = performance.now();
  const id = await deliver(room);
  const { references } = await poll.result;
  expect(performance.now() - began).toBeLessThan(1_000);
  expect(references.map((reference) => reference.id)).toEqual([id]);
  expect(requests(room)).toBe(before);
});

it('a hint makes the poll look now, and a flood of hints once a second at most', async () => {
  const room = await createActivityRoom(database, { inbox });
  await waitingPoll(room);
  const before = requests(room);
  const end = performance.now() + 2_500;
  while (performance.now() < end) {
    await database.pool.query('select pg_notify($1, $2)', [INBOX_CHANNEL, room.account]);
    await sleep(20);
  }
  expect(requests(room) - before).toBeGreaterThanOrEqual(2);
  expect(requests(room) - before).toBeLessThanOrEqual(4);
});

it('a hint finds the event that it tells of', async () => {
  const room = await createActivityRoom(database, { inbox });
  const poll = await waitingPoll(room);
  room.simulator.create('customer', { name: 'the second' });
  await database.pool.query('select pg_notify($1, $2)', [INBOX_CHANNEL, room.account]);
  const { references } = await poll.result;
  expect(references).toHaveLength(1);
  expect(references[0]?.id).toBe(room.simulator.events().at(-1)?.id);
});

it('an account that used up what Stripe allows is asked at the slowest rhythm', async () => {
  const room = await createActivityRoom(database, { inbox });
  await database.pool.query(
    `insert into stripe_sync.reads (account, hour, reads) values ($1, date_trunc('hour', now()), 20000)`,
    [room.account],
  );
  await waitingPoll(room, { pollSeconds: 1, slowestSeconds: 300 });
  const before = requests(room);
  await sleep(3_000);
  expect(requests(room)).toBe(before);
});

it('an account within what Stripe allows is asked each second while events flow', async () => {
  const room = await createActivityRoom(database, { inbox });
  await waitingPoll(room, { pollSeconds: 1, slowestSeconds: 300 });
  const before = requests(room);
  await sleep(3_200);
  expect(requests(room) - before).toBeGreaterThanOrEqual(2);
});
