import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readOldestOpen } from '../../src/postgres/read-oldest-open.js';
import { refreshTypes } from '../../src/stripe/refresh-types.js';
import { createActivityRoom } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const DAY = 86_400;

interface Listed {
  readonly object: string;
  /** Hours ago. */
  readonly at: number;
  readonly outcome?: 'done' | 'failed' | 'skipped' | null;
  /** Whether only a part of the type was listed. */
  readonly inPart?: boolean;
}

/** An account whose listings were these, each in a backfill of its own; `complete_to` as a listing's end sets it. */
async function accountWith(listings: readonly Listed[], lagSeconds: number | null = 40) {
  const room = await createActivityRoom(database);
  const now = room.now();
  const { account } = room;
  await database.pool.query(
    `insert into stripe_sync.accounts (account, cursor_id, cursor_created, lag_seconds) values ($1, 'evt', now(), $2)`,
    [account, lagSeconds],
  );
  for (const [index, { object, at, outcome = 'done', inPart = false }] of listings.entries()) {
    await database.pool.query(
      `insert into stripe_sync.backfills (account, number, run, workflow, reason, types)
       values ($1, $2, $3, 'w', 'r', '{}')`,
      [account, index + 1, String(index)],
    );
    await database.pool.query(
      `insert into stripe_sync.listings
         (account, number, object, since, started_at, began_at, ended_at, outcome, complete_to)
       values ($1, $2, $3, case when $6 then to_timestamp($4 - 900) end, to_timestamp($4), to_timestamp($4),
         to_timestamp($4 + 9), $5, case when $5 = 'done' then to_timestamp($4) end)`,
      [account, index + 1, object, now - at * 3600, outcome, inPart],
    );
  }
  return {
    room,
    now,
    plan: (input: { types?: string[]; everySeconds?: number } = {}) =>
      room.run('planRefresh', { account, everySeconds: DAY, types: null, ...input }),
  };
}

describe('the plan of a refresh', () => {
  it('lists everything whole where nothing was listed yet', async () => {
    const { plan } = await accountWith([]);
    const { types, sinceOf } = await plan();
    expect(types).toEqual(refreshTypes(null).map(({ object }) => object));
    expect(types.length).toBeGreaterThan(40);
    expect(sinceOf).toEqual({});
  });

  it('lists what only grows from its last complete listing on, less the lag and a minute', async () => {
    const { plan, now } = await accountWith([
      { object: 'balance_transaction', at: 90 * 24 },
      { object: 'balance_transaction', at: 24, inPart: true },
      { object: 'balance_transaction', at: 12, outcome: 'failed' },
      { object: 'balance_transaction', at: 1, outcome: null },
      { object: 'payment_intent', at: 24 },
    ]);
    expect((await plan()).sinceOf).toEqual({ balance_transaction: now - DAY - 40 - 60 });
  });

  it('leaves out what was listed lately and never held anything, unless an event brought some since', async () => {
    const { plan, room } = await accountWith([
      { object: 'shipping_rate', at: 24 },
      { object: 'file_link', at: 24 },
      { object: 'topup', at: 3 * 24 },
    ]);
    await room.hold('file_link', { id: 'link_1' }, 1, 2);
    const { types } = await plan();
    expect(types).not.toContain('shipping_rate');
    expect(types).toContain('file_link');
    expect(types).toContain('topup');
    expect(types).toContain('tax.registration');
  });

  it('takes a lag that nobody has measured for a long one', async () => {
    const { plan, now } = await accountWith([{ object: 'balance_transaction', at: 24 }], null);
    expect((await plan()).sinceOf).toEqual({ balance_transaction: now - DAY - 300 - 60 });
  });

  it('reaches back to the oldest transaction that is still pending', async () => {
    const { plan, room, now } = await accountWith([{ object: 'balance_transaction', at: 24 }]);
    const hold = (id: string, status: string, created: number, deleted = false) =>
      room.hold('balance_transaction', { id, status, created } as { id: string }, 1, 2, deleted);
    await hold('txn_settled', 'available', now - 40 * DAY);
    await hold('txn_gone', 'pending', now - 30 * DAY, true);
    await hold('txn_oldest', 'pending', now - 6 * DAY);
    await hold('txn_later', 'pending', now - 3 * DAY);
    const { room: another } = await accountWith([]);
    const other = { id: 'txn_of_another', status: 'pending', created: now - 90 * DAY };
    await another.hold('balance_transaction', other as { id: string }, 1, 2);
    expect((await plan()).sinceOf).toEqual({ balance_transaction: now - 6 * DAY });
  });

  it('walks the parents that changed since the last walk, and all of them after a week', async () => {
    const { plan, now } = await accountWith([
      { object: 'item', at: 5 * 24 },
      { object: 'item', at: 24, inPart: true },
      { object: 'product_feature', at: 8 * 24 },
      { object: 'product_feature', at: 24, inPart: true },
      { object: 'setup_attempt', at: 24, inPart: true },
    ]);
    expect((await plan()).sinceOf).toEqual({ item: now - DAY - 100 });
  });

  it('stays within the types of the account', async () => {
    const { plan } = await accountWith([]);
    expect((await plan({ types: ['customer', 'shipping_rate'] })).types).toEqual(['shipping_rate']);
    expect((await plan({ types: ['customer'] })).types).toEqual([]);
  });
});

describe('the oldest row that may still change', () => {
  it('is found however large the table is, a part of it at a time', async () => {
    await database.pool.query(
      `insert into stripe.balance_transactions (account, id, data, as_of, as_of_until, source)
       select 'large', 'txn_' || n,
         jsonb_build_object('created', 1700000000 + n, 'status', case when n % 700 = 0 then 'pending' else 'available' end,
           'description', repeat('long ', 100)),
         now(), now(), 'backfill:1'
       from generate_series(2000, 1, -1) n`,
    );
    const asked: string[] = [];
    const pool = {
      query: (sql: string, values: unknown[]) => {
        asked.push(sql);
        return database.pool.query(sql, values);
      },
    } as unknown as typeof database.pool;
    const open = { account: 'large', table: 'balance_transactions', field: 'status', is: 'pending' };
    expect(await readOldestOpen(pool, open, undefined, 16)).toBe(1_700_000_700);
    expect(asked.length).toBeGreaterThan(5);
    expect(await readOldestOpen(database.pool, open)).toBe(1_700_000_700);
    expect(await readOldestOpen(database.pool, { ...open, is: 'lost' })).toBeNull();
    const { rows } = await database.pool.query(
      `explain select min(created) from stripe.balance_transactions where ctid >= '(0,0)'::tid and ctid < '(16,0)'::tid`,
    );
    expect(JSON.stringify(rows)).toContain('Tid Range Scan');
  });

  it('is not looked for once the worker stops', async () => {
    const stopped = AbortSignal.abort(new Error('enough'));
    const open = { account: 'large', table: 'balance_transactions', field: 'status', is: 'pending' };
    await expect(readOldestOpen(database.pool, open, stopped)).rejects.toThrow('enough');
  });
});
