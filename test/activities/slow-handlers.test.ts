import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Handlers } from '../../src/handlers/define-handlers.js';
import { createPool } from '../../src/postgres/pool.js';
import { type ActivityRoom, createActivityRoom, eventOf } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
  await database.pool.query(
    `create table noted (n bigint generated always as identity, account text, event text, superseded boolean, n_seen int)`,
  );
});
afterAll(() => database.drop());

const ID = 'cus_1';
const IDS = ['evt_1', 'evt_2', 'evt_3', 'evt_4'];
/** The last 12 s of an attempt are kept free for the handler that runs and for the commit. */
const ATTEMPT = { startToCloseTimeoutMs: 12_500 };

const slow: Handlers = {
  '*': async ({ account, event, row, superseded, tx }) => {
    const { n } = row.data as unknown as { n: number };
    const values = [account, event.id, superseded, n];
    await tx.query('insert into noted (account, event, superseded, n_seen) values ($1, $2, $3, $4)', values);
    await sleep(300);
  },
};

async function noted(room: ActivityRoom) {
  const { rows } = await database.pool.query(
    'select event, superseded, n_seen as seen from noted where account = $1 order by n',
    [room.account],
  );
  return rows;
}

const INPUT = { object: 'customer', objectId: ID, ids: IDS, apiVersion: null, patience: 5 };

async function roomWith(handlers: Handlers, second: (room: ActivityRoom, n: number) => number) {
  const room = await createActivityRoom(database, { handlers });
  await room.receive(
    IDS.map((id, n) => eventOf(id, 'customer.updated', second(room, n), { object: 'customer', id: ID, n })),
  );
  return room;
}

describe('handlers of one batch that take longer together than an attempt may', () => {
  it('go in a few at a time, each once and in their order', async () => {
    const room = await roomWith(slow, (_, n) => 100 + n);
    const { account } = room;
    const settled = [];
    for (let more = true; more; ) {
      const result = await room.run('applyChanges', { ...INPUT, account, hydrate: 'auto' }, ATTEMPT);
      settled.push(result.tally.applied + result.tally.stale);
      more = result.more === true;
    }
    expect(settled.length).toBeGreaterThan(1);
    expect(settled).not.toContain(0);
    expect(await noted(room)).toEqual(
      IDS.map((event) => ({ event, superseded: event !== 'evt_4', seen: 3 })),
    );
    expect(await room.outcomes()).toEqual({
      evt_1: 'stale',
      evt_2: 'stale',
      evt_3: 'stale',
      evt_4: 'applied',
    });
  });

  it('go in a few at a time also where nothing tells the order of their second', async () => {
    const room = await roomWith(slow, () => 100);
    const { account } = room;
    const hydrate = 'payload';
    for (let more = true; more; ) {
      const result = await room.run('applyChanges', { ...INPUT, account, hydrate }, ATTEMPT);
      expect(result.fetch).toBeNull();
      expect(await room.rows('customer')).toMatchObject([{ data: { n: 3 }, source: 'evt_4' }]);
      more = result.more === true;
    }
    expect((await noted(room)).map(({ event }) => event)).toEqual(IDS);
    expect(Object.values(await room.outcomes())).not.toContain(null);
  });

  it('go in a few at a time where a read settles them', async () => {
    const room = await roomWith(slow, (it, n) => it.now() - 50 + n);
    room.simulator.create('customer', { id: ID, n: 9 }, { created: room.now() - 100 });
    const { account } = room;
    const after = room.now() - 40;
    let fetched = 0;
    for (let more = true; more; ) {
      const result = await room.run('settleEntity', { ...INPUT, account, after }, ATTEMPT);
      expect(result.fetched).toBeGreaterThan(0);
      fetched += result.fetched;
      more = result.more === true;
      // An attempt of the real length comes long after the read of the one before.
      if (more) await sleep(3_500);
    }
    expect(fetched).toBe(4);
    expect(room.simulator.stats().requests.retrieve).toBeGreaterThan(1);
    expect((await noted(room)).map(({ event, superseded }) => [event, superseded])).toEqual(
      IDS.map((event) => [event, event !== 'evt_4']),
    );
  });
});

it('handlers of one account that are slow leave connections for all that runs without handlers', async () => {
  const pool = createPool({
    connectionString: database.url,
    applicationName: 'few',
    max: 4,
    connectTimeoutMs: 1_000,
  });
  const handlers: Handlers = { 'customer.updated': () => sleep(3_000) };
  const room = await createActivityRoom(database, { pool, handlers });
  const other = await createActivityRoom(database, { pool, handlers });
  const customers = ['1', '2', '3', '4', '5', '6'];
  await room.receive(
    customers.map((n) =>
      eventOf(`evt_${n}`, 'customer.updated', 100, { object: 'customer', id: `cus_${n}` }),
    ),
  );
  const began = performance.now();
  const applies = customers.map((n) => {
    const key = { account: room.account, object: 'customer', objectId: `cus_${n}` };
    return room.run('applyChanges', { ...key, ids: [`evt_${n}`], hydrate: 'payload', apiVersion: null });
  });
  await sleep(300);
  const coupon = { object: 'coupon', objectId: 'SUMMER' };
  await other.receive([eventOf('evt_c', 'coupon.updated', 100, { object: 'coupon', id: 'SUMMER' })]);
  const { tally } = await other.run('applyChanges', {
    ...coupon,
    account: other.account,
    ids: ['evt_c'],
    hydrate: 'auto',
    apiVersion: null,
  });
  expect(tally).toMatchObject({ applied: 1 });
  expect(performance.now() - began).toBeLessThan(2_500);
  expect((await Promise.all(applies)).map((result) => result.tally.applied)).toEqual([1, 1, 1, 1, 1, 1]);
  await pool.end();
});

it('a turn that does not come in time is waited for in another attempt', async () => {
  const pool = createPool({ connectionString: database.url, applicationName: 'one', max: 2 });
  const room = await createActivityRoom(database, { pool, handlers: { '*': () => sleep(2_000) } });
  await room.receive([
    eventOf('evt_1', 'customer.updated', 100, { object: 'customer', id: 'cus_1' }),
    eventOf('evt_2', 'customer.updated', 100, { object: 'customer', id: 'cus_2' }),
  ]);
  const apply = (n: number, attempt = {}) => {
    const key = { account: room.account, object: 'customer', objectId: `cus_${n}` };
    return room.run(
      'applyChanges',
      { ...key, ids: [`evt_${n}`], hydrate: 'auto', apiVersion: null, patience: 1 },
      attempt,
    );
  };
  const first = apply(1);
  await sleep(300);
  await expect(apply(2, ATTEMPT)).rejects.toMatchObject({ type: 'Handler/busy', nonRetryable: false });
  await first;
  expect((await apply(2)).tally).toMatchObject({ applied: 1 });
  await pool.end();
});
