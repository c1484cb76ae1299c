import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListingStep } from '../../src/postgres/listing-step.js';
import { type PageOfType, upsertPages } from '../../src/postgres/upsert-page.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const customer = (id: string, over: object = {}) => ({ object: 'customer', id, created: 500, ...over });

const page = (objects: readonly unknown[], over: Partial<PageOfType> = {}): PageOfType => ({
  page: JSON.stringify({ data: objects }),
  asOf: 1_000,
  asOfUntil: 1_002,
  ...over,
});

function upsert(account: string, pages: readonly PageOfType[]) {
  const type = { account, object: 'customer', table: 'customers', source: 'backfill:1', keyFields: ['id'] };
  return upsertPages(database.pool, type, pages);
}

/** A listing of the account, with ranges that begin at these seconds. @returns their numbers */
async function listingOf(account: string, from: readonly (number | null)[]): Promise<number[]> {
  await database.pool.query(
    `insert into stripe_sync.backfills (account, number, run, workflow, reason, types)
     values ($1, 1, 'run', 'workflow', 'start', '{customer}')`,
    [account],
  );
  await database.pool.query(
    `insert into stripe_sync.listings (account, number, object) values ($1, 1, 'customer')`,
    [account],
  );
  const ranges: number[] = [];
  for (const second of from) {
    const { rows } = await database.pool.query<{ range: string | number }>(
      `insert into stripe_sync.listing_ranges (account, number, object, pass, created_from)
       values ($1, 1, 'customer', 0, $2) returning range`,
      [account, second],
    );
    ranges.push(Number(rows[0]?.range));
  }
  return ranges;
}

const stepOf = (range: number | undefined, ends = false, pages = 0): { readonly step: ListingStep } => ({
  step: {
    number: 1,
    range: range ?? -1,
    pages,
    next: { ends, newest: 900, reached: 500, startingAfter: `after ${range}`, trail: [] },
  },
});

async function stateOf(account: string) {
  const { rows } = await database.pool.query<{ id: string }>(
    'select id from stripe.customers where account = $1 order by id',
    [account],
  );
  const ranges = await database.pool.query<{ range: string; pages: string; rows: string }>(
    'select range, pages, rows from stripe_sync.listing_ranges where account = $1 order by range',
    [account],
  );
  const listing = await database.pool.query<{ rows: string; requests: string; covered: string }>(
    'select rows, requests, covered from stripe_sync.listings where account = $1',
    [account],
  );
  return {
    ids: rows.map(({ id }) => id),
    ranges: ranges.rows.map((row) => [Number(row.range), Number(row.pages), Number(row.rows)]),
    listing: listing.rows.map((row) => [Number(row.rows), Number(row.requests), Number(row.covered)]),
  };
}

describe('pages that are written together', () => {
  it('have a version each, and are told of in the feed once', async () => {
    const results = await upsert('a', [
      page([customer('cus_1'), customer('cus_2')], { asOf: 100, asOfUntil: 101 }),
      page([], { asOf: 150, asOfUntil: 151 }),
      page([customer('cus_3')], { asOf: 200, asOfUntil: 205 }),
    ]);
    expect(results.map(({ listed, written, taken }) => [listed, written, taken])).toEqual([
      [2, 2, true],
      [0, 0, true],
      [1, 1, true],
    ]);
    const { rows } = await database.pool.query(
      `select id, extract(epoch from as_of)::int as since, extract(epoch from as_of_until)::int as until
       from stripe.customers where account = 'a' order by id`,
    );
    expect(rows).toEqual([
      { id: 'cus_1', since: 100, until: 101 },
      { id: 'cus_2', since: 100, until: 101 },
      { id: 'cus_3', since: 200, until: 205 },
    ]);
    const feed = await database.pool.query(
      `select id, kind, extract(epoch from as_of)::int as since from stripe_sync.changes where account = 'a' order by sequence`,
    );
    expect(feed.rows).toEqual(rows.map(({ id, since }) => ({ id, kind: 'created', since })));
  });

  it('take their steps, and two that end count both', async () => {
    const [first, second, third] = await listingOf('b', [800, 400, null]);
    const results = await upsert('b', [
      page([customer('cus_1', { created: 900 }), customer('cus_2', { created: 500 })], stepOf(first, true)),
      page([customer('cus_3'), customer('cus_4')], stepOf(second, true)),
      page([customer('cus_5')], stepOf(third)),
    ]);
    expect(results.map(({ taken }) => taken)).toEqual([true, true, true]);
    expect(await stateOf('b')).toEqual({
      ids: ['cus_1', 'cus_2', 'cus_3', 'cus_4', 'cus_5'],
      ranges: [[third, 1, 1]],
      // What lies below the first range is its neighbour's to count.
      listing: [[3, 2, 800]],
    });
  });

  it('take no step that somebody else took, and the others theirs', async () => {
    const [first, second] = await listingOf('c', [800, null]);
    const results = await upsert('c', [
      page([customer('cus_1')], stepOf(first, false, 7)),
      page([customer('cus_2')], stepOf(second)),
    ]);
    expect(results.map(({ written, taken }) => [written, taken])).toEqual([
      [1, false],
      [1, true],
    ]);
    expect((await stateOf('c')).ranges).toEqual([
      [first, 0, 0],
      [second, 1, 1],
    ]);
  });

  it('name what the clock cannot settle on one of them, which takes its step all the same', async () => {
    const [first, second] = await listingOf('d', [800, null]);
    await upsert('d', [page([customer('cus_1', { name: 'before' })])]);
    const results = await upsert('d', [
      page([customer('cus_1', { name: 'after' }), customer('cus_2')], stepOf(first)),
      page([customer('cus_3')], stepOf(second)),
    ]);
    expect(results).toMatchObject([
      { listed: 2, written: 1, taken: true, ambiguous: [{ objectId: 'cus_1', after: 1_002 }] },
      { listed: 1, written: 1, taken: true, ambiguous: [] },
    ]);
    const { rows } = await database.pool.query(
      `select id from stripe_sync.listing_reads where account = 'd'`,
    );
    expect(rows).toEqual([{ id: 'cus_1' }]);
    expect((await stateOf('d')).ranges).toEqual([
      [first, 1, 0],
      [second, 1, 1],
    ]);
  });

  it('hold up no other where PostgreSQL refuses an object of one', async () => {
    const [first, second] = await listingOf('e', [400, null]);
    const refused = customer('x'.repeat(9_000).replace(/x/g, () => Math.random().toString(36)[2] ?? 'x'));
    const results = await upsert('e', [
      page([customer('cus_1')], stepOf(first)),
      page([customer('cus_2'), refused, customer('cus_3')], stepOf(second)),
    ]);
    expect(results.map(({ written, taken, refused: without }) => [written, taken, without.length])).toEqual([
      [1, true, 0],
      [2, true, 1],
    ]);
    expect(await stateOf('e')).toEqual({
      ids: ['cus_1', 'cus_2', 'cus_3'],
      ranges: [
        [first, 1, 1],
        [second, 1, 2],
      ],
      listing: [[0, 0, 0]],
    });
  });
});
