import type { Pool, PoolClient } from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { pruneChanges } from '../../src/postgres/prune-changes.js';
import { upsertPage } from '../../src/postgres/upsert-page.js';
import { type ActivityRoom, createActivityRoom, eventOf } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

interface FeedEntry {
  readonly sequence: number;
  readonly event_id: string | null;
  readonly kind: string;
  readonly changed: string[];
}

async function feed(room: ActivityRoom, from = 'changes'): Promise<FeedEntry[]> {
  const { rows } = await database.pool.query<FeedEntry>(
    `select sequence, event_id, kind, changed from stripe_sync.${from} where account = $1 order by sequence`,
    [room.account],
  );
  return rows;
}

const coupon = (name: string, more = {}) => ({ object: 'coupon', id: 'half', name, metadata: {}, ...more });

function apply(room: ActivityRoom, ids: readonly string[]) {
  const entity = { account: room.account, object: 'coupon', objectId: 'half' };
  return room.run('applyChanges', { ...entity, ids, hydrate: 'payload', apiVersion: null });
}

/** @param client one in a transaction does for a pool: a page is one statement */
function list(client: Pool | PoolClient, room: ActivityRoom, asOf: number, ...data: object[]) {
  return upsertPage(client as Pool, {
    account: room.account,
    object: 'coupon',
    table: 'coupons',
    page: JSON.stringify({ data }),
    source: 'backfill:1',
    keyFields: ['id'],
    asOf,
    asOfUntil: asOf + 1,
  });
}

/** Resolves once somebody waits for another one's transaction. */
async function waiting() {
  await vi.waitFor(
    async () => {
      const { rowCount } = await database.pool.query(
        `select 1 from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock' and wait_event = 'transactionid'`,
      );
      expect(rowCount).toBe(1);
    },
    { timeout: 10_000 },
  );
}

describe('the change feed', () => {
  it('tells what each event changed, by its top-level keys', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_1', 'coupon.created', 100, coupon('a')),
      eventOf('evt_2', 'coupon.updated', 110, coupon('b', { metadata: { color: 'red' } })),
      eventOf('evt_3', 'coupon.deleted', 120, coupon('b', { metadata: { color: 'red' } })),
      eventOf('evt_4', 'coupon.created', 130, coupon('b', { percent_off: 5 })),
    ]);
    for (const id of ['evt_1', 'evt_2', 'evt_3', 'evt_4']) await apply(room, [id]);
    expect((await feed(room)).map(({ event_id, kind, changed }) => [event_id, kind, changed])).toEqual([
      ['evt_1', 'created', []],
      ['evt_2', 'updated', ['metadata', 'name']],
      ['evt_3', 'deleted', []],
      ['evt_4', 'created', ['metadata', 'percent_off']],
    ]);
  });

  it('says nothing of what changed nothing, and nothing twice', async () => {
    const room = await createActivityRoom(database);
    await room.receive([
      eventOf('evt_a', 'coupon.created', 100, coupon('a')),
      eventOf('evt_b', 'coupon.updated', 110, coupon('a')),
      eventOf('evt_c', 'coupon.updated', 90, coupon('older')),
    ]);
    await apply(room, ['evt_a']);
    await apply(room, ['evt_b']);
    await apply(room, ['evt_c']);
    await apply(room, ['evt_a', 'evt_b', 'evt_c']);
    expect(await feed(room)).toHaveLength(1);
    expect(await room.rows('coupon')).toMatchObject([{ source: 'evt_b', asOf: 110 }]);
  });

  it('tells what a listing brought, changed, or found again, and is silent on what it only confirms', async () => {
    const room = await createActivityRoom(database);
    await room.receive([eventOf('evt_1', 'coupon.created', 100, coupon('a'))]);
    await apply(room, ['evt_1']);
    await list(database.pool, room, 200, coupon('a'), coupon('b', { id: 'new' }));
    await list(database.pool, room, 300, coupon('b', { color: 1 }), coupon('b', { id: 'new' }));
    expect((await feed(room)).map(({ event_id, kind, changed }) => [event_id, kind, changed])).toEqual([
      ['evt_1', 'created', []],
      [null, 'created', []],
      [null, 'updated', ['color', 'name']],
    ]);
  });

  it('notifies whoever listens, with the last sequence, once the change is committed', async () => {
    const room = await createActivityRoom(database);
    await room.receive([eventOf('evt_1', 'coupon.created', 100, coupon('a'))]);
    const listener = await database.pool.connect();
    const heard: string[] = [];
    listener.on('notification', ({ payload = '' }) => heard.push(payload));
    await listener.query('listen stripe_sync_changes');
    await apply(room, ['evt_1']);
    await list(database.pool, room, 200, coupon('b'), coupon('c', { id: 'new' }));
    await listener.query('select 1');
    listener.release(true);
    const [entry, , last] = await feed(room);
    expect(heard).toEqual([String(entry?.sequence), String(last?.sequence)]);
  });

  it('tells a row that a page brings while an event of it is applied as created once', async () => {
    const room = await createActivityRoom(database);
    await room.receive([eventOf('evt_1', 'coupon.created', 100, coupon('event'))]);
    const page = await database.pool.connect();
    await page.query('begin');
    await list(page, room, 50, coupon('listed'));
    const applying = apply(room, ['evt_1']);
    await waiting();
    await page.query('commit');
    page.release();
    await applying;
    expect((await feed(room)).map(({ event_id, kind, changed }) => [event_id, kind, changed])).toEqual([
      [null, 'created', []],
      ['evt_1', 'updated', ['name']],
    ]);
  });

  it('tells a row that a page brings while a read of it is stored as created once, and reads it once', async () => {
    const asked: string[] = [];
    const room = await createActivityRoom(database, {
      between: (path, get) => {
        asked.push(path);
        return get(path);
      },
    });
    room.simulator.create('coupon', { id: 'half', name: 'read' });
    const page = await database.pool.connect();
    await page.query('begin');
    await list(page, room, 50, coupon('listed'));
    const entity = { account: room.account, object: 'coupon', objectId: 'half' };
    const settling = room.run('settleEntity', {
      ...entity,
      ids: [],
      after: room.now() - 100,
      apiVersion: null,
    });
    await waiting();
    await page.query('commit');
    page.release();
    await settling;
    expect((await feed(room)).map(({ kind }) => kind)).toEqual(['created', 'updated']);
    expect(await room.rows('coupon')).toMatchObject([{ data: { name: 'read' } }]);
    expect(asked).toHaveLength(1);
  });

  it('tells a row that an event brings while a page of it is written as created once, and has it read', async () => {
    const room = await createActivityRoom(database);
    const other = await database.pool.connect();
    await other.query('begin');
    await list(other, room, 50, coupon('first'));
    const listing = list(database.pool, room, 100, coupon('second'));
    await waiting();
    await other.query('commit');
    other.release();
    expect((await listing).ambiguous).toEqual([{ objectId: 'half', after: 101 }]);
    expect((await feed(room)).map(({ kind }) => kind)).toEqual(['created']);
  });

  it('forgets what is old of an account, a bounded part at a time, and nothing of another one', async () => {
    for (let days = 60; days > 0; days -= 1) {
      await database.pool.query(
        `insert into stripe_sync.changes (account, object, id, kind, as_of, changed, recorded_at)
         select account, 'coupon', $1::integer, 'created', now(), '{}', now() - make_interval(days => $1::integer)
         from unnest(array['old', 'other']) account`,
        [days],
      );
    }
    const { rows: before } = await database.pool.query(
      `select min(sequence)::int as first from stripe_sync.changes where account in ('old', 'other')`,
    );
    const keepSeconds = 30 * 86_400;
    let after: number | null = before[0]?.first - 1;
    const deleted: number[] = [];
    while (after !== null) {
      const pruned = await pruneChanges(database.pool, { account: 'old', keepSeconds, after, atMost: 20 });
      deleted.push(pruned.deleted);
      after = pruned.next;
    }
    // Every second one is the other account's. 30 days and some milliseconds are more than 30 days.
    expect(deleted).toEqual([10, 10, 10, 1, 0]);
    const left = async (account: string) =>
      (
        await database.pool.query(
          `select count(*)::int as left, min(id::int) as newest, max(id::int) as oldest
           from stripe_sync.changes where account = $1`,
          [account],
        )
      ).rows[0];
    expect(await left('old')).toEqual({ left: 29, newest: 1, oldest: 29 });
    expect(await left('other')).toEqual({ left: 60, newest: 1, oldest: 60 });
  });
});
