import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type WalkParentsInput, type WalkParentsResult, walkParents } from '../../activities/walk-parents.js';
import { openBackfill } from '../../src/postgres/backfills.js';
import { readsLeft } from '../../src/postgres/listings.js';
import type { JsonObject } from '../../src/sandbox/simulator/index.js';
import { createStripeClient, type StripeClient } from '../../src/stripe/client.js';
import { hangingRequest, type RoomOptions } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createReadingRoom, type ReadingRoom } from '../support/reading-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const TRANSACTION = 'customer_balance_transaction';

/** A room with a backfill under way. */
async function room(options: RoomOptions = {}): Promise<ReadingRoom> {
  const of = await createReadingRoom(database, options);
  const backfill = { workflow: 'backfill', run: 'run', reason: 'asked for', types: [] };
  await openBackfill(database.pool, { account: of.account, ...backfill });
  return of;
}

function begin(
  { account, deps }: ReadingRoom,
  object: string,
  over: Partial<WalkParentsInput> = {},
  heartbeatDetails?: unknown,
) {
  const heartbeats: unknown[] = [];
  const environment = new MockActivityEnvironment({
    attempt: heartbeatDetails === undefined ? 1 : 2,
    heartbeatDetails,
  });
  environment.on('heartbeat', (details: unknown) => heartbeats.push(details));
  const input = { account, object, number: 1, apiVersion: null, since: null, seconds: 60, ...over };
  const result = environment.run(walkParents(deps) as never, input as never) as Promise<WalkParentsResult>;
  return { result, heartbeats };
}

const walk = (of: ReadingRoom, object: string, over: Partial<WalkParentsInput> = {}) =>
  begin(of, object, over).result;

/** A parent that Stripe has, with its row. */
async function parent(
  of: ReadingRoom,
  object: string,
  fields: JsonObject = {},
  asOf = of.now() - 500,
): Promise<string> {
  const state = of.simulator.create(object, fields, { event: false, created: of.now() - 900 });
  await of.hold(object, state as { id: string }, asOf, asOf);
  return String(state.id);
}

async function parents(of: ReadingRoom, object: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) ids.push(await parent(of, object));
  return ids.toSorted();
}

const children = (of: ReadingRoom, object: string, count: number, customer: string): string[] =>
  of.simulator.createMany(object, count, { fields: { customer } });

const idsOf = async (of: ReadingRoom, object: string) => (await of.rows(object)).map(({ id }) => id).sort();

describe('a walk over parents', () => {
  it('finds everything that belongs to parents with 0, 1, 100 and 101 objects', async () => {
    const of = await room();
    const ids: string[] = [];
    for (const count of [0, 1, 100, 101])
      ids.push(...children(of, TRANSACTION, count, await parent(of, 'customer')));
    expect(await walk(of, TRANSACTION)).toEqual({
      done: true,
      rows: 202,
      requests: 5,
      parents: { done: 4, total: 4 },
      skipped: null,
      ambiguous: [],
      refused: { count: 0, first: [] },
    });
    expect(await idsOf(of, TRANSACTION)).toEqual(ids.toSorted());
    const [row] = await of.rows(TRANSACTION);
    expect(row).toMatchObject({ source: 'backfill:1', deleted: false });
    expect(row?.data).toEqual(of.simulator.get(TRANSACTION, row?.id ?? '')?.data);
    expect(
      of.paths.every((path) => /^\/v1\/customers\/\w+\/balance_transactions\?limit=100/.test(path)),
    ).toBe(true);
  });

  it('is done at once where there is no parent', async () => {
    const of = await room();
    expect(await walk(of, TRANSACTION)).toMatchObject({
      done: true,
      requests: 0,
      parents: { done: 0, total: 0 },
    });
  });

  it('puts cards, bank accounts and sources of one list into their own tables, asked for or not', async () => {
    for (const drops of [false, true]) {
      const of = await room({ between: (path, get) => get(drops ? path.replace(/&object=\w+/, '') : path) });
      const made: Record<string, string[]> = {};
      const customer = await parent(of, 'customer', { default_source: 'card_1' });
      for (const object of ['card', 'bank_account', 'source'])
        made[object] = children(of, object, 3, customer).sort();
      for (const object of ['card', 'bank_account', 'source']) {
        expect(await walk(of, object)).toMatchObject({ done: true, rows: 3, skipped: null });
        expect(await idsOf(of, object)).toEqual(made[object]);
      }
    }
  });

  it('goes over each kind of parent: the external accounts of connected accounts, their persons and capabilities', async () => {
    const of = await room();
    const account = await parent(of, 'account');
    const customer = await parent(of, 'customer', { default_source: 'ba_1' });
    const bank = of.simulator.create('bank_account', { account }, { event: false });
    const other = of.simulator.create('bank_account', { customer }, { event: false });
    const person = of.simulator.create('person', { account }, { event: false });
    of.simulator.create('capability', { account, id: 'card_payments' }, { event: false });
    for (const object of ['bank_account', 'person', 'capability']) await walk(of, object);
    expect(await idsOf(of, 'bank_account')).toEqual([String(bank.id), String(other.id)].sort());
    expect(await idsOf(of, 'person')).toEqual([person.id]);
    expect(await idsOf(of, 'capability')).toEqual([`${account}:card_payments`]);
  });

  it('reads the one object that a parent may have, and asks only where the row says that there is one', async () => {
    const of = await room();
    const customer = await parent(of, 'customer', { discount: { object: 'discount' } });
    await parent(of, 'customer', { discount: null });
    const discount = of.simulator.create('discount', { customer }, { event: false });
    expect(await walk(of, 'discount')).toMatchObject({
      done: true,
      rows: 1,
      requests: 1,
      parents: { total: 1 },
    });
    expect(await of.rows('discount')).toMatchObject([{ id: discount.id }]);
  });

  it('asks for what a parent’s field names, and not where the parent lacks it', async () => {
    const of = await room();
    const account = await parent(of, 'financial_connections.account', { ownership: 'fcaowns_1' });
    await parent(of, 'financial_connections.account', { ownership: null });
    await walk(of, 'financial_connections.account_owner');
    expect(of.paths).toEqual([
      `/v1/financial_connections/accounts/${account}/owners?limit=100&ownership=fcaowns_1`,
    ]);
  });

  it('lists several parents at a time, and no more than it is told to', async () => {
    let underWay = 0;
    let most = 0;
    const of = await room({
      between: async (path, get) => {
        underWay += 1;
        most = Math.max(most, underWay);
        await new Promise((resolve) => setTimeout(resolve, 10));
        const response = await get(path);
        underWay -= 1;
        return response;
      },
    });
    await parents(of, 'customer', 30);
    expect(await walk(of, TRANSACTION, { concurrency: 5 })).toMatchObject({ done: true, requests: 30 });
    expect(most).toBe(5);
  });

  it('with a second from which on things changed, asks only parents that changed since', async () => {
    const of = await room();
    const since = of.now() - 100;
    const old = await parent(of, 'customer', {}, since - 50);
    const changed = await parent(of, 'customer', {}, since - 50);
    const listedAgain = await parent(of, 'customer', {}, since + 50);
    for (const customer of [old, changed, listedAgain]) children(of, TRANSACTION, 1, customer);
    const change = (id: string, asOf: number) =>
      database.pool.query(
        `insert into stripe_sync.changes (account, object, id, kind, as_of, changed, recorded_at)
         values ($1, 'customer', $2, 'updated', to_timestamp($3), '{name}', to_timestamp($3))`,
        [of.account, id, asOf],
      );
    await database.pool.query('delete from stripe_sync.changes');
    await change(old, since - 5_000);
    await change(listedAgain, since - 50);
    await change(changed, since);
    await database.pool.query('update stripe.customers set as_of_until = to_timestamp($2) where id = $1', [
      changed,
      since,
    ]);
    expect(await walk(of, TRANSACTION, { since })).toMatchObject({ rows: 1, parents: { done: 1, total: 1 } });
    expect(of.paths[0]).toContain(changed);
  });

  it('asks every parent that was seen since, where the feed of changes does not reach back so far', async () => {
    const of = await room();
    const since = of.now() - 10_000_000;
    await parent(of, 'customer', {}, since - 1);
    await parent(of, 'customer', {}, since);
    expect(await walk(of, TRANSACTION, { since })).toMatchObject({ parents: { done: 1, total: 1 } });
  });

  it('asks no parent whose row is a tombstone', async () => {
    const of = await room();
    const state = of.simulator.create('customer', {}, { event: false });
    await of.hold('customer', state as { id: string }, of.now() - 50, of.now() - 50, true);
    expect(await walk(of, TRANSACTION)).toMatchObject({ done: true, requests: 0 });
  });
});

describe('a walk that is interrupted', () => {
  it('goes on after a kill, and lists no more than what was under way twice', async () => {
    const hanging = hangingRequest();
    let answers = 0;
    let hung = 0;
    const of = await room({
      between: (path, get) => {
        answers -= 1;
        if (answers >= 0) return get(path);
        hung += 1;
        return hanging.request();
      },
    });
    const ids: string[] = [];
    for (const customer of await parents(of, 'customer', 60))
      ids.push(...children(of, TRANSACTION, 2, customer));
    const concurrency = 4;
    const kills = 5;
    let heartbeats: unknown[] = [];
    for (let attempt = 1; attempt <= kills; attempt += 1) {
      answers = 10;
      hung = 0;
      const { result, heartbeats: beats } = begin(of, TRANSACTION, { concurrency }, heartbeats.at(-1));
      void result.catch(() => undefined);
      // A process that is gone: nothing it asks for is answered any more.
      while (hung < concurrency) await new Promise((resolve) => setTimeout(resolve, 5));
      heartbeats = beats;
    }
    answers = Number.POSITIVE_INFINITY;
    const { result } = begin(of, TRANSACTION, { concurrency }, heartbeats.at(-1));
    expect(await result).toMatchObject({ done: true, parents: { done: 60, total: 60 } });
    hanging.end();
    expect(await idsOf(of, TRANSACTION)).toEqual(ids.toSorted());
    expect(of.paths.length).toBeLessThanOrEqual(60 + kills * concurrency);
    const { rows } = await database.pool.query(
      'select rows::float8, requests::float8 from stripe_sync.listings where account = $1',
      [of.account],
    );
    expect(rows).toEqual([{ rows: 120, requests: 60 }]);
  });

  it('comes to its end in slices of no time at all, a parent a slice', async () => {
    const of = await room();
    for (const customer of await parents(of, 'customer', 4)) children(of, TRANSACTION, 101, customer);
    let slices = 0;
    let result: WalkParentsResult;
    do {
      result = await walk(of, TRANSACTION, { seconds: 0 });
      slices += 1;
    } while (!result.done);
    expect(slices).toBeLessThanOrEqual(10);
    expect(of.paths).toHaveLength(8);
    expect(await of.rows(TRANSACTION)).toHaveLength(404);
  });

  it('hands in what it has when the worker stops', async () => {
    const of = await room({
      between: (path, get) => {
        if (of.paths.length === 3) of.stopping.abort();
        return get(path);
      },
    });
    for (const customer of await parents(of, 'customer', 9)) children(of, TRANSACTION, 1, customer);
    const stopped = await walk(of, TRANSACTION, { concurrency: 1 });
    expect(stopped).toMatchObject({ done: false, parents: { done: 3, total: 9 } });
  });

  it('gives way to another attempt that is on its way', async () => {
    const hanging = hangingRequest();
    const of = await room({
      between: (path, get) => (of.paths.length === 3 ? hanging.request() : get(path)),
    });
    await parents(of, 'customer', 8);
    const zombie = begin(of, TRANSACTION, { concurrency: 1 });
    while (of.paths.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(await walk(of, TRANSACTION)).toMatchObject({ done: true, parents: { done: 8, total: 8 } });
    hanging.end();
    await expect(zombie.result).rejects.toThrow();
    const { rows } = await database.pool.query(
      'select parents_done::float8, requests::float8 from stripe_sync.listings where account = $1',
      [of.account],
    );
    expect(rows).toEqual([{ parents_done: 8, requests: 8 }]);
  });
});

describe('what changes while a walk goes on', () => {
  it('passes over a parent that is gone meanwhile', async () => {
    const of = await room();
    const ids = await parents(of, 'customer', 5);
    for (const customer of ids) children(of, TRANSACTION, 1, customer);
    of.simulator.remove('customer', ids[0] ?? '', { event: false });
    of.simulator.remove('customer', ids[3] ?? '', { event: false });
    expect(await walk(of, TRANSACTION)).toMatchObject({
      done: true,
      rows: 3,
      skipped: null,
      parents: { done: 5 },
    });
  });

  it('goes on where the object that the next page begins after was deleted', async () => {
    const of = await room({
      between: async (path, get) => {
        const last = /starting_after=(\w+)/.exec(path)?.[1];
        if (last !== undefined && of.simulator.get('bank_account', last)?.deleted === false)
          of.simulator.remove('bank_account', last, { event: false });
        return get(path);
      },
    });
    const customer = await parent(of, 'customer', { default_source: 'ba_1' });
    const ids = children(of, 'bank_account', 150, customer);
    expect(await walk(of, 'bank_account')).toMatchObject({ done: true, skipped: null });
    expect(await idsOf(of, 'bank_account')).toEqual(ids.toSorted());
  });

  it('walks a parent too whose row comes behind its position', async () => {
    let late: string | null = null;
    const of = await room({
      between: async (path, get) => {
        if (of.paths.length === 3) {
          late = await lateParent('cus_000');
          children(of, TRANSACTION, 1, late);
        }
        return get(path);
      },
    });
    const lateParent = async (id: string) => {
      const state = of.simulator.create('customer', { id });
      const [event] = of.simulator.events().slice(-1);
      await of.receive([{ ...JSON.parse(JSON.stringify(await eventText(of, event?.id ?? ''))) }]);
      await of.run('applyChanges', {
        account: of.account,
        object: 'customer',
        objectId: id,
        ids: [event?.id ?? ''],
        hydrate: 'payload',
        apiVersion: null,
      });
      return String(state.id);
    };
    for (const customer of await parents(of, 'customer', 5)) children(of, TRANSACTION, 1, customer);
    expect(await walk(of, TRANSACTION, { concurrency: 1 })).toMatchObject({
      done: true,
      rows: 6,
      parents: { done: 6, total: 6 },
    });
    expect(of.paths.at(-1)).toContain('cus_000');
  });
});

/** An event as Stripe shows it. */
async function eventText(of: ReadingRoom, id: string): Promise<unknown> {
  const response = await fetch(`${of.simulator.url}/v1/events/${id}`, {
    headers: { authorization: `Bearer ${of.simulator.apiKey}` },
  });
  return response.json();
}

/** The room with a key that may read what these permissions allow. */
function withKey(of: ReadingRoom, permissions: readonly string[]): ReadingRoom {
  const apiKey = of.simulator.createRestrictedKey(permissions);
  const client = createStripeClient({ apiKey, baseUrl: of.simulator.url });
  onTestFinished(() => client.close());
  const get: StripeClient['get'] = (path, options) => {
    of.paths.push(path);
    return client.get(path, options);
  };
  return { ...of, deps: { ...of.deps, stripe: () => ({ ...client, get }) } };
}

/** A room in which Stripe refuses (400) what the pattern names. */
const refusing = (pattern: RegExp) =>
  room({ between: (path, get) => get(pattern.test(path) ? '/v1/customers?limit=nonsense' : path) });

describe('a list that answers something else', () => {
  it('leaves the type out with what is missing, after one request, where the key may not read it', async () => {
    const of = withKey(await room(), ['rak_product_read']);
    await parents(of, 'customer', 9);
    const result = await walk(of, TRANSACTION);
    expect(result).toMatchObject({ done: true, rows: 0, requests: 1 });
    expect(result.skipped).toContain('rak_customer_read');
  });

  it('leaves the type out where every parent is refused at first, and says why', async () => {
    const of = await refusing(/balance_transactions/);
    await parents(of, 'customer', 9);
    const result = await walk(of, TRANSACTION);
    expect(result).toMatchObject({ done: true, rows: 0, requests: 5 });
    expect(result.skipped).toMatch(
      /^\/v1\/customers\/{parent}\/balance_transactions is left out: Stripe refuses/,
    );
  });

  it('passes over a parent that is refused alone, and says so', async () => {
    const of = await refusing(/cus_refused/);
    for (const id of ['cus_a', 'cus_refused', 'cus_z'])
      children(of, TRANSACTION, 1, await parent(of, 'customer', { id }));
    const result = await walk(of, TRANSACTION);
    expect(result).toMatchObject({ done: true, rows: 2, parents: { done: 3, total: 3 } });
    expect(result.skipped).toMatch(/passes over some: Stripe refuses/);
  });

  it('leaves out one of its walks alone, and goes on with the others', async () => {
    const of = await refusing(/external_accounts/);
    await parents(of, 'account', 2);
    const customer = await parent(of, 'customer', { default_source: 'card_1' });
    children(of, 'card', 2, customer);
    const result = await walk(of, 'card');
    expect(result).toMatchObject({ done: true, rows: 2 });
    expect(result.skipped).toMatch(/external_accounts is left out/);
    expect(await of.rows('card')).toHaveLength(2);
  });

  it('is asked again where it fails for once', async () => {
    const of = await room();
    await parents(of, 'customer', 3);
    of.simulator.addFault({ kind: 'server_error', next: 1 });
    of.simulator.addFault({ kind: 'cut_body', next: 1 });
    expect(await walk(of, TRANSACTION)).toMatchObject({ done: true, requests: 5 });
  });

  it('fails where nothing helps, and where it came further before, goes on from there', {
    timeout: 60_000,
  }, async () => {
    const of = await room();
    const ids = await parents(of, 'customer', 3);
    of.simulator.addFault({ kind: 'server_error', probability: 1, path: `/v1/customers/${ids[1]}/` });
    expect(await walk(of, TRANSACTION, { concurrency: 1 })).toMatchObject({
      done: false,
      parents: { done: 1 },
    });
    await expect(walk(of, TRANSACTION, { concurrency: 1 })).rejects.toMatchObject({ kind: 'transient' });
    of.simulator.setFaults({});
    expect(await walk(of, TRANSACTION)).toMatchObject({ done: true, parents: { done: 3, total: 3 } });
  });
});

describe('a row that a walk meets', () => {
  it('is noted for a read where the clock cannot tell which is newer', async () => {
    const of = await room();
    const customer = await parent(of, 'customer');
    const [id = ''] = children(of, TRANSACTION, 1, customer);
    const until = of.now() + 30;
    await of.hold(TRANSACTION, { id, customer } as { id: string }, of.now() - 2, until);
    const { ambiguous } = await walk(of, TRANSACTION);
    expect(ambiguous).toEqual([{ objectId: id, after: until }]);
    const listing = { account: of.account, object: TRANSACTION, number: 1 };
    expect(await readsLeft(database.pool, listing, 10)).toEqual([{ id, after: until }]);
  });

  it('is settled by the list itself where its type has no path of its own', { timeout: 30_000 }, async () => {
    const of = await room();
    const quote = await parent(of, 'quote');
    const [id = ''] = of.simulator.createMany('item', 1, { parent: { object: 'quote', id: quote } });
    await of.hold('item', { id, object: 'item' } as { id: string }, of.now() - 1, of.now());
    expect(await walk(of, 'item')).toMatchObject({ done: true, ambiguous: [] });
    const [row] = await of.rows('item');
    expect(row?.data).toEqual(of.simulator.get('item', id)?.data);
  });
});
