import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AccountReport } from '../../src/cli/account-report.js';
import { eventually } from '../support/sync.js';
import { expectFailure } from './cli-process.js';
import { createWorld, type World } from './world.js';

let world: World;

beforeAll(async () => {
  world = await createWorld();
  world.simulator.createMany('customer', 130);
  world.simulator.createMany('product', 5);
  for (const email of ['first@history.example', 'second@history.example', 'last@history.example']) {
    world.simulator.create('customer', { email });
  }
  // An account begins at the newest event that lies behind its lag.
  await sleep(6_500);
});
afterAll(() => world?.close());

async function reportOf(alias: string): Promise<AccountReport> {
  const result = await world.run(['status', alias, '--json']);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(result.stdout) as AccountReport;
}

async function hasCustomer(alias: string, email: string): Promise<boolean> {
  const { rowCount } = await world.database.pool.query(
    'select from stripe.customers where account = $1 and email = $2',
    [alias, email],
  );
  return rowCount === 1;
}

async function arrives(alias: string, email: string): Promise<void> {
  await eventually(async () => ((await hasCustomer(alias, email)) ? null : `${email} is not there`));
}

describe('an account that runs', () => {
  let alias: string;
  beforeAll(async () => {
    await world.work();
    alias = world.alias();
    const result = await world.run(['start', alias, '--wait', '--lag', '4s', '--types', 'customers,product']);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain(`stripe-sync status ${alias}`);
    expect(result.stdout).toMatch(/^Backfill 1 \(the first one\) done: 2 of 2 types, 138 rows/m);
  });

  it('is not started twice', async () => {
    expectFailure(await world.run(['start', alias]), /runs already.*stripe-sync status .*stripe-sync stop/);
  });

  it('is in the list, with its state', async () => {
    const { code, stdout } = await world.run(['list']);
    expect(stdout).toMatch(/^ALIAS +STATE +BEHIND +EVENTS +SINCE$/m);
    expect(stdout).toMatch(new RegExp(`^${alias} +running +\\d+ s +\\d+ +20\\d\\d-.* UTC$`, 'm'));
    expect(code).toBe(0);
  });

  it('has a status with at least the fields of the contract', async () => {
    const report = await reportOf(alias);
    const whole = expect.any(Number);
    expect(report).toMatchObject({
      account: alias,
      state: 'running',
      cursor: { id: expect.stringMatching(/^evt_/), created: whole },
      lagSeconds: whole,
      behindSeconds: whole,
      counts: {
        received: whole,
        applied: whole,
        stale: whole,
        fetched: whole,
        ignored: whole,
        parked: whole,
        pending: whole,
      },
      late: { count: whole, maxSeconds: whole, histogram: expect.any(Array) },
      leaks: whole,
      backfill: {
        state: 'done',
        types: [
          { object: 'customer', rows: 133, done: true },
          { object: 'product', rows: 5, done: true },
        ],
      },
      reads: { used30d: whole, allowance: whole },
    });
    expect(report.lagSeconds).toBe(4);
    expect(report.reads.used30d).toBeGreaterThan(0);
  });

  it('has a status for people, that fits on a screen', async () => {
    const { stdout, code } = await world.run(['status', alias]);
    expect(stdout).toMatch(new RegExp(`^${alias}: running`));
    for (const word of ['cursor', 'lag', 'events', 'reads', 'backfill']) {
      expect(stdout).toMatch(new RegExp(`^  ${word} `, 'm'));
    }
    expect(stdout.split('\n').length).toBeLessThan(12);
    expect(code).toBe(0);
  });

  it('is watched until Ctrl-C, which is no failure', async () => {
    const watching = world.start(['status', alias, '--watch']);
    await watching.says(/(running[\s\S]*){3}/, 20);
    const result = await watching.end('SIGINT');
    expect(result).toMatchObject({ code: 0, stderr: '' });

    const asJson = world.start(['status', alias, '--watch', '--json']);
    await asJson.says(/\n.*\n/, 20);
    const { stdout, code } = await asJson.end('SIGTERM');
    for (const line of stdout.trim().split('\n')) expect(JSON.parse(line)).toMatchObject({ account: alias });
    expect(code).toBe(0);
  });

  it('pauses, takes nothing meanwhile, and takes it after resume', async () => {
    expect((await world.run(['pause', alias])).stdout).toMatch(/is paused.*stripe-sync resume/);
    expect((await reportOf(alias)).state).toBe('paused');
    world.simulator.create('customer', { email: 'while@paused.example' });
    await sleep(3_000);
    expect(await hasCustomer(alias, 'while@paused.example')).toBe(false);
    expect((await world.run(['resume', alias])).code).toBe(0);
    expect((await reportOf(alias)).state).toBe('running');
    await arrives(alias, 'while@paused.example');
  });

  it('lists types again on resync, and --wait shows the progress to the end', async () => {
    const silently = world.simulator.create('product', { name: 'Silent' }, { event: false });
    const result = await world.run(['resync', alias, '--types', 'products', '--wait']);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain(`${alias} lists product again.`);
    expect(result.stdout).toMatch(/^Backfill 2 \(asked for\) done: 1 of 1 types, 6 rows/m);
    const { rowCount } = await world.database.pool.query(
      'select from stripe.products where account = $1 and id = $2',
      [alias, silently.id],
    );
    expect(rowCount).toBe(1);
    expect((await reportOf(alias)).backfill?.types.map((type) => type.object)).toEqual(['product']);
  });

  it('stops, is said to be stopped, and goes on from the copy of its cursor', async () => {
    await eventually(async () => {
      const { cursor, counts } = await reportOf(alias);
      return cursor !== null && counts.pending === 0 ? null : 'it has no cursor, or something is pending';
    });
    const stopped = await world.run(['stop', alias]);
    expect(stopped).toMatchObject({ code: 0, stderr: '' });
    expect(stopped.stdout).toMatch(/is stopped.*stripe-sync start/);
    const left = await reportOf(alias);
    expect(left).toMatchObject({ state: 'stopped', behindSeconds: null, cursor: { id: expect.any(String) } });
    expectFailure(await world.run(['pause', alias]), /does not run/);

    world.simulator.create('customer', { email: 'between@runs.example' });
    expect(await world.run(['start', alias, '--no-backfill'])).toMatchObject({ code: 0, stderr: '' });
    await arrives(alias, 'between@runs.example');
    const later = await reportOf(alias);
    expect(later.state).toBe('running');
    expect(later.backfill).toBeNull();
    expect(later.cursor?.created).toBeGreaterThanOrEqual(left.cursor?.created ?? Number.POSITIVE_INFINITY);
  });
});

describe('a start over an earlier copy of the cursor', () => {
  /** What an earlier run leaves in the database: it had come to the very first event. */
  async function leftAtFirstEvent(): Promise<string> {
    const alias = world.alias();
    const [first] = world.simulator.events();
    await world.database.pool.query(
      'insert into stripe_sync.accounts (account, cursor_id, cursor_created) values ($1, $2, to_timestamp($3))',
      [alias, first?.id, first?.created],
    );
    return alias;
  }

  it('goes on from there, and begins at the present with --fresh', async () => {
    await world.work();
    const [resumed, fresh] = await Promise.all([leftAtFirstEvent(), leftAtFirstEvent()]);
    expect((await world.run(['start', resumed, '--no-backfill'])).code).toBe(0);
    expect((await world.run(['start', fresh, '--no-backfill', '--fresh'])).code).toBe(0);
    world.simulator.create('customer', { email: 'after@start.example' });
    for (const alias of [resumed, fresh]) await arrives(alias, 'after@start.example');
    await arrives(resumed, 'second@history.example');
    expect(await hasCustomer(fresh, 'second@history.example')).toBe(false);
  });
});
