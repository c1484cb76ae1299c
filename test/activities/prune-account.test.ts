import { randomBytes } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ActivityDeps } from '../../activities/deps.js';
import { type Pruned, type PruneInput, pruneAccount } from '../../activities/prune-account.js';
import { insertEvents } from '../../src/postgres/insert-events.js';
import { retryEvents } from '../../src/postgres/retry-events.js';
import { settleEvents } from '../../src/postgres/settle-events.js';
import { compositeKeys, storedObjects } from '../../src/stripe/stored-objects.js';
import { type ActivityRoom, createActivityRoom, eventOf } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const DAY = 86_400;
const KEEP = { eventsSeconds: 30 * DAY, changesSeconds: 30 * DAY };

async function openAccount(account: string): Promise<void> {
  await database.pool.query(
    `insert into stripe_sync.accounts (account, cursor_id, cursor_created) values ($1, 'evt_cursor', now())`,
    [account],
  );
}

/** The activity with small batches, and what it heartbeats. */
function pruning(input: PruneInput, batch: number, remembered?: unknown) {
  const heartbeats: unknown[] = [];
  const environment = new MockActivityEnvironment({
    ...(remembered === undefined ? {} : { heartbeatDetails: remembered }),
  });
  environment.on('heartbeat', (details: unknown) => heartbeats.push(details));
  const deps = { pool: database.pool } as ActivityDeps;
  const result = environment.run(pruneAccount(deps, batch), input) as Promise<Pruned>;
  return { result, heartbeats, cancel: () => environment.cancel() };
}

/** Old events that are settled, old changes, and as many young ones of both. */
async function accountWithPast(count: number): Promise<string> {
  const account = `past-${randomBytes(4).toString('hex')}`;
  await openAccount(account);
  // The feed is one for all accounts, and in the order of time.
  await database.pool.query('truncate stripe_sync.changes');
  await database.pool.query(
    `insert into stripe_sync.events
       (account, id, type, created, object, object_id, event, source, seen_at, outcome, applied_at)
     select $1, 'evt_' || n, 'customer.updated', at, 'customer', 'cus_' || n, '{}', 'poll', at, 'applied', at
     from generate_series(1, 2 * $2::integer) n,
       lateral (select date_trunc('second', now()) - make_interval(days => case when n <= $2 then 90 else 9 end) as at) t`,
    [account, count],
  );
  await database.pool.query(
    `insert into stripe_sync.changes (account, object, id, kind, as_of, changed, recorded_at)
     select account, object, object_id, 'updated', created, '{}', created from stripe_sync.events
     where account = $1 order by created`,
    [account],
  );
  return account;
}

async function count(table: string, account: string): Promise<number> {
  const { rows } = await database.pool.query<{ count: number }>(
    `select count(*)::int as count from stripe_sync.${table} where account = $1`,
    [account],
  );
  return rows[0]?.count ?? -1;
}

describe('pruning an account', () => {
  it('deletes what is past its age of the ledger and of the change feed, and says how much that was', async () => {
    const account = await accountWithPast(23);
    const { result, heartbeats } = pruning({ account, ...KEEP }, 5);
    expect(await result).toEqual({ events: 23, changes: 23, listings: 0, reads: 0 });
    expect(await count('events', account)).toBe(23);
    expect(await count('changes', account)).toBe(23);
    expect(heartbeats.length).toBeGreaterThanOrEqual(10);
    expect(await pruning({ account, ...KEEP }, 5).result).toMatchObject({ events: 0, changes: 0 });
  });

  it('keeps either for good, when it is told to', async () => {
    const account = await accountWithPast(4);
    await pruning({ account, eventsSeconds: null, changesSeconds: null }, 5).result;
    expect([await count('events', account), await count('changes', account)]).toEqual([8, 8]);
    await pruning({ account, ...KEEP, eventsSeconds: null }, 5).result;
    expect([await count('events', account), await count('changes', account)]).toEqual([8, 4]);
  });

  it('keeps what Stripe still lists, however short a time the ledger is asked to keep', async () => {
    const account = await accountWithPast(4);
    await pruning({ account, eventsSeconds: DAY, changesSeconds: DAY }, 5).result;
    expect([await count('events', account), await count('changes', account)]).toEqual([4, 0]);
  });

  it('goes on where the last attempt was, and counts all of it', async () => {
    const account = await accountWithPast(40);
    const first = pruning({ account, ...KEEP }, 5);
    await expect.poll(() => first.heartbeats.length, { interval: 5 }).toBeGreaterThan(2);
    first.cancel();
    await expect(first.result).rejects.toThrow();
    const gone = 80 - (await count('events', account));
    expect(gone).toBeGreaterThan(0);
    expect(gone).toBeLessThan(40);
    const second = pruning({ account, ...KEEP }, 5, first.heartbeats.at(-1));
    expect(await second.result).toMatchObject({ events: 40, changes: 40 });
  });

  it('drops what earlier backfills and counts of requests left, but not what the next refresh needs', async () => {
    const account = await accountWithPast(0);
    await database.pool.query(
      `insert into stripe_sync.backfills (account, number, run, workflow, reason, types, started_at, ended_at, outcome)
       select $1, n, n::text, 'w', 'r', '{}', at, at, 'done'
       from generate_series(1, 6) n, lateral (select now() - make_interval(days => 70 - 10 * n) as at) t`,
      [account],
    );
    const listed = (
      number: number,
      object: string,
      outcome: string | null,
      since: boolean,
      proves: boolean,
    ) =>
      database.pool.query(
        `insert into stripe_sync.listings
           (account, number, object, since, started_at, ended_at, outcome, complete_to)
         select $1, $2, $3, case when $5 then started_at end, started_at, started_at, $4,
           case when $6 then started_at end
         from stripe_sync.backfills where account = $1 and number = $2`,
        [account, number, object, outcome, since, proves],
      );
    await listed(1, 'customer', 'done', false, true);
    await listed(1, 'item', 'done', false, true);
    await listed(2, 'item', 'done', true, true);
    await listed(3, 'item', 'done', true, true);
    await listed(4, 'item', 'failed', true, false);
    await listed(5, 'item', 'failed', true, false);
    await listed(2, 'plan', 'skipped', false, false);
    await listed(3, 'plan', null, false, false);
    await database.pool.query(
      `insert into stripe_sync.reads (account, hour, reads)
       select $1, now() - make_interval(days => n), 7 from unnest(array[1, 29, 31, 61, 90]) n`,
      [account],
    );
    expect(await pruning({ account, ...KEEP }, 5).result).toMatchObject({ listings: 3, reads: 2 });
    const { rows } = await database.pool.query<{ kept: string }>(
      `select object || ' ' || number as kept from stripe_sync.listings where account = $1 order by object, number`,
      [account],
    );
    // All of item, what is proven of it, and its last listing; backfill 5 is younger than what is deleted at all.
    expect(rows.map(({ kept }) => kept)).toEqual(['customer 1', 'item 1', 'item 3', 'item 5', 'plan 3']);
    const numbers = await database.pool.query<{ number: number }>(
      'select number from stripe_sync.backfills where account = $1 order by number',
      [account],
    );
    expect(numbers.rows.map(({ number }) => number)).toEqual([1, 3, 5, 6]);
  });
});

/** Numbers from 0 to 1 that follow from a seed. */
function drawing(seed: number): () => number {
  let state = seed * 0x9e3779b1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

interface Told extends ReturnType<typeof eventOf> {
  readonly entity: { readonly object: string; readonly objectId: string };
}

/** Lives of objects that can be read, made again, or not be read at all, several changes to a second. */
function livesOf(seed: number, now: number) {
  const draw = drawing(seed);
  const pick = (below: number) => Math.floor(draw() * below);
  const events: Told[] = [];
  for (const object of ['customer', 'coupon', 'reserve.plan']) {
    for (let each = 0; each < 4; each += 1) {
      const objectId = `${object}_${each}`;
      let name = 0;
      let at = now - (60 - pick(20)) * DAY;
      for (let step = 0; step < 14 && at < now - 60; step += 1) {
        const kind =
          step === 0 ? 'created' : object !== 'reserve.plan' && draw() < 0.1 ? 'deleted' : 'updated';
        const previous = name;
        name = draw() < 0.3 ? Math.max(0, name - 1) : name + 1;
        const told = eventOf(`evt_${object}_${each}_${pick(1e6)}_${step}`, `${object}.${kind}`, at, {
          object,
          id: objectId,
          name,
        });
        const data = {
          ...told.data,
          ...(kind === 'updated' ? { previous_attributes: { name: previous } } : {}),
        };
        events.push({ ...told, data, entity: { object, objectId } });
        if (draw() < 0.5) at += draw() < 0.5 ? 1 : pick(12) * DAY;
      }
    }
  }
  return { events, draw };
}

function shuffled<T>(items: readonly T[], draw: () => number): T[] {
  return items
    .map((item) => ({ item, at: draw() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

describe('an account that is pruned, and its twin that is not', () => {
  // Without what is kept beside a parked change, all but the first two end otherwise.
  const SEEDS = [1, 2, 5, 7, 8, 10];

  async function receive(room: ActivityRoom, events: readonly Told[]): Promise<number> {
    const { inserted } = await insertEvents(database.pool, {
      account: room.account,
      page: JSON.stringify({ data: events.map(({ entity: _, ...event }) => event) }),
      source: 'rescan',
      seenAt: room.now(),
      objects: storedObjects(),
      keyFields: compositeKeys(),
    });
    return inserted.length;
  }

  const apply = (room: ActivityRoom, event: Told, ids: readonly string[]) =>
    room.run('applyChanges', {
      account: room.account,
      ...event.entity,
      ids,
      hydrate: 'auto',
      apiVersion: '2026-10-28.endive',
    });

  it.each(SEEDS)(
    'come to the same end, whatever Stripe still lists and whatever is retried (seed %i)',
    async (seed) => {
      const room = await createActivityRoom(database);
      const twin = await createActivityRoom(database);
      const rooms = [room, twin];
      const now = room.now();
      const { events, draw } = livesOf(seed, now);
      const young = events.filter(({ created }) => created > now - 29 * DAY);
      const late = young.filter(() => draw() < 0.4);
      const early = events.filter((event) => !late.includes(event));
      const parked = early.filter(
        ({ created, entity }) => created < now - 32 * DAY && /[01]$/.test(entity.objectId) && draw() < 0.3,
      );
      const ids = new Set(parked.map(({ id }) => id));
      const order = shuffled(early, draw);
      for (const each of rooms) {
        await openAccount(each.account);
        await receive(each, early);
        await database.pool.query(
          `update stripe_sync.events set claimed_by = 'a fetch' where account = $1 and id = any($2)`,
          [each.account, [...ids]],
        );
        await settleEvents(database.pool, {
          account: each.account,
          ids: [...ids],
          outcome: 'parked',
          reason: 'so',
        });
        for (const event of order) if (!ids.has(event.id)) await apply(each, event, [event.id]);
        // As if it had been done when the events came.
        await database.pool.query(
          `update stripe_sync.events set applied_at = created where account = $1 and applied_at is not null`,
          [each.account],
        );
      }
      const { events: pruned } = await pruning({ account: room.account, ...KEEP }, 7).result;
      const before = await room.ledger();
      expect(pruned).toBeGreaterThan(0);
      expect(before.filter(({ outcome }) => outcome === 'parked')).toHaveLength(parked.length);

      const again = shuffled(late, draw);
      const retried = shuffled(parked, draw);
      const results: unknown[][] = [];
      for (const each of rooms) {
        expect(await receive(each, young)).toBe(late.length);
        const told: unknown[] = [];
        for (const event of again) told.push(await apply(each, event, [event.id]));
        if (parked.length > 0) await retryEvents(database.pool, each.account, null);
        for (const event of retried) told.push(await apply(each, event, [event.id]));
        results.push(told);
      }
      expect(results[0]).toEqual(results[1]);
      const outcomes = await twin.outcomes();
      for (const [id, outcome] of Object.entries(await room.outcomes()))
        expect([id, outcome]).toEqual([id, outcomes[id]]);
      for (const object of ['customer', 'coupon', 'reserve.plan'])
        expect(await room.rows(object)).toEqual(await twin.rows(object));
    },
    120_000,
  );
});
