import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { insertEvents } from '../../src/postgres/insert-events.js';
import { readFailures } from '../../src/postgres/read-failures.js';
import { compositeKeys, storedObjects } from '../../src/stripe/stored-objects.js';
import { eventOf } from '../support/activity-room.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

let sync: Sync | null = null;
afterEach(async () => {
  await sync?.close();
  sync = null;
});

const ID = 'cus_x';

/** An account with two changes of one second, which only a read can tell apart, of an object that Stripe fails on. */
async function createUnanswered() {
  const it = await createSync({ visibility: { kind: 'none' } });
  sync = it;
  const { simulator, database, account } = it;
  const then = Math.floor(simulator.now()) - 100;
  simulator.create('customer', { id: ID, description: 'as it is' }, { created: then - 100, event: false });
  simulator.addFault({ kind: 'server_error', path: `/v1/customers/${ID}`, probability: 1 });
  const change = (id: string, created: number, description: string) => {
    const state = { object: 'customer', id: ID, description };
    return eventOf(id, 'customer.updated', created, state, simulator.apiVersion);
  };
  const receive = (events: readonly unknown[]) =>
    insertEvents(database.pool, {
      account,
      page: JSON.stringify({ data: events }),
      source: 'poll',
      seenAt: then,
      objects: storedObjects(),
      keyFields: compositeKeys(),
    });
  await it.work();
  await it.start({
    backfill: { enabled: false },
    parking: { attempts: 2, firstSeconds: 0.2, mostSeconds: 1, readSeconds: 4 },
  });
  await eventually(async () => ((await it.status()).caughtUp ? null : 'not caught up'));
  await receive([change('evt_a', then, 'a'), change('evt_b', then, 'b')]);
  await eventually(async () => {
    const { retrying } = await readFailures(database.pool, account, null);
    return retrying.count === 2 ? null : 'nobody sees that the changes are tried again';
  });
  const outcomes = async (): Promise<Record<string, string | null>> => {
    const { rows } = await database.pool.query<{ id: string; outcome: string | null }>(
      'select id, outcome from stripe_sync.events where account = $1',
      [account],
    );
    return Object.fromEntries(rows.map(({ id, outcome }) => [id, outcome]));
  };
  return { ...it, then, change, receive, outcomes };
}

it('an object that Stripe always fails on does not hold up its newer changes', async () => {
  const it = await createUnanswered();
  await it.receive([it.change('evt_c', it.then + 50, 'c')]);
  await eventually(async () => {
    const outcomes = await it.outcomes();
    return Object.values(outcomes).includes(null) ? JSON.stringify(outcomes) : null;
  });
  expect(await it.outcomes()).toEqual({ evt_a: 'stale', evt_b: 'stale', evt_c: 'applied' });
}, 120_000);

it('an outage of Stripe parks nothing, is seen, and what waited goes in when it is over', async () => {
  const it = await createUnanswered();
  // Several times the time of one read.
  await sleep(15_000);
  expect(await it.outcomes()).toEqual({ evt_a: null, evt_b: null });
  const { retrying } = await readFailures(it.database.pool, it.account, null);
  expect(retrying.changes).toMatchObject([{ attempts: 1 }, { attempts: 1 }]);
  it.simulator.setFaults({});
  await eventually(async () => ((await it.outcomes()).evt_a === null ? 'they wait' : null));
  expect(await it.outcomes()).toEqual({ evt_a: 'fetched', evt_b: 'fetched' });
}, 120_000);

it('an object that waits for Stripe keeps a bounded history, however often its changes are delivered again', async () => {
  const it = await createUnanswered();
  const handle = it.client.workflow.getHandle(`${it.account}/customer/${ID}`);
  const events = ['evt_a', 'evt_b'].map((id) => ({
    id,
    type: 'customer.updated',
    created: it.then,
    object: 'customer',
    objectId: ID,
  }));
  const { runId } = await handle.describe();
  // Temporal asks for another run by the size of the history as well: large signals take fewer of them.
  const large = Array.from({ length: 300 }, () => events).flat();
  let sent = 0;
  await eventually(async () => {
    await handle.signal('deliver', { events: large, readAfter: null });
    sent += 1;
    const now = await handle.describe();
    return now.runId === runId ? `${now.historyLength} events after ${sent} signals` : null;
  }, 90);
  expect(await it.outcomes()).toEqual({ evt_a: null, evt_b: null });
  it.simulator.setFaults({});
  await eventually(async () => ((await it.outcomes()).evt_a === null ? 'they wait' : null));
  expect(await it.outcomes()).toEqual({ evt_a: 'fetched', evt_b: 'fetched' });
}, 150_000);
