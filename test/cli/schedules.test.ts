import { ScheduleNotFoundError } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { AccountReport } from '../../src/cli/account-report.js';
import { resumeOrStart } from '../../src/cli/dev-account.js';
import type { Session } from '../../src/cli/dev-session.js';
import { startAccount } from '../../src/cli/start-account.js';
import { stopAccount } from '../../src/cli/stop.js';
import { removeSchedules } from '../../src/temporal/schedules.js';
import { clientThatIsRefused } from '../support/refusing-client.js';
import { eventually } from '../support/sync.js';
import { expectFailure } from './cli-process.js';
import { createWorld, type World } from './world.js';

const DAY = 86_400;
let world: World;
const used: string[] = [];

beforeAll(async () => {
  world = await createWorld();
  await world.work();
});
afterEach(async () => {
  for (const each of used.splice(0)) await removeSchedules(world.client, each);
});
afterAll(() => world?.close());

function aliasOf(): string {
  const alias = world.alias();
  used.push(alias);
  return alias;
}

async function start(alias: string, ...options: string[]): Promise<void> {
  const result = await world.run(['start', alias, '--types', 'shipping_rate', '--lag', '1s', ...options]);
  expect(result).toMatchObject({ code: 0, stderr: '' });
}

async function schedulesOf(alias: string): Promise<NonNullable<AccountReport['schedules']>> {
  const { stdout, code } = await world.run(['status', alias, '--json']);
  expect(code).toBe(0);
  const { schedules } = JSON.parse(stdout) as AccountReport;
  if (schedules === null) throw new Error('the status knows of no schedules');
  return schedules;
}

describe('the schedules of an account', () => {
  it('are set by start, shown by status, paused and resumed, and gone after stop', async () => {
    const alias = aliasOf();
    await start(alias, '--audit-interval', '7d', '--audit-heal', '--keep-events', '90d');
    const whole = expect.any(Number);
    expect(await schedulesOf(alias)).toEqual({
      refresh: { everySeconds: DAY, paused: false, nextAt: whole, lastAt: null },
      prune: { everySeconds: DAY, paused: false, nextAt: whole, lastAt: null },
      audit: { everySeconds: 7 * DAY, paused: false, nextAt: whole, lastAt: null },
    });
    const { action } = await world.client.schedule.getHandle(`${alias}/prune`).describe();
    expect(action.args).toEqual([{ account: alias, eventsSeconds: 90 * DAY, changesSeconds: 30 * DAY }]);
    const audit = await world.client.schedule.getHandle(`${alias}/audit`).describe();
    expect(audit.action.args).toMatchObject([{ account: alias, types: ['shipping_rate'], heal: true }]);

    const { stdout } = await world.run(['status', alias]);
    const at = '20\\d\\d-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC';
    expect(stdout).toMatch(new RegExp(`^  next      refresh ${at}, pruning ${at}, audit ${at}$`, 'm'));

    await world.run(['pause', alias]);
    expect((await schedulesOf(alias)).refresh).toMatchObject({ paused: true, nextAt: null });
    expect((await world.run(['status', alias])).stdout).toContain(
      'refresh paused, pruning paused, audit paused',
    );
    await world.run(['resume', alias]);
    expect((await schedulesOf(alias)).refresh).toMatchObject({ paused: false, nextAt: whole });

    expect(await world.run(['stop', alias])).toMatchObject({ code: 0, stderr: '' });
    expect(await schedulesOf(alias)).toEqual({ refresh: null, prune: null, audit: null });
    expect((await world.run(['status', alias])).stdout).not.toContain('refresh');

    await start(alias, '--refresh-interval', '2h', '--keep-changes', 'off');
    const again = await schedulesOf(alias);
    expect(again).toMatchObject({
      refresh: { everySeconds: 7_200 },
      prune: { everySeconds: DAY },
      audit: null,
    });
  }, 180_000);

  it('do not refresh what the account was told not to fetch, unless that is asked for', async () => {
    const [alias, asking] = [aliasOf(), aliasOf()];
    await start(alias, '--no-backfill');
    expect(await schedulesOf(alias)).toMatchObject({ refresh: null, prune: { everySeconds: DAY } });
    await start(asking, '--no-backfill', '--refresh-interval', '1h');
    expect((await schedulesOf(asking)).refresh?.everySeconds).toBe(3_600);
  });

  it('are switched off by name', async () => {
    const alias = aliasOf();
    await start(alias, '--refresh-interval', 'off');
    expect(await schedulesOf(alias)).toMatchObject({ refresh: null, audit: null });
    expect((await world.run(['status', alias])).stdout).toMatch(
      /next {6}refresh off, pruning 20.*, audit off$/m,
    );
  });

  it('go with a stop even where somebody had terminated the workflow', async () => {
    const alias = aliasOf();
    await start(alias);
    await world.client.workflow.getHandle(alias).terminate('an operator did it');
    expectFailure(await world.run(['stop', alias]), /does not run/);
    await expect(world.client.schedule.getHandle(`${alias}/refresh`).describe()).rejects.toThrow(
      ScheduleNotFoundError,
    );
  });

  it.each([
    [['--refresh-interval', '1s'], 'from 1m to 30d'],
    [['--refresh-interval', 'often'], 'Give a duration'],
    [['--keep-events', '29d'], 'from 30d'],
    [['--keep-changes', '7d'], 'from 8d'],
    [['--audit-interval', '1m'], 'from 10m'],
  ])('are not set by %j, which is wrong usage', async (options, said) => {
    const alias = world.alias();
    const { code, stderr } = await world.run(['start', alias, ...options]);
    expect(stderr).toContain(said);
    expect(code).toBe(2);
    expect(await world.isRunning(alias)).toBe(false);
  });
});

describe('the sandbox', () => {
  it('sets the schedules of its account, and those that are missing when it goes on', async () => {
    const alias = aliasOf();
    const session = {
      client: world.client,
      pool: world.database.pool,
      taskQueue: world.variables.STRIPE_SYNC_TASK_QUEUE,
      sandbox: { brought: { DATABASE_URL: world.database.url }, env: {} },
    } as unknown as Session;
    expect(await resumeOrStart(session, alias, world.folder)).toBe(false);
    await eventually(async () => ((await world.rowsOf(alias)) > 0 ? null : 'the account was not opened'));
    const refresh = world.client.schedule.getHandle(`${alias}/refresh`);
    expect((await refresh.describe()).spec.intervals).toMatchObject([{ every: DAY * 1000 }]);
    await refresh.delete();
    expect(await resumeOrStart(session, alias, world.folder)).toBe(true);
    expect((await refresh.describe()).spec.intervals).toMatchObject([{ every: DAY * 1000 }]);
  });
});

describe('where Temporal lets nobody keep schedules', () => {
  async function toldOnStderr(body: () => Promise<unknown>): Promise<string> {
    const told: string[] = [];
    const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      told.push(String(text));
      return true;
    });
    try {
      await body();
    } finally {
      spy.mockRestore();
    }
    return told.join('');
  }

  it('an account starts and stops all the same, and one line says what it goes without', async () => {
    const alias = aliasOf();
    const client = clientThatIsRefused(world.client, /Schedule$/);
    const queue = String(world.variables.STRIPE_SYNC_TASK_QUEUE);
    const started = await toldOnStderr(() => startAccount(client, queue, alias, { backfill: false }));
    expect(started).toMatch(
      new RegExp(
        `^stripe-sync: ${alias}: it runs, but not all of its schedules are set.*denies permission[^\\n]*\\n$`,
      ),
    );
    expect(await world.isRunning(alias)).toBe(true);
    const stopped = await toldOnStderr(() => stopAccount(client, alias));
    expect(stopped).toMatch(
      /^stripe-sync: .*its schedules were not all removed\. .*denies permission[^\n]*\n$/,
    );
    expect(await world.isRunning(alias)).toBe(false);
  });
});
