import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AccountReport } from '../../src/cli/account-report.js';
import { removeSchedules } from '../../src/temporal/schedules.js';
import { eventually } from '../support/sync.js';
import { expectFailure } from './cli-process.js';
import { createWorld, type World } from './world.js';

let world: World;
let platform: string;
/** The accounts at Stripe, in the order in which they were connected. */
const connected: string[] = [];
const everyAlias = () => ['held', ...connected];
/** A key for the platform and one for the alias that is started by itself; no other alias has any. */
const keyOfPlatform = () => ({
  STRIPE_API_KEY: '',
  STRIPE_API_KEY_HELD: world.simulator.apiKey,
  [`STRIPE_API_KEY_${platform.toUpperCase().replaceAll('-', '_')}`]: world.simulator.apiKey,
});
/** Small and quick: three lists and events. */
const QUICK = ['--types', 'customer,product,coupon', '--lag', '1s', '--poll-interval', '1s'];

beforeAll(async () => {
  world = await createWorld();
  platform = world.alias();
  await world.work(keyOfPlatform());
});

afterAll(async () => {
  if (world === undefined) return;
  await world.client.schedule
    .getHandle(`${platform}/connected`)
    .delete()
    .catch(() => undefined);
  for (const alias of everyAlias()) {
    await world.client.workflow
      .getHandle(alias)
      .terminate('the test is over')
      .catch(() => undefined);
    await removeSchedules(world.client, alias);
  }
  await world.close();
});

function connect(customers: number, name: string): string {
  const account = world.simulator.connectAccount();
  account.createMany('customer', customers);
  account.create('product', { name });
  connected.push(account.account);
  return account.account;
}

/** Ids that the tables hold under an alias, and those that the account at Stripe has. */
async function differenceOf(alias: string, account: string): Promise<string | null> {
  for (const object of ['customer', 'product', 'coupon'] as const) {
    const { rows } = await world.database.pool.query<{ id: string }>(
      `select id from stripe.${object}s where account = $1 order by id`,
      [alias],
    );
    const held = rows.map(({ id }) => id);
    const truth = world.simulator.connectedAccount(account).truth().get(object);
    const wanted = [...(truth?.keys() ?? [])].sort();
    if (held.toSorted().join() !== wanted.join()) {
      return `${alias} holds ${held.length} of ${wanted.length} ${object}s`;
    }
  }
  return null;
}

const holdsItsOwn = (alias: string, account = alias) => eventually(() => differenceOf(alias, account));

async function reportOf(alias: string): Promise<AccountReport> {
  const result = await world.run(['status', alias, '--json']);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(result.stdout) as AccountReport;
}

/** Until the schedule has made a look that began after now. */
async function anotherLook(): Promise<void> {
  const handle = world.client.schedule.getHandle(`${platform}/connected`);
  const since = (await handle.describe()).info.numActionsTaken;
  await handle.trigger();
  await eventually(async () => {
    const { info } = await handle.describe();
    if (info.numActionsTaken <= since) return 'no look was begun';
    const last = info.recentActions.at(-1);
    if (last?.action.type !== 'startWorkflow') return 'the look is not known';
    const { status } = await world.client.workflow.getHandle(last.action.workflow.workflowId).describe();
    return status.name === 'COMPLETED' ? null : `the look is ${status.name}`;
  });
}

describe('before there is anything to follow', () => {
  it('a key that may not list accounts is one clear line, and nothing is followed', async () => {
    const alias = world.alias();
    const result = await world.run(['start', alias, '--all-connected']);
    expectFailure(result, /are not followed.*set STRIPE_API_KEY_CLI_/);
    await expect(world.client.schedule.getHandle(`${alias}/connected`).describe()).rejects.toThrow();
    expectFailure(await world.run(['stop', alias, '--all-connected']), /follows no connected accounts/);
  });

  it('options that contradict each other are wrong usage', async () => {
    for (const [options, says] of [
      [['--all-connected', '--stripe-account', 'acct_1'], /Give --stripe-account for one/],
      [['--all-connected', '--wait'], /--wait is for one account/],
      [['--follow-interval', '1m'], /needs --all-connected/],
    ] as const) {
      const result = await world.run(['start', platform, ...options]);
      expect(result.stderr).toMatch(says);
      expect(result.code).toBe(2);
    }
  });
});

const startAll = (followInterval: string) =>
  world.run(['start', platform, '--all-connected', ...QUICK, '--follow-interval', followInterval]);

describe('a platform with three connected accounts', () => {
  it('starts each under its id, and one that an alias holds already under that alias, once', async () => {
    world.simulator.create('customer', { name: 'of the platform' });
    const first = connect(7, 'one');
    connect(130, 'two');
    connect(23, 'three');
    const options = ['--stripe-account', first, ...QUICK];
    expect(await world.run(['start', 'held', ...options])).toMatchObject({ code: 0, stderr: '' });
    await holdsItsOwn('held', first);

    const result = await startAll('1h');
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toMatch(
      /has 3 connected accounts: 2 started, 1 ran already\.\nNew ones .* every 60 min/,
    );
    expect(await world.isRunning(first)).toBe(false);
    expect(await world.isRunning(platform)).toBe(false);
  });

  it('holds exactly what each account has, and takes its changes', async () => {
    const [first = '', second = '', third = ''] = connected;
    for (const [alias, account] of [
      ['held', first],
      [second, second],
      [third, third],
    ] as const) {
      await holdsItsOwn(alias, account);
      world.simulator.connectedAccount(account).create('coupon', { name: `of ${account}` });
    }
    for (const [alias, account] of [
      ['held', first],
      [second, second],
      [third, third],
    ] as const) {
      await holdsItsOwn(alias, account);
    }
    const { rows } = await world.database.pool.query<{ account: string }>(
      'select distinct account from stripe.customers order by account',
    );
    expect(rows.map(({ account }) => account)).toEqual(['held', second, third].toSorted());
  });

  it('shows them in list and status, with their schedules and a share of the workers each', async () => {
    const [, second = ''] = connected;
    const { stdout } = await world.run(['list']);
    for (const alias of ['held', ...connected.slice(1)]) {
      expect(stdout).toMatch(new RegExp(`^${alias} +running `, 'm'));
    }
    const report = await reportOf(second);
    expect(report).toMatchObject({ account: second, state: 'running', trouble: null });
    expect(report.schedules?.refresh?.everySeconds).toBe(86_400);
    const { raw } = await world.client.workflow.getHandle(second).describe();
    expect(raw.workflowExecutionInfo?.priority?.fairnessKey).toBe(second);
    expectFailure(
      await world.run(['status', platform]),
      /followed for its connected accounts.*stripe-sync list/,
    );
    expectFailure(await world.run(['stop', platform]), /does not run itself.*--all-connected/);
  });

  it('is started again without starting anything twice', async () => {
    const result = await startAll('10s');
    expect(result.stdout).toMatch(/3 connected accounts: 0 started, 3 ran already\.\nNew ones .* every 10 s/);
    expect(result).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('following', () => {
  it('starts an account that is connected while it runs, with what the others were started with', async () => {
    const fourth = connect(41, 'four');
    await holdsItsOwn(fourth);
    const report = await reportOf(fourth);
    expect(report.backfill?.types.map(({ object }) => object).sort()).toEqual([
      'coupon',
      'customer',
      'product',
    ]);
    expect(report.schedules?.prune?.everySeconds).toBe(86_400);
    expect(report.lagSeconds).toBe(1);
  });

  it('leaves an account that was stopped by hand as it is, until it is started by hand', async () => {
    const [, second = ''] = connected;
    const stopped = await world.run(['stop', second]);
    expect(stopped.stdout).toContain(`stripe-sync start ${second}`);
    await anotherLook();
    expect(await world.isRunning(second)).toBe(false);
    const again = await startAll('10s');
    expect(again.stdout).toMatch(
      new RegExp(
        `4 connected accounts: 0 started, 3 ran already\\.\n${second} was stopped by hand.*start ${second}`,
      ),
    );
    expect(await world.isRunning(second)).toBe(false);

    world.simulator.connectedAccount(second).create('coupon', { name: 'meanwhile' });
    expect(await world.run(['start', second, ...QUICK])).toMatchObject({ code: 0, stderr: '' });
    await holdsItsOwn(second);
  });

  it('tells of an account that was disconnected, which is stopped like any other', async () => {
    const third = connected[2] ?? '';
    world.simulator.disconnectAccount(third);
    await eventually(async () => {
      const { trouble } = await reportOf(third);
      return trouble?.includes('no access to the connected account') ? null : `its trouble is ${trouble}`;
    });
    const { stdout } = await world.run(['status', third]);
    expect(stdout).toContain('no access to the connected account');
    expect((await world.run(['stop', third])).stdout).toContain(`${third} is stopped`);
    await anotherLook();
    expect(await world.isRunning(third)).toBe(false);
  });

  it('puts nothing but ids and aliases into Temporal', async () => {
    const history = await world.client.workflow.getHandle(`${platform}/connected`).fetchHistory();
    const text = Buffer.from(JSON.stringify(history)).toString();
    const payloads = [...text.matchAll(/"data":"([A-Za-z0-9+/=]+)"/g)].map(([, data = '']) =>
      Buffer.from(data, 'base64').toString(),
    );
    expect(payloads.join()).toContain(platform);
    expect(payloads.join()).not.toMatch(/sk_test|charges_enabled|business_type/);
  });
});

describe('stop --all-connected', () => {
  it('ends the following and all its accounts, and a start goes on with them', async () => {
    const running = ['held', connected[1] ?? '', connected[3] ?? ''];
    const result = await world.run(['stop', platform, '--all-connected']);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toMatch(/follows no connected accounts any more, and 3 accounts of it are stopped/);
    for (const alias of running) expect(await world.isRunning(alias)).toBe(false);
    await expect(world.client.schedule.getHandle(`${platform}/connected`).describe()).rejects.toThrow();
    await expect(
      world.client.workflow.getHandle(`${connected[1]}/refresh`).describe(),
    ).rejects.toBeInstanceOf(WorkflowNotFoundError);
    expectFailure(await world.run(['stop', platform, '--all-connected']), /follows no connected accounts/);

    world.simulator.connectedAccount(connected[3] ?? '').create('coupon', { name: 'later' });
    const again = await startAll('1h');
    expect(again.stdout).toMatch(/3 connected accounts: 3 started, 0 ran already/);
    await holdsItsOwn(connected[3] ?? '');
    expect((await world.run(['stop', platform, '--all-connected'])).code).toBe(0);
  });
});
