import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readsLeft } from '../../src/postgres/listings.js';
import type { RoomOptions } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { children, createWalkRoom, idsOf, parent, parents, TRANSACTION, walk } from './walk-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const room = (options: RoomOptions = {}) => createWalkRoom(database, options);

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
