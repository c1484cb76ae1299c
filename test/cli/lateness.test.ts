import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LatenessReport } from '../../src/cli/lateness.js';
import { eventually } from '../support/sync.js';
import { expectFailure, run } from './cli-process.js';
import { createWorld, type World } from './world.js';

let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world?.close());

/** An account that was stopped with this lag; its events lie an hour back. */
async function stoppedAccount(lagSeconds: number | null): Promise<string> {
  const alias = world.alias();
  await world.database.pool.query(
    `insert into stripe_sync.accounts (account, cursor_id, cursor_created, lag_seconds)
     values ($1, 'evt_1', now() - interval '1 hour', $2)`,
    [alias, lagSeconds],
  );
  return alias;
}

let number = 0;

/** `count` events, missing at the last look before they were `listed` seconds old. */
async function insert(
  account: string,
  count: number,
  listed: number,
  over: { looked?: number | null; source?: string; hoursAgo?: number } = {},
): Promise<void> {
  number += 1;
  const { looked = listed - 1, source = 'poll', hoursAgo = 1 } = over;
  await world.database.pool.query(
    `insert into stripe_sync.events
       (account, id, type, created, event, source, seen_at, listed_at, looked_at, outcome)
     select $1, 'evt_' || $2 || '_' || n, 'customer.updated', created, '{}', $4, created + $5 * interval '1 second',
       created + $5 * interval '1 second', created + $6 * interval '1 second', 'applied'
     from generate_series(1, $3) as n,
       lateral (select date_trunc('second', now() - $7 * interval '1 hour') as created) as second`,
    [account, number, count, source, listed, looked, hoursAgo],
  );
}

async function reportOf(alias: string, ...args: string[]): Promise<LatenessReport> {
  const result = await world.run(['lateness', alias, '--json', ...args]);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(result.stdout) as LatenessReport;
}

async function linesOf(alias: string): Promise<string[]> {
  const result = await world.run(['lateness', alias]);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  const lines = result.stdout.trimEnd().split('\n');
  for (const line of lines) {
    expect([...line].length, line).toBeLessThanOrEqual(80);
    expect(line).toBe(line.trimEnd());
  }
  return lines;
}

describe('the lateness of an account', () => {
  let alias: string;
  beforeAll(async () => {
    alias = await stoppedAccount(5);
    await insert(alias, 40_122, 1);
    await insert(alias, 7_942, 2);
    await insert(alias, 45, 3);
    await insert(alias, 3, 41, { source: 'rescan', looked: 6 });
    await insert(alias, 312, 900, { looked: null });
    await insert(alias, 7, 13, { hoursAgo: 8 * 24 });
  });

  it('is a report for programs', async () => {
    const report = await reportOf(alias);
    const counts = [40_122, 7_942, 45, 0, 0, 0, 0, 0, 3, 0, 0, 0];
    const bounds = [1, 2, 3, 5, 8, 13, 21, 34, 60, 120, 300, null];
    expect(report).toEqual({
      account: alias,
      since: expect.any(Number),
      measured: 48_112,
      notMeasured: 312,
      histogram: bounds.map((upToSeconds, index) => ({ upToSeconds, count: counts[index] })),
      percentiles: [
        { percent: 50, seconds: 1 },
        { percent: 90, seconds: 2 },
        { percent: 99, seconds: 2 },
        { percent: 99.9, seconds: 2 },
        { percent: 99.99, seconds: 3 },
      ],
      worstSeconds: 41,
      worstAtLeastSeconds: 6,
      leaks: { count: 3, worstSeconds: 41 },
      lagSeconds: 5,
      lagLimits: null,
      advice: expect.stringMatching(/3 events came behind the cursor.*`--lag 41s`/),
    });
    expect(Math.abs(report.since - (Date.now() / 1000 - 7 * 86_400))).toBeLessThan(60);
  });

  it('is a histogram for people, in which a few events among many are still seen', async () => {
    const lines = await linesOf(alias);
    expect(lines[0]).toMatch(new RegExp(`^${alias}: how late .* since 20\\d\\d-.* UTC$`));
    const bars = lines.filter((line) => /^ +(\d+ s|later) {2}/.test(line));
    expect(bars.map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['1 s', '█'.repeat(46), '40,122', '83.4 %'],
      ['2 s', '█████████▏', '7,942', '16.5 %'],
      ['3 s', '▏', '45', '0.09 %'],
      ['5 s', '0'],
      ['8 s', '0'],
      ['13 s', '0'],
      ['21 s', '0'],
      ['34 s', '0'],
      ['60 s', '▏', '3', '<0.01 %'],
    ]);
    const table = lines.filter((line) => /^ {2}(of all|within) /.test(line));
    expect(table.map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['of all', '50 %', '90 %', '99 %', '99.9 %', '99.99 %', 'all'],
      ['within', '1 s', '2 s', '2 s', '2 s', '3 s', '41 s'],
    ]);
    const text = lines.join('\n');
    expect(text).toMatch(/measured +48,112 events\n +left out +312:/);
    expect(text).toMatch(/leaks +3 came behind the cursor/);
    expect(text.replace(/\s+/g, ' ')).toContain((await reportOf(alias)).advice);
  });

  it('looks as far back as it is told', async () => {
    expect(await reportOf(alias, '--since', '30m')).toMatchObject({ measured: 0, notMeasured: 0 });
    expect(await reportOf(alias, '--since', '9d')).toMatchObject({ measured: 48_119 });
  });

  it('names no percentile that the number of events does not support', async () => {
    const few = await stoppedAccount(5);
    await insert(few, 50, 1);
    expect(await reportOf(few)).toMatchObject({
      percentiles: [
        { percent: 50, seconds: 1 },
        { percent: 90, seconds: 1 },
      ],
      advice: expect.stringContaining('So few events are a hint at best'),
    });
    expect((await linesOf(few)).join('\n')).toMatch(/of all +50 % +90 % +all$/m);
  });

  it('says so where nothing was measured yet', async () => {
    const empty = await stoppedAccount(null);
    expect(await reportOf(empty)).toMatchObject({
      measured: 0,
      percentiles: [],
      worstSeconds: null,
      worstAtLeastSeconds: null,
      leaks: { count: 0, worstSeconds: null },
      lagSeconds: null,
    });
    const text = (await linesOf(empty)).join('\n');
    expect(text).toMatch(/No events were measured yet/);
    expect(text).not.toMatch(/[█▏]|%|NaN|null/);
  });
});

describe('the lag that the lateness is compared with', () => {
  it("is the workflow's own while it runs, with its limits, and what comes meanwhile is measured", async () => {
    await world.work();
    const alias = world.alias();
    const started = await world.run(['start', alias, '--no-backfill', '--lag', '9s', '--max-lag', '2m']);
    expect(started.code).toBe(0);
    const limits = { lagSeconds: 9, lagLimits: { floorSeconds: 9, maxSeconds: 120 } };
    expect(await reportOf(alias)).toMatchObject(limits);
    await eventually(async () => {
      world.simulator.create('customer', { email: 'measured@lateness.example' });
      const { measured } = await reportOf(alias);
      return measured >= 3 ? null : `${measured} events are measured`;
    });
    const report = await reportOf(alias);
    expect(report).toMatchObject({ ...limits, leaks: { count: 0, worstSeconds: null } });
    expect(report.worstSeconds).toBeLessThanOrEqual(9);
    expect(report.advice).toMatch(/The lag is 9 s: (just )?enough/);
    expect((await linesOf(alias)).join('\n')).toMatch(/lag +9 s; it moves between 9 s and 120 s/);
  });

  it("is the account's copy where no worker answers for the workflow", async () => {
    const alias = await stoppedAccount(17);
    await world.client.workflow.start('account', {
      workflowId: alias,
      taskQueue: `nobody-${alias}`,
      args: [],
    });
    expect((await world.run(['status', alias])).code).toBe(1);
    expect(await reportOf(alias)).toMatchObject({ lagSeconds: 17, lagLimits: null });
  });
});

describe('without an account', () => {
  it('fails as status does where the account is unknown', async () => {
    const alias = world.alias();
    const result = await world.run(['lateness', alias]);
    expectFailure(result, /There is no account .*stripe-sync start/);
    expect(result.stderr).toBe((await world.run(['status', alias])).stderr);
  });

  it.each([
    { title: 'no alias', args: [], says: /missing required argument 'alias'/ },
    { title: 'a time that is none', args: ['acme', '--since', 'yesterday'], says: /such as 5s/ },
    { title: 'no time at all', args: ['acme', '--since', '0'], says: /from 1m to 3650d/ },
    { title: 'an unknown option', args: ['acme', '--watch'], says: /unknown option '--watch'/ },
  ])('is told the usage, with exit code 2, given $title', async ({ args, says }) => {
    const result = await run(['lateness', ...args], world.folder);
    expect(result.stderr).toMatch(says);
    expect(result.stderr).toContain('Usage: stripe-sync lateness');
    expect(result).toMatchObject({ code: 2, stdout: '' });
  });
});
