import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AccountReport } from '../../src/cli/account-report.js';
import { eventually } from '../support/sync.js';
import { expectDone, expectFailure, type Running } from './cli-process.js';
import { createWorld, type World } from './world.js';

/** Nothing belongs to a coupon, so that no walk takes its time for each of them. */
const COUPONS = 6_000;
/** Where there is no database. */
const NOWHERE = 'postgres://nobody:hunter2hunter2@127.0.0.1:1/elsewhere';

let world: World;
/** It holds all types. */
let alias: string;
let restricted: string;

beforeAll(async () => {
  world = await createWorld();
  world.simulator.createMany('coupon', COUPONS);
  world.simulator.createMany('customer', 30);
  world.simulator.createMany('product', 5);
  alias = world.alias();
  restricted = world.alias();
  await world.work({
    [`STRIPE_API_KEY_${restricted.replace(/\W/g, '_').toUpperCase()}`]: world.simulator.createRestrictedKey([
      'rak_customer_read',
      'rak_event_read',
    ]),
  });
  expectDone(await world.run(['start', alias, '--no-backfill']));
});
afterAll(() => world?.close());
afterEach(() => world.simulator.setFaults({}));

const resync = (...args: string[]) => world.run(['resync', alias, ...args]);

async function reportOf(account: string): Promise<AccountReport> {
  const { stdout } = await world.run(['status', account, '--json']);
  return JSON.parse(stdout) as AccountReport;
}

/** Lists coupons, so slowly that it can be watched: it takes half a minute, unless `goOn` comes before. */
async function listSlowly(): Promise<Running> {
  world.simulator.setFaults({ latency: { fixedMs: 2_000 } });
  const running = world.start(['resync', alias, '--types', 'coupons', '--wait']);
  await running.says(/lists coupon again/);
  return running;
}
const goOn = () => world.simulator.setFaults({});

/** Waits until it is known how long the listing of coupons takes. */
async function isMeasured(): Promise<NonNullable<AccountReport['backfill']>> {
  let backfill: AccountReport['backfill'] = null;
  await eventually(async () => {
    backfill = (await reportOf(alias)).backfill;
    const isCoupons = backfill?.types[0]?.object === 'coupon';
    return isCoupons && typeof backfill?.pace?.secondsLeft === 'number' ? null : 'it is not measured';
  });
  return backfill as unknown as NonNullable<AccountReport['backfill']>;
}

async function rowsOf(table: string, id: unknown): Promise<number | null> {
  const statement = `select from stripe.${table} where account = $1 and id = $2`;
  return (await world.database.pool.query(statement, [alias, id])).rowCount;
}

describe('a backfill that somebody watches', () => {
  it('tells how far it is, how fast and for how long, what each type held, and the totals at the end', async () => {
    const watching = await listSlowly();
    const { types, ...backfill } = await isMeasured();
    expect(backfill).toMatchObject({ state: 'running', reason: 'asked for', number: 1 });
    expect(types).toEqual([
      { object: 'coupon', rows: expect.any(Number), done: false, share: expect.any(Number) },
    ]);
    expect(types[0]?.rows).toBeGreaterThan(0);
    expect(types[0]?.share).toBeLessThan(1);
    const { stdout } = await world.run(['status', alias]);
    expect(stdout).toMatch(
      /backfill +running, 0 of 1 types, [\d,]+ rows, [\d,]+ rows\/s, about \d+ (s|min) left \(asked for\)/,
    );
    await watching.says(/left$/m);
    goOn();

    const result = await watching.finished;
    expectDone(result);
    const stored = await world.database.pool.query('select from stripe.coupons where account = $1', [alias]);
    expect(stored.rowCount).toBe(COUPONS);
    expect(result.stdout).toMatch(
      /^Backfill 1 \(asked for\) {2}0 of 1 types, [\d,]+ rows, [\d,]+ rows\/s, about \d+ (s|min) left$/m,
    );
    expect(result.stdout.trim().split('\n').slice(-2)).toEqual([
      expect.stringMatching(/^coupon {2}6,000 rows in [\d.]+ s \([\d,]+\/s\)$/),
      expect.stringMatching(
        /^Backfill 1 \(asked for\) done: 1 of 1 types, 6,000 rows in [\d.]+ s \([\d,]+\/s\)$/,
      ),
    ]);
  });

  it.each([
    { title: 'knows no database', url: undefined },
    { title: 'does not reach the database', url: NOWHERE },
  ])('is watched by what the workflow says where this machine $title', async ({ url }) => {
    const result = await world.run(['resync', alias, '--types', 'product', '--wait'], { DATABASE_URL: url });
    expectDone(result);
    expect(result.stdout).toMatch(/^product {2}5 rows$/m);
    expect(result.stdout).toMatch(/^Backfill \d+ \(asked for\) done: 1 of 1 types, 5 rows$/m);
  });

  it('is left with Ctrl-C, and goes on', async () => {
    const watching = await listSlowly();
    await isMeasured();
    const left = await watching.end('SIGINT');
    expectDone(left);
    expect(left.stdout).toMatch(/goes on without being watched\.\n$/);
    goOn();
    await eventually(async () => {
      const { backfill } = await reportOf(alias);
      return backfill?.state === 'done' ? null : `it is ${backfill?.state}`;
    });
  });

  it('says which types are left out, and why', async () => {
    const result = await world.run(['start', restricted, '--wait', '--types', 'customers,product']);
    expectDone(result);
    expect(result.stdout).toMatch(/^product {2}left out: .*rak_product_read/m);
    expect(result.stdout).toMatch(
      /^Backfill 1 \(the first one\) done: 2 of 2 types, 30 rows in .*, 1 left out$/m,
    );
    const { stdout } = await world.run(['status', restricted]);
    expect(stdout).toMatch(/product is left out: .*rak_product_read/);
  });
});

describe('a resync while another runs', () => {
  it('says what comes first, and waits for the one that lists what was asked for', async () => {
    const first = await listSlowly();
    const { number } = await isMeasured();
    const runs = `Backfill ${number} (asked for) runs; this one comes after it`;
    expect((await resync('--since', '7d')).stdout).toContain(runs);
    const silent = world.simulator.create('product', { name: 'Silent' }, { event: false });
    const third = world.start(['resync', alias, '--types', 'products', '--wait']);
    await third.says(new RegExp(`Backfill ${number} \\(asked for\\) comes first: `));
    goOn();
    const result = await third.finished;
    expectDone(result);
    expect(result.stdout).toContain(runs);
    // What is new of everything is not the same as all of one type, so it is a backfill of its own.
    expect(result.stdout).toMatch(
      new RegExp(`^Backfill ${number + 2} \\(asked for\\) done: 1 of 1 types, 6 rows`, 'm'),
    );
    expect(result.stdout.match(/ done: /g)).toHaveLength(1);
    expect(await rowsOf('products', silent.id)).toBe(1);
    const followed = await first.finished;
    expectDone(followed);
    expect(followed.stdout).toMatch(
      /^coupon {2}6,000 rows.*\nBackfill \d+ \(asked for\) done: 1 of 1 types, 6,000 rows/m,
    );
  });
});

describe('a resync of what is new', () => {
  it('lists only that, and says what it does not find', async () => {
    for (const name of ['One', 'Two']) world.simulator.create('customer', { name }, { event: false });
    const result = await resync('--types', 'customers', '--since', '1h', '--wait');
    expectDone(result);
    expect(result.stdout).toMatch(/lists customer again, what was created from 20.* UTC on\./);
    expect(result.stdout).toMatch(/finds no deletions/);
    expect(result.stdout).toMatch(/^customer {2}2 rows in/m);
  });

  it('says that types which cannot be narrowed are left out, and refuses them where they are named', async () => {
    const all = await resync('--since', '1h');
    expect(all.stdout).toMatch(/cannot be narrowed .* left out/);
    const named = await resync('--types', 'customers,payment_methods,balance', '--since', '1h');
    expect(named.stderr).toMatch(/--since cannot be told to the lists of payment_method, balance:/);
    expect(named).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('a type that comes inside of another', () => {
  it('is listed with that', async () => {
    const result = await resync('--types', 'line_item', '--wait');
    expectDone(result);
    expect(result.stdout).toContain(`${alias} lists invoice again.`);
    expect(result.stdout).toContain('Each invoice holds its objects of type line_item');
  });
});

describe('a backfill that fails', () => {
  it('names the types and why, and leaves the rows of the others there', async () => {
    const silent = world.simulator.create('product', { name: 'Listed all the same' }, { event: false });
    world.simulator.createMany('tax_rate', 1);
    await world.database.pool.query('alter table stripe.tax_rates rename column source to hidden');
    try {
      const result = await resync('--types', 'tax_rate,product', '--wait');
      expectFailure(
        result,
        /Not listed to the end: tax_rate \(.+\)\. The rows that are there stay\..* resync \S+ --types tax_rate$/m,
      );
      expect(result.stdout).toMatch(/^tax_rate {2}failed: /m);
      expect(result.stdout).toMatch(/failed: 2 of 2 types, \d+ rows in .*, 1 failed$/m);
    } finally {
      await world.database.pool.query('alter table stripe.tax_rates rename column hidden to source');
    }
    expect(await rowsOf('products', silent.id)).toBe(1);
  });

  it('is told where it was ended from outside', async () => {
    const watching = await listSlowly();
    const { number } = await isMeasured();
    await world.client.workflow.getHandle(`${alias}/backfill/${number}`).terminate('somebody did');
    expectFailure(
      await watching.finished,
      /Backfill \d+ of \S+ failed\. It was ended before coupon was listed\./,
    );
  });
});
