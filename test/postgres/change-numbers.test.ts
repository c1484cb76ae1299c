import { setTimeout as sleep } from 'node:timers/promises';
import { runner } from 'node-pg-migrate';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { migrate } from '../../src/postgres/migrate.js';
import { createPool } from '../../src/postgres/pool.js';
import { migrationsFolder } from '../../src/postgres/schema.js';
import { upsertPage } from '../../src/postgres/upsert-page.js';
import { tableOf } from '../../src/stripe/catalog.js';
import { type ActivityRoom, createActivityRoom, eventOf } from '../support/activity-room.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createMigratedDatabase();
  pool = createPool({ connectionString: database.url, applicationName: 'numbers', max: 20 });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

interface Change {
  readonly sequence: number;
  readonly object: string;
  readonly id: string;
  readonly kind: string;
}

/** An application that follows the feed as the documentation says. */
function follower(account: string) {
  const seen: Change[] = [];
  return {
    seen,
    ids: () => seen.map(({ id }) => id),
    async look() {
      const { rows } = await pool.query<Change>(
        `select sequence, object, id, kind from stripe_sync.settled_changes
         where account = $1 and sequence > $2 order by sequence`,
        [account, seen.at(-1)?.sequence ?? 0],
      );
      seen.push(...rows);
    },
  };
}

async function everything(account: string): Promise<Change[]> {
  const { rows } = await pool.query<Change>(
    'select sequence, object, id, kind from stripe_sync.changes where account = $1 order by sequence',
    [account],
  );
  return rows;
}

async function unnumbered(): Promise<number> {
  const { rows } = await pool.query('select count(*)::int as left from stripe_sync.unnumbered_changes');
  return rows[0]?.left;
}

/** Resolves once somebody waits for a lock of that type. */
async function waiting(type: string) {
  await vi.waitFor(async () => {
    const { rowCount } = await pool.query(
      `select 1 from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock' and wait_event = $1`,
      [type],
    );
    expect(rowCount).toBeGreaterThan(0);
  });
}

function apply(room: ActivityRoom, eventId: string, object: string, objectId: string) {
  const entity = { account: room.account, object, objectId };
  return room.run('applyChanges', { ...entity, ids: [eventId], hydrate: 'payload', apiVersion: null });
}

const listPage = (client: pg.Pool, account: string, object: string, data: readonly object[], asOf: number) =>
  upsertPage(client, {
    account,
    object,
    table: tableOf(object),
    page: JSON.stringify({ data }),
    source: 'backfill:1',
    keyFields: ['id'],
    asOf,
    asOfUntil: asOf + 1,
  });

describe('a follower of the change feed by its numbers', () => {
  it('is shown at once what others commit while a handler is under way, and skips nothing', async () => {
    let begin = () => {};
    let end = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const slow = async () => {
      begin();
      await ended;
    };
    const room = await createActivityRoom(database, { pool, handlers: { 'customer.updated': slow } });
    await room.receive([
      eventOf('evt_quick', 'coupon.created', 100, { object: 'coupon', id: 'quick' }),
      eventOf('evt_slow', 'customer.updated', 100, { object: 'customer', id: 'cus_slow' }),
    ]);
    const following = follower(room.account);
    // The quick one begins first and writes last: it waits for a page that holds its row.
    const page = await pool.connect();
    await page.query('begin');
    await page.query(
      `insert into stripe.coupons (account, id, data, as_of, as_of_until, source)
       values ($1, 'quick', '{}', to_timestamp(1), to_timestamp(2), 'page')`,
      [room.account],
    );
    const quick = apply(room, 'evt_quick', 'coupon', 'quick');
    await waiting('transactionid');
    const applying = apply(room, 'evt_slow', 'customer', 'cus_slow');
    await begun;
    await page.query('commit');
    page.release();
    await quick;
    await listPage(pool, room.account, 'product', [{ object: 'product', id: 'listed' }], 50);
    await following.look();
    expect(following.ids()).toEqual(['quick', 'listed']);
    end();
    await applying;
    await following.look();
    expect(following.ids()).toEqual(['quick', 'listed', 'cus_slow']);
  });

  it('is shown no number while a lower one may still come, whoever writes it', async () => {
    const add = `insert into stripe_sync.changes (account, object, id, kind, as_of, changed)
      values ('whoever', 'coupon', $1, 'created', now(), '{}')`;
    const following = follower('whoever');
    const slow = await pool.connect();
    await slow.query('begin');
    await slow.query(add, ['slow']);
    const quick = pool.query(add, ['quick']);
    await waiting('advisory');
    await following.look();
    expect(following.seen).toEqual([]);
    await slow.query('commit');
    slow.release();
    await quick;
    await following.look();
    expect(following.ids()).toEqual(['slow', 'quick']);
  });

  it('sees rows inside of others after them, from a page as from an event', async () => {
    const room = await createActivityRoom(database, { pool });
    const subscription = (id: string, ...items: string[]) => ({
      object: 'subscription',
      id,
      items: {
        object: 'list',
        data: items.map((item) => ({ object: 'subscription_item', id: item })),
        has_more: false,
      },
    });
    const following = follower(room.account);
    await listPage(
      pool,
      room.account,
      'subscription',
      [subscription('sub_1', 'si_1'), subscription('sub_2')],
      50,
    );
    await following.look();
    expect(following.ids()).toEqual(['sub_1', 'sub_2', 'si_1']);
    await room.receive([
      eventOf('evt_1', 'customer.subscription.updated', 100, subscription('sub_1', 'si_1', 'si_2')),
    ]);
    await apply(room, 'evt_1', 'subscription', 'sub_1');
    await following.look();
    expect(following.ids().slice(3)).toEqual(['sub_1', 'si_2']);
    expect(await unnumbered()).toBe(0);
  });

  it('sees every change once and in order, while eight connections write with delays of their own', async () => {
    const room = await createActivityRoom(database, {
      pool,
      handlers: { '*': () => sleep(Math.random() * 40) },
    });
    let second = 1_000;
    const random = (below: number) => Math.floor(Math.random() * below);
    const customer = (n: number) => ({ object: 'customer', id: `cus_${n}`, changed: second });
    const subscription = (n: number) => ({
      object: 'subscription',
      id: `sub_${n}`,
      changed: second,
      items: {
        object: 'list',
        has_more: false,
        data: Array.from({ length: 3 }, (_, item) => ({
          object: 'subscription_item',
          id: `si_${n}_${item}`,
          quantity: random(3),
        })),
      },
    });
    const kinds = [
      ['customer', 'customer.updated', customer],
      ['subscription', 'customer.subscription.updated', subscription],
    ] as const;
    async function writeOnce() {
      const [object, type, make] = kinds[random(2)] ?? kinds[0];
      second += 3;
      if (random(2) === 0) {
        const first = random(10);
        const page = Array.from({ length: 20 }, (_, n) => make(first + n));
        await listPage(pool, room.account, object, page, second);
      } else {
        const state = make(random(30));
        const id = `evt_${second}`;
        await room.receive([eventOf(id, type, second, state)]);
        await apply(room, id, object, state.id);
      }
      await sleep(random(20));
    }
    const following = follower(room.account);
    let isOver = false;
    const follow = async () => {
      while (!isOver) {
        await following.look();
        await sleep(random(3));
      }
    };
    const polls = follow();
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let n = 0; n < 40; n += 1) await writeOnce();
      }),
    ).finally(() => {
      isOver = true;
    });
    await polls;
    await following.look();
    expect(following.seen).toEqual(await everything(room.account));
    expect(following.seen.length).toBeGreaterThan(1_000);
    expect(await unnumbered()).toBe(0);
    const created = following.seen.filter(({ kind }) => kind === 'created').map(({ id }) => id);
    expect(created).toHaveLength(new Set(created).size);
    const first = new Map(following.seen.toReversed().map(({ id, kind }) => [id, kind]));
    expect(new Set(first.values())).toEqual(new Set(['created']));
  });
});

describe('a feed from before, or from another server', () => {
  it('is shown with the numbers that it had, and goes on after them', async () => {
    const earlier = await createTestDatabase();
    try {
      const client = await earlier.pool.connect();
      await client.query('create schema stripe_sync');
      await runner({
        dbClient: client,
        dir: migrationsFolder,
        direction: 'up',
        count: 3,
        migrationsSchema: 'stripe_sync',
        migrationsTable: 'migrations',
        ignorePattern: '(?!.*\\.sql$).*',
        noLock: true,
        logger: { info() {}, warn() {}, error() {} },
      });
      // A restored database has the transaction ids of the server that it came from.
      const { rows } = await client.query(
        `insert into stripe_sync.changes (account, object, id, kind, as_of, changed, transaction)
         values ('a', 'coupon', 'one', 'created', now(), '{}', '999999999999'),
           ('a', 'coupon', 'two', 'created', now(), '{}', '1')
         returning sequence`,
      );
      client.release();
      await migrate({ connectionString: earlier.url });
      await listPage(earlier.pool, 'a', 'coupon', [{ object: 'coupon', id: 'three' }], 50);
      const { rows: shown } = await earlier.pool.query(
        'select sequence, id from stripe_sync.settled_changes order by sequence',
      );
      expect(shown.map(({ id }) => id)).toEqual(['one', 'two', 'three']);
      expect(shown.slice(0, 2).map(({ sequence }) => sequence)).toEqual(rows.map(({ sequence }) => sequence));
    } finally {
      await earlier.drop();
    }
  });
});
