import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LedgerPosition, pruneEvents } from '../../src/postgres/prune-events.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const DAY = 86_400;

interface Entry {
  readonly id: string;
  /** Days ago. */
  readonly created: number;
  /** Days ago; null: not settled. */
  readonly applied?: number | null;
  readonly outcome?: string | null;
  readonly objectId?: string | null;
}

let accounts = 0;

/** An account with a ledger, and a cursor that is so many days old; null: it was never opened. */
async function accountWith(entries: readonly Entry[], cursor: number | null = 0): Promise<string> {
  accounts += 1;
  const account = `prune-${accounts}`;
  if (cursor !== null) {
    await database.pool.query(
      `insert into stripe_sync.accounts (account, cursor_id, cursor_created)
       values ($1, 'evt_cursor', now() - make_interval(days => $2))`,
      [account, cursor],
    );
  }
  for (const { id, created, applied = created, outcome = 'applied', objectId = id } of entries) {
    await database.pool.query(
      `insert into stripe_sync.events
         (account, id, type, created, object, object_id, event, source, seen_at, outcome, applied_at)
       values ($1, $2, 'customer.updated', date_trunc('second', now()) - make_interval(days => $3),
         case when $6::text is not null then 'customer' end, $6, '{}', 'poll', now(), $4,
         now() - make_interval(days => $5))`,
      [account, id, created, outcome, outcome === null ? null : applied, objectId],
    );
  }
  return account;
}

async function prune(account: string, over: { atMost?: number; keepDays?: number } = {}) {
  const deleted: number[] = [];
  let after: LedgerPosition | null = null;
  do {
    const pruned = await pruneEvents(database.pool, {
      account,
      leastAge: 31 * DAY,
      keepSeconds: (over.keepDays ?? 30) * DAY,
      behindCursor: 2 * DAY,
      after,
      atMost: over.atMost ?? 100,
    });
    deleted.push(pruned.deleted);
    after = pruned.next;
  } while (after !== null);
  return deleted;
}

async function left(account: string): Promise<string[]> {
  const { rows } = await database.pool.query<{ id: string }>(
    'select id from stripe_sync.events where account = $1 order by id',
    [account],
  );
  return rows.map(({ id }) => id);
}

describe('pruning the ledger', () => {
  it('deletes what is settled and past its age, whatever became of it', async () => {
    const outcomes = ['applied', 'stale', 'fetched', 'ignored'];
    const account = await accountWith(outcomes.map((outcome) => ({ id: outcome, created: 40, outcome })));
    expect(await prune(account)).toEqual([4]);
    expect(await left(account)).toEqual([]);
  });

  it('keeps what is pending or parked, however old, and the rest of its object', async () => {
    const account = await accountWith([
      { id: 'a_pending', created: 400, outcome: null, objectId: 'one' },
      { id: 'b_same_object', created: 300, objectId: 'one' },
      { id: 'c_parked', created: 400, outcome: 'parked', objectId: 'two' },
      { id: 'd_same_object', created: 400, objectId: 'two' },
      { id: 'e_other', created: 400, objectId: 'three' },
      { id: 'f_no_object', created: 400, outcome: 'ignored', objectId: null },
    ]);
    expect(await prune(account)).toEqual([2]);
    expect(await left(account)).toEqual(['a_pending', 'b_same_object', 'c_parked', 'd_same_object']);
  });

  it('counts the age from its creation and from its settlement, whichever is later', async () => {
    const account = await accountWith([
      { id: 'old', created: 40, applied: 35 },
      { id: 'settled_lately', created: 400, applied: 20 },
      { id: 'still_listed', created: 29, applied: 29 },
    ]);
    expect(await prune(account)).toEqual([1]);
    expect(await left(account)).toEqual(['settled_lately', 'still_listed']);
  });

  it('keeps what the cursor has not left far behind, after a stop of months', async () => {
    const account = await accountWith(
      [
        { id: 'at_the_cursor', created: 100 },
        { id: 'just_behind', created: 101 },
        { id: 'far_behind', created: 103 },
      ],
      100,
    );
    expect(await prune(account)).toEqual([1]);
    expect(await left(account)).toEqual(['at_the_cursor', 'just_behind']);
  });

  it('leaves an account alone that was never opened', async () => {
    const account = await accountWith([{ id: 'old', created: 400 }], null);
    expect(await prune(account)).toEqual([0]);
    expect(await left(account)).toEqual(['old']);
  });

  it('touches no other account', async () => {
    const other = await accountWith([{ id: 'old', created: 400 }]);
    const account = await accountWith([{ id: 'old', created: 400 }]);
    expect(await prune(account)).toEqual([1]);
    expect(await left(other)).toEqual(['old']);
  });

  it('gets past any number of events that stay, of one second too, a bounded part at a time', async () => {
    const entries = Array.from({ length: 30 }, (_, index) => ({
      id: `e${String(index).padStart(2, '0')}`,
      created: index < 25 ? 100 : 50,
      outcome: index % 3 === 0 ? 'parked' : 'applied',
    }));
    const account = await accountWith(entries);
    expect(await prune(account, { atMost: 7 })).toEqual([4, 5, 5, 4, 2]);
    expect(await left(account)).toEqual(entries.filter((_, index) => index % 3 === 0).map(({ id }) => id));
  });

  it('deletes each event once where two prune at once', async () => {
    const account = await accountWith(
      Array.from({ length: 60 }, (_, index) => ({ id: `e${index}`, created: 40 + index })),
    );
    const both = await Promise.all([prune(account, { atMost: 5 }), prune(account, { atMost: 5 })]);
    expect(both.flat().reduce((sum, deleted) => sum + deleted, 0)).toBe(60);
    expect(await left(account)).toEqual([]);
  });

  it('walks an index, and does not look at the whole ledger', async () => {
    await database.pool.query(
      `insert into stripe_sync.accounts (account, cursor_id, cursor_created) values ('large', 'evt', now());`,
    );
    await database.pool.query(
      `insert into stripe_sync.events
         (account, id, type, created, object, object_id, event, source, seen_at, outcome, applied_at)
       select 'large', 'evt_' || n, 'customer.updated', now() - make_interval(mins => n), 'customer', 'cus_' || n % 99,
         '{}', 'poll', now(), 'applied', now() - make_interval(mins => n)
       from generate_series(1, 60000) n`,
    );
    await database.pool.query('analyze stripe_sync.events');
    const client = await database.pool.connect();
    const plans: string[] = [];
    try {
      client.on('notice', ({ message }) => plans.push(message ?? ''));
      await client.query(
        `load 'auto_explain'; set auto_explain.log_min_duration = 0; set client_min_messages = log;`,
      );
      const pool = { query: client.query.bind(client) } as unknown as typeof database.pool;
      const pruned = await pruneEvents(pool, {
        account: 'large',
        leastAge: 31 * DAY,
        keepSeconds: 30 * DAY,
        behindCursor: 2 * DAY,
        after: null,
        atMost: 1_000,
      });
      expect(pruned.deleted).toBe(1_000);
    } finally {
      client.release(true);
    }
    const plan = plans.join('\n');
    expect(plan).toContain('events_created');
    expect(plan).not.toMatch(/Seq Scan on stripe_sync\.events|Seq Scan on events/);
  });
});
