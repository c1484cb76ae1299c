import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { insertEvents } from '../../src/postgres/insert-events.js';
import { compositeKeys, storedObjects } from '../../src/stripe/stored-objects.js';
import { eventOf } from '../support/activity-room.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

let sync: Sync | null = null;
afterEach(async () => {
  await sync?.close();
  sync = null;
});

it('changes whose handlers take longer together than any attempt may all go in, each handled once', async () => {
  sync = await createSync({ visibility: { kind: 'none' } });
  const { database, account, simulator } = sync;
  await database.pool.query('create table noted (n bigint generated always as identity, event text)');
  let calls = 0;
  await sync.start({ backfill: { enabled: false } });
  const then = Math.floor(simulator.now()) - 100;
  const ids = ['evt_1', 'evt_2', 'evt_3'];
  // They are there before the worker is, so that all come as one batch.
  const events = ids.map((id, n) =>
    eventOf(id, 'customer.updated', then + n, { object: 'customer', id: 'cus_x', n }, simulator.apiVersion),
  );
  await insertEvents(database.pool, {
    account,
    page: JSON.stringify({ data: events }),
    source: 'poll',
    seenAt: then,
    objects: storedObjects(),
    keyFields: compositeKeys(),
  });
  await sync.work({
    '*': async ({ event, tx }) => {
      calls += 1;
      await sleep(9_000);
      await tx.query('insert into noted (event) values ($1)', [event.id]);
    },
  });
  await eventually(async () => {
    const { rows } = await database.pool.query<{ outcome: string | null }>(
      'select outcome from stripe_sync.events where account = $1',
      [account],
    );
    return rows.every(({ outcome }) => outcome !== null) ? null : `${calls} calls: ${JSON.stringify(rows)}`;
  }, 60);
  const { rows } = await database.pool.query('select event from noted order by n');
  expect(rows).toEqual(ids.map((event) => ({ event })));
  // None was begun in an attempt that had no time left for it.
  expect(calls).toBe(3);
}, 120_000);
