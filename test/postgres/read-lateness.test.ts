import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LATENESS_BUCKETS } from '../../src/domain/lateness.js';
import { LATENESS_PERCENTS } from '../../src/domain/lateness-advice.js';
import { type Lateness, readLateness } from '../../src/postgres/read-lateness.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

/** Seconds of Stripe's clock from which the tests count. */
const T = 1_800_000_000;

interface Row {
  readonly source?: 'poll' | 'webhook' | 'rescan';
  /** Seconds after `created`; null: nobody looked, or the list does not show it yet. */
  readonly looked: number | null;
  readonly listed: number | null;
  readonly seen?: number;
  readonly created?: number;
}

let database: TestDatabase;
let account: string;
let number = 0;

beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  number += 1;
  account = `account-${number}`;
});

const INSERT = `
insert into stripe_sync.events (account, id, type, created, event, source, seen_at, listed_at, looked_at)
select $1, 'evt_' || n, 'customer.updated', to_timestamp(created), '{}', source,
  to_timestamp(created + seen), to_timestamp(created + listed), to_timestamp(created + looked)
from rows from (unnest($2::text[], $3::float8[], $4::float8[], $5::float8[], $6::float8[]))
  with ordinality as r(source, created, seen, listed, looked, n)`;

async function insert(rows: readonly Row[], into = account): Promise<void> {
  const column = <T>(of: (row: Row) => T) => rows.map(of);
  await database.pool.query(INSERT, [
    into,
    column((row) => row.source ?? 'poll'),
    column((row) => row.created ?? T),
    column((row) => row.seen ?? row.listed ?? 1),
    column((row) => row.listed),
    column((row) => row.looked),
  ]);
}

function read(since = T): Promise<Lateness> {
  return readLateness(database.pool, {
    account,
    since,
    buckets: LATENESS_BUCKETS,
    percents: LATENESS_PERCENTS,
  });
}

describe('what counts as measured', () => {
  it.each<{ title: string; row: Row; isMeasured: boolean }>([
    {
      title: 'there at a look a second after one without it',
      row: { looked: 1, listed: 2 },
      isMeasured: true,
    },
    { title: 'there within a minute of its creation', row: { looked: -5, listed: 60 }, isMeasured: true },
    {
      title: 'there when nobody had looked for over a minute',
      row: { looked: -5, listed: 61 },
      isMeasured: false,
    },
    { title: 'between two looks a minute apart', row: { looked: 30, listed: 90 }, isMeasured: true },
    { title: 'between two looks over a minute apart', row: { looked: 30, listed: 91 }, isMeasured: false },
    {
      title: 'very late, and known to within half of that',
      row: { looked: 500, listed: 1_000 },
      isMeasured: true,
    },
    { title: 'very late, and known less closely', row: { looked: 500, listed: 1_001 }, isMeasured: false },
    {
      title: 'first listed where nobody had ever looked',
      row: { looked: null, listed: 1 },
      isMeasured: false,
    },
    {
      title: 'known by a webhook only',
      row: { source: 'webhook', looked: null, listed: null },
      isMeasured: false,
    },
    {
      title: 'looked for in vain, and known by a webhook only',
      row: { source: 'webhook', looked: 3, listed: null },
      isMeasured: false,
    },
    {
      title: 'told by a webhook, and then listed while somebody looked',
      row: { source: 'webhook', looked: 3, listed: 4, seen: 1 },
      isMeasured: true,
    },
    {
      title: 'told by a webhook, and listed after a pause',
      row: { source: 'webhook', looked: 3, listed: 400, seen: 1 },
      isMeasured: false,
    },
    {
      title: 'found by a rescan, however long after',
      row: { source: 'rescan', looked: 6, listed: 900 },
      isMeasured: true,
    },
    {
      title: 'found by a rescan where nobody had looked',
      row: { source: 'rescan', looked: null, listed: 900 },
      isMeasured: true,
    },
    {
      title: 'found by a rescan before the listing was noted',
      row: { source: 'rescan', looked: null, listed: null, seen: 700 },
      isMeasured: true,
    },
  ])('$title: $isMeasured', async ({ row, isMeasured }) => {
    await insert([row]);
    expect(await read()).toMatchObject({
      measured: isMeasured ? 1 : 0,
      notMeasured: isMeasured ? 0 : 1,
      worstSeconds: isMeasured ? (row.listed ?? row.seen) : null,
      worstAtLeastSeconds: isMeasured ? Math.max(0, row.looked ?? 0) : null,
      leaks:
        row.source === 'rescan'
          ? { count: 1, worstSeconds: row.listed ?? row.seen }
          : { count: 0, worstSeconds: null },
    });
  });
});

describe('the lateness of an account', () => {
  it('is nothing where the ledger holds nothing of it', async () => {
    await insert([{ looked: 1, listed: 2 }], `another-${account}`);
    expect(await read()).toEqual({
      measured: 0,
      notMeasured: 0,
      histogram: new Array(LATENESS_BUCKETS.length + 1).fill(0),
      percentiles: LATENESS_PERCENTS.map(() => null),
      worstSeconds: null,
      worstAtLeastSeconds: null,
      leaks: { count: 0, worstSeconds: null },
    });
  });

  it('takes the events that were created since then, with that second itself', async () => {
    await insert([-1, 0, 1].map((offset) => ({ created: T + offset, looked: 0, listed: 1 })));
    expect((await read(T)).measured).toBe(2);
    expect((await read(T - 1)).measured).toBe(3);
  });

  it('puts each event into the first bucket that is wide enough, and the latest into the last one', async () => {
    const listed = LATENESS_BUCKETS.flatMap((bound) => [bound, bound + 0.5]);
    await insert([0, ...listed].map((each) => ({ looked: Math.floor(each * 0.9), listed: each })));
    expect(await read()).toMatchObject({
      histogram: [...LATENESS_BUCKETS.map(() => 2), 1],
      worstSeconds: 301,
    });
  });

  it('has no part below a second: an upper bound is rounded up, a lower one down, and neither is negative', async () => {
    await insert([{ looked: 2.9, listed: 3.1 }]);
    expect(await read()).toMatchObject({ worstSeconds: 4, worstAtLeastSeconds: 2 });
    await insert([{ looked: -7, listed: -1 }], `early-${account}`);
    account = `early-${account}`;
    expect(await read()).toMatchObject({ measured: 1, worstSeconds: 0, worstAtLeastSeconds: 0 });
  });

  it('counts leaks among the measured events, and by themselves', async () => {
    await insert([
      { looked: 1, listed: 2 },
      { looked: 200, listed: 201 },
      { source: 'rescan', looked: 6, listed: 41 },
      { source: 'rescan', looked: null, listed: 30 },
    ]);
    expect(await read()).toMatchObject({
      measured: 4,
      worstSeconds: 201,
      leaks: { count: 2, worstSeconds: 41 },
    });
  });

  it('has percentiles of the nearest rank, for ten thousand events and for one', async () => {
    await insert(
      Array.from({ length: 10_000 }, (_, index) => ({
        looked: index,
        listed: index + 1,
      })),
    );
    expect(await read()).toMatchObject({
      measured: 10_000,
      percentiles: [5_000, 9_000, 9_900, 9_990, 9_999],
      worstSeconds: 10_000,
    });
    account = `single-${account}`;
    await insert([{ looked: 6, listed: 7 }]);
    expect((await read()).percentiles).toEqual([7, 7, 7, 7, 7]);
  });

  it('agrees with a plain count, whatever the ledger holds', async () => {
    const offset = fc.oneof(fc.integer({ min: -3, max: 12 }), fc.integer({ min: -3, max: 900 }));
    const row: fc.Arbitrary<Row> = fc.record({
      source: fc.constantFrom('poll' as const, 'poll' as const, 'webhook' as const, 'rescan' as const),
      looked: fc.option(offset),
      listed: fc.option(offset, { freq: 9 }),
      seen: offset,
      created: fc.integer({ min: T, max: T + 5 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 60 }), async (rows) => {
        number += 1;
        account = `account-${number}`;
        await insert(rows);
        expect(await read()).toEqual(counted(rows));
      }),
      { numRuns: 60 },
    );
  });
});

/** The same by hand, row by row. */
function counted(rows: readonly Row[]): Lateness {
  const measured = rows.flatMap(({ source, looked, listed, seen = 0 }) => {
    const isLeak = source === 'rescan';
    const at = listed ?? (isLeak ? seen : null);
    const isClose = at !== null && looked !== null && at - Math.max(looked, 0) <= Math.max(60, looked);
    if (at === null || !(isLeak || isClose)) return [];
    const atMost = Math.max(0, at);
    return [{ isLeak, atMost, atLeast: looked === null ? 0 : Math.max(0, Math.min(looked, at)) }];
  });
  const upper = measured.map(({ atMost }) => atMost).sort((a, b) => a - b);
  const leaks = measured.filter(({ isLeak }) => isLeak).map(({ atMost }) => atMost);
  const most = (values: readonly number[]) => (values.length === 0 ? null : Math.max(...values));
  const bounds = [...LATENESS_BUCKETS, Number.POSITIVE_INFINITY];
  return {
    measured: measured.length,
    notMeasured: rows.length - measured.length,
    histogram: bounds.map(
      (bound, index) => upper.filter((at) => at <= bound && at > (bounds[index - 1] ?? -1)).length,
    ),
    percentiles: LATENESS_PERCENTS.map(
      (percent) => upper[Math.ceil((upper.length * Math.round(percent * 100)) / 10_000) - 1] ?? null,
    ),
    worstSeconds: most(upper),
    worstAtLeastSeconds: most(measured.map(({ atLeast }) => atLeast)),
    leaks: { count: leaks.length, worstSeconds: most(leaks) },
  };
}
