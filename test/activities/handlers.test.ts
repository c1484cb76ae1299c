import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Handlers } from '../../src/handlers/define-handlers.js';
import { insertUnholdable } from '../../src/postgres/insert-unholdable.js';
import { retryEvents } from '../../src/postgres/retry-events.js';
import { compositeKeys, storedObjects } from '../../src/stripe/stored-objects.js';
import { type ActivityRoom, createActivityRoom, eventOf } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
  await database.pool.query(
    `create table noted (n bigint generated always as identity, account text, event text, description text, superseded boolean)`,
  );
});
afterAll(() => database.drop());

const ID = 'cus_1';
const customer = (description: string) => ({ object: 'customer', id: ID, description });

/** Notes every event, and throws for those whose id is among `bad`. */
function notingHandlers(bad: Set<string>): Handlers {
  return {
    '*': async ({ account, event, row, superseded, tx }) => {
      const { description } = row.data as unknown as { description: string };
      await tx.query('insert into noted (account, event, description, superseded) values ($1, $2, $3, $4)', [
        account,
        event.id,
        description,
        superseded,
      ]);
      if (bad.has(event.id)) throw new Error(`no booking for ${description}`);
    },
  };
}

async function noted(room: ActivityRoom) {
  const { rows } = await database.pool.query(
    'select event, description, superseded from noted where account = $1 order by n',
    [room.account],
  );
  return rows;
}

function apply(room: ActivityRoom, ids: readonly string[], attempt = 1) {
  const entity = { account: room.account, object: 'customer', objectId: ID };
  return room.run(
    'applyChanges',
    { ...entity, ids, hydrate: 'auto', apiVersion: null, patience: 3 },
    { attempt },
  );
}

const events = [
  eventOf('evt_1', 'customer.created', 100, customer('one')),
  eventOf('evt_2', 'customer.updated', 110, customer('two')),
  eventOf('evt_3', 'customer.updated', 120, customer('three')),
];

describe('handlers', () => {
  it('run once for each event, in order, and see the row as the transaction leaves it', async () => {
    const room = await createActivityRoom(database, { handlers: notingHandlers(new Set()) });
    await room.receive(events);
    await apply(room, ['evt_1']);
    await apply(room, ['evt_3', 'evt_2']);
    await apply(room, ['evt_1', 'evt_2', 'evt_3']);
    expect(await noted(room)).toEqual([
      { event: 'evt_1', description: 'one', superseded: false },
      { event: 'evt_2', description: 'three', superseded: true },
      { event: 'evt_3', description: 'three', superseded: false },
    ]);
  });

  it('run for what comes late, too, and are told that it was overtaken', async () => {
    const room = await createActivityRoom(database, { handlers: notingHandlers(new Set()) });
    await room.receive(events);
    await apply(room, ['evt_3']);
    await apply(room, ['evt_2']);
    expect(await room.outcomes()).toMatchObject({ evt_3: 'applied', evt_2: 'stale' });
    expect((await noted(room)).map(({ event, superseded }) => [event, superseded])).toEqual([
      ['evt_3', false],
      ['evt_2', true],
    ]);
  });

  it('that throw take their own effect back; what was before goes in once, what comes after waits', async () => {
    const bad = new Set(['evt_2']);
    const room = await createActivityRoom(database, { handlers: notingHandlers(bad) });
    await room.receive(events);
    const ids = ['evt_1', 'evt_2', 'evt_3'];
    for (const attempt of [1, 2, 3]) {
      await expect(apply(room, ids, attempt)).rejects.toMatchObject({
        type: 'Handler/failed',
        details: ['evt_2'],
        nonRetryable: attempt === 3,
        // The words of the handler may quote data: they are not for Temporal.
        message: expect.not.stringContaining('no booking'),
      });
    }
    expect(await room.outcomes()).toEqual({ evt_1: 'applied', evt_2: null, evt_3: null });
    expect((await noted(room)).map(({ event }) => event)).toEqual(['evt_1']);
    const failing = await database.pool.query(
      'select attempts, error from stripe_sync.events where account = $1 and id = $2',
      [room.account, 'evt_2'],
    );
    expect(failing.rows).toMatchObject([{ attempts: 3, error: expect.stringContaining('no booking') }]);
    const entity = { account: room.account, object: 'customer', objectId: ID };
    await room.claim();
    await room.run('parkChanges', { ...entity, ids: ['evt_2'], reason: 'in other words' });
    await apply(room, ['evt_3']);
    expect(await room.outcomes()).toEqual({ evt_1: 'applied', evt_2: 'parked', evt_3: 'applied' });
    expect((await room.rows('customer'))[0]?.data.description).toBe('three');
    expect((await noted(room)).map(({ event }) => event)).toEqual(['evt_1', 'evt_3']);
  });

  it('run for a change that was settled by a read', async () => {
    const room = await createActivityRoom(database, { handlers: notingHandlers(new Set()) });
    const second = room.now() - 20;
    room.simulator.create('customer', { id: ID, description: 'as it is' }, { created: second - 100 });
    await room.receive([
      eventOf('evt_a', 'customer.updated', second, customer('a')),
      eventOf('evt_b', 'customer.updated', second, customer('b')),
    ]);
    const entity = { account: room.account, object: 'customer', objectId: ID };
    const { fetch } = await apply(room, ['evt_a', 'evt_b']);
    expect(await noted(room)).toEqual([]);
    await room.run('settleEntity', {
      ...entity,
      ids: fetch?.ids ?? [],
      after: fetch?.after ?? 0,
      apiVersion: null,
    });
    expect((await noted(room)).map(({ event, description }) => [event, description])).toEqual([
      ['evt_a', 'as it is'],
      ['evt_b', 'as it is'],
    ]);
  });

  it('are told that a change was overtaken, also where a later one of its batch fails', async () => {
    const room = await createActivityRoom(database, { handlers: notingHandlers(new Set(['evt_b'])) });
    const second = room.now() - 50;
    room.simulator.create('customer', { id: ID, description: 'as it is' }, { created: second - 100 });
    await room.receive([
      eventOf('evt_a', 'customer.updated', second, customer('a')),
      eventOf('evt_b', 'customer.updated', second + 10, customer('b')),
    ]);
    const entity = { account: room.account, object: 'customer', objectId: ID };
    const read = { ...entity, ids: ['evt_a', 'evt_b'], after: second + 10, apiVersion: null };
    await expect(room.run('settleEntity', read)).rejects.toMatchObject({ details: ['evt_b'] });
    expect(await room.outcomes()).toEqual({ evt_a: 'fetched', evt_b: null });
    expect(await noted(room)).toEqual([{ event: 'evt_a', description: 'as it is', superseded: true }]);
  });

  it('are left out where the object is gone and no state of it was ever known', async () => {
    const room = await createActivityRoom(database, { handlers: notingHandlers(new Set()) });
    await insertUnholdable(database.pool, {
      account: room.account,
      source: 'poll',
      seenAt: 200,
      lookedAt: null,
      objects: storedObjects(),
      keyFields: compositeKeys(),
      reason: 'it is too deep',
      event: eventOf('evt_1', 'customer.updated', 200, customer('one')),
    });
    await retryEvents(database.pool, room.account, null);
    const { fetch } = await apply(room, ['evt_1']);
    const entity = { account: room.account, object: 'customer', objectId: ID };
    await room.run('settleEntity', { ...entity, ids: ['evt_1'], after: fetch?.after ?? 0, apiVersion: null });
    expect(await room.outcomes()).toEqual({ evt_1: 'fetched' });
    expect(await noted(room)).toEqual([]);
  });
});

describe('a handler that fails', () => {
  it('is given up by its own failures, not by attempts that an outage took', async () => {
    const room = await createActivityRoom(database, { handlers: notingHandlers(new Set(['evt_1'])) });
    await room.receive(events.slice(0, 1));
    const finals = [];
    for (const attempt of [100, 101, 102]) {
      const failure = await apply(room, ['evt_1'], attempt).catch((error) => error);
      finals.push(failure.nonRetryable);
    }
    expect(finals).toEqual([false, false, true]);
  });

  it('is given up also where its statements fail like an outage, which nothing but the handler causes', async () => {
    const room = await createActivityRoom(database, {
      handlers: {
        '*': async ({ tx }) => {
          await tx.query(`do $$ begin raise exception 'x' using errcode = '55006'; end $$`);
        },
      },
    });
    await room.receive(events.slice(0, 1));
    const failures = [];
    for (const attempt of [1, 2, 3])
      failures.push(await apply(room, ['evt_1'], attempt).catch((error) => error));
    expect(failures).toMatchObject([
      { type: 'Handler/failed', nonRetryable: false },
      { type: 'Handler/failed', nonRetryable: false },
      { type: 'Handler/failed', nonRetryable: true },
    ]);
  });

  it.each(['40001', '40P01'])('with %s is repeated as an accident, up to a point', async (code) => {
    const room = await createActivityRoom(database, {
      handlers: {
        '*': async ({ tx }) => {
          await tx.query(`do $$ begin raise exception 'x' using errcode = '${code}'; end $$`);
        },
      },
    });
    await room.receive(events.slice(0, 1));
    const failureOf = (attempt: number) => apply(room, ['evt_1'], attempt).catch((error) => error);
    expect(await failureOf(19)).toMatchObject({ type: 'PostgreSQL/unavailable', nonRetryable: false });
    const after = [await failureOf(20), await failureOf(21), await failureOf(22)];
    expect(after.map(({ type, nonRetryable }) => [type, nonRetryable])).toEqual([
      ['Handler/failed', false],
      ['Handler/failed', false],
      ['Handler/failed', true],
    ]);
  });
});
