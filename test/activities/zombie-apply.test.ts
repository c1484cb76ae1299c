import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Activities } from '../../activities/index.js';
import type { OutcomeTally } from '../../src/domain/account-state.js';
import { createPool } from '../../src/postgres/pool.js';
import { type ActivityRoom, createActivityRoom, eventOf, interrupted } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { type Effects, watchEffects } from '../support/effects.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
let effects: Effects;
/** As the worker has it: a connection that the server ends must not end the process. */
let pool: pg.Pool;
beforeAll(async () => {
  database = await createMigratedDatabase();
  pool = createPool({ connectionString: database.url, applicationName: 'zombie' });
  effects = await watchEffects(database, ['customers']);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const ID = 'cus_1';
const IDS = ['evt_a', 'evt_b'];

interface Held {
  readonly pool: pg.Pool;
  /** Resolves once the attempt is held. */
  readonly reached: Promise<void>;
  release(): void;
}

/** A pool whose first user is held just before its first statement of that pattern. */
function holding(pattern: RegExp): Held {
  let reach = () => {};
  let release = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const interruptedPool = interrupted(pool, pattern, () => {
    reach();
    return released;
  });
  return { pool: interruptedPool, reached, release: () => release() };
}

async function newRoom(held: Held): Promise<ActivityRoom> {
  const room = await createActivityRoom(database, { pool: held.pool });
  room.simulator.create(
    'customer',
    { id: ID, name: 'as it is' },
    { created: room.now() - 1_000, event: false },
  );
  const then = room.now() - 500;
  await room.receive([
    eventOf('evt_a', 'customer.created', then, { object: 'customer', id: ID, name: 'one' }),
    eventOf('evt_b', 'customer.updated', then + 100, { object: 'customer', id: ID, name: 'two' }),
  ]);
  return room;
}

type Attempted = (room: ActivityRoom) => {
  readonly result: Promise<OutcomeTally>;
  readonly cancel: () => void;
};

const applies: Attempted = (room) => {
  const key = { account: room.account, object: 'customer', objectId: ID };
  const { result, cancel } = room.begin('applyChanges', {
    ...key,
    ids: IDS,
    hydrate: 'payload',
    apiVersion: null,
  });
  return { result: result.then(({ tally }) => tally), cancel };
};

const settles: Attempted = (room) => {
  const key = { account: room.account, object: 'customer', objectId: ID };
  const input: Parameters<Activities['settleEntity']>[0] = {
    ...key,
    ids: IDS,
    after: room.now() - 100,
    apiVersion: null,
  };
  return room.begin('settleEntity', input);
};

/** Waits until somebody waits for a lock, or sits in a transaction, in this database; returns the backend's pid. */
async function backendThat(does: 'waits for a lock' | 'sits in a transaction'): Promise<number> {
  const condition =
    does === 'waits for a lock' ? `wait_event_type = 'Lock'` : `state = 'idle in transaction'`;
  for (;;) {
    const { rows } = await database.pool.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and ${condition}`,
    );
    if (rows[0] !== undefined) return rows[0].pid;
    await sleep(10);
  }
}

async function expectOneEffect(room: ActivityRoom, tallies: readonly OutcomeTally[]): Promise<void> {
  expect(tallies.reduce((sum, { applied, stale, fetched }) => sum + applied + stale + fetched, 0)).toBe(2);
  expect(await effects.settled(room.account)).toEqual(new Map(IDS.map((id) => [id, 1])));
  expect(await effects.writes(room.account)).toBe(1);
  const { rows } = await database.pool.query(
    'select distinct attempts from stripe_sync.events where account = $1',
    [room.account],
  );
  expect(rows).toEqual([{ attempts: 1 }]);
}

const none = { applied: 0, stale: 0, fetched: 0, parked: 0 };

const STEPS = [
  { step: 'its first write', pattern: /insert into stripe\./ },
  { step: 'the outcomes', pattern: /update stripe_sync\.events/ },
  { step: 'its commit', pattern: /COMMIT$/ },
];

describe.each([
  { activity: 'an apply', attempt: applies, name: 'two' },
  { activity: 'a read', attempt: settles, name: 'as it is' },
])('$activity that goes on after its activity was repeated', ({ attempt, name }) => {
  let held: Held;
  let room: ActivityRoom;
  let begun: ReturnType<Attempted>;
  const holdAt = async (pattern: RegExp) => {
    held = holding(pattern);
    room = await newRoom(held);
    begun = attempt(room);
    await held.reached;
  };

  it('finds its changes done where it was held before its transaction', async () => {
    await holdAt(/^BEGIN/);
    const repeated = await attempt(room).result;
    held.release();
    const late = await begun.result;
    expect(late).toMatchObject(none);
    await expectOneEffect(room, [repeated, late]);
    expect(await room.rows('customer')).toMatchObject([{ data: { name } }]);
  });

  it.each(STEPS)(
    'has done them where it was held before $step, and the other finds them done',
    async ({ pattern }) => {
      await holdAt(pattern);
      const repeated = attempt(room).result;
      await backendThat('waits for a lock');
      held.release();
      const early = await begun.result;
      expect(await repeated).toMatchObject(none);
      await expectOneEffect(room, [early]);
      expect(await room.rows('customer')).toMatchObject([{ data: { name } }]);
    },
  );

  it.each(STEPS)(
    'has one effect with the other where it was held before $step and heard that it was given up',
    async ({ pattern }) => {
      await holdAt(pattern);
      const repeated = attempt(room).result;
      await backendThat('waits for a lock');
      begun.cancel();
      held.release();
      // Its activity may hear of it too late to be kept from the commit, but then the other finds it done.
      const [early, late] = await Promise.all([begun.result.catch(() => none as OutcomeTally), repeated]);
      await expectOneEffect(room, [early, late]);
      expect(await room.rows('customer')).toMatchObject([{ data: { name } }]);
    },
  );

  it('leaves nothing where the server ended its connection before its commit', async () => {
    await holdAt(/COMMIT$/);
    const pid = await backendThat('sits in a transaction');
    await database.pool.query('select pg_terminate_backend($1)', [pid]);
    const repeated = await attempt(room).result;
    held.release();
    await expect(begun.result).rejects.toThrow();
    await expectOneEffect(room, [repeated]);
    expect(await room.rows('customer')).toMatchObject([{ data: { name } }]);
  });

  it('does not put back what has come since', async () => {
    await holdAt(/^BEGIN/);
    await attempt(room).result;
    const newer = { object: 'customer', id: ID, name: 'newer' };
    await room.receive([eventOf('evt_c', 'customer.updated', room.now() + 60, newer)]);
    await room.run('applyChanges', {
      account: room.account,
      object: 'customer',
      objectId: ID,
      ids: ['evt_c'],
      hydrate: 'payload',
      apiVersion: null,
    });
    held.release();
    expect(await begun.result).toMatchObject(none);
    expect(await room.rows('customer')).toMatchObject([{ data: newer, source: 'evt_c' }]);
    expect(await effects.settled(room.account)).toEqual(new Map([...IDS, 'evt_c'].map((id) => [id, 1])));
    expect(await effects.stepsBack(room.account)).toEqual([]);
  });
});
