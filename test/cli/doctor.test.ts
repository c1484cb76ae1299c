import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CheckReport, createExaminer, foundAndRemedy, ok } from '../../src/cli/doctor/check.js';
import type { Running } from './cli-process.js';
import { createWorld, type World } from './world.js';

let world: World;
let alias: string;
let worker: Running;

beforeAll(async () => {
  world = await createWorld();
  world.simulator.create('customer');
  worker = await world.work();
  alias = world.alias();
  expect(await world.run(['start', alias, '--wait', '--types', 'customers'])).toMatchObject({ code: 0 });
});
afterAll(() => world?.close());

/** What every table holds, as counts and digests, and the account's workflows and schedules. */
async function everything(): Promise<unknown> {
  const { pool } = world.database;
  const { rows: tables } = await pool.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema') order by 1`,
  );
  const counts: Record<string, unknown> = {};
  for (const { name } of tables) {
    const { rows } = await pool.query(
      `select count(*)::integer as rows, coalesce(sum(hashtext(t::text)::bigint), 0)::text as digest from ${name} t`,
    );
    counts[name] = rows[0];
  }
  // Other files of the tests use the same server.
  const ours = (id: string) => id.startsWith(alias);
  const workflows: string[] = [];
  for await (const { workflowId, runId } of world.client.workflow.list())
    if (ours(workflowId)) workflows.push(`${workflowId} ${runId}`);
  expect(workflows).not.toEqual([]);
  const schedules: string[] = [];
  for await (const { scheduleId } of world.client.schedule.list())
    if (ours(scheduleId)) schedules.push(scheduleId);
  return { counts, workflows: workflows.sort(), schedules: schedules.sort() };
}

describe('doctor', () => {
  it('tells of each check, grouped, and ends with 0 though there are warnings', async () => {
    const { code, stdout, stderr, seconds } = await world.run(['doctor', alias]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const groups = stdout.split('\n').filter((line) => /^\w+$/.test(line));
    expect(groups).toEqual(['Stripe', 'PostgreSQL', 'Temporal']);
    expect(stdout).toMatch(/^ {2}ok {4}types +\d+ of \d+ types may be read/m);
    expect(stdout).toMatch(
      /^ {2}warn {2}key +STRIPE_API_KEY: a secret key of test mode.*\n +→ Use a restricted key/m,
    );
    expect(stdout).toMatch(
      new RegExp(`^  ok    account +${world.simulator.account}, the one that the tables hold$`, 'm'),
    );
    expect(stdout).toMatch(new RegExp(`\n${alias}: \\d+ ok, 1 to be looked at, 0 failed\n$`));
    expect(stdout).not.toContain('\x1b');
    expect(seconds).toBeLessThan(20);
  });

  it('tells programs the same as JSON', async () => {
    const { code, stdout, stderr } = await world.run(['doctor', alias, '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const reports = JSON.parse(stdout) as CheckReport[];
    expect(reports.length).toBeGreaterThan(20);
    for (const report of reports) {
      expect(report).toEqual({
        group: expect.stringMatching(/^(Stripe|PostgreSQL|Temporal)$/),
        check: expect.stringMatching(/^\S[\w ]*$/),
        result: expect.stringMatching(/^(ok|warn|fail)$/),
        found: expect.stringMatching(/^.+$/),
        ...(report.result === 'ok' ? {} : { remedy: expect.stringMatching(/^.+$/) }),
      });
    }
    const keys = reports.map(({ group, check }) => `${group} ${check}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('of an alias that was never started is no failure, and notes nothing', async () => {
    const stranger = world.alias();
    const { code, stdout } = await world.run(['doctor', stranger]);
    expect(code).toBe(0);
    expect(stdout).toContain(`${stranger} was never started`);
    expect(await world.rowsOf(stranger)).toBe(0);
    expect(await world.isRunning(stranger)).toBe(false);
  });
});

describe('what fails', () => {
  it('in one group hides nothing of the others, and ends with 1', async () => {
    const { code, stdout, stderr } = await world.run(['doctor', alias], { DATABASE_URL: undefined });
    expect(code).toBe(1);
    expect(stderr).toBe(
      `stripe-sync: ${alias} is not in order: reachable (PostgreSQL). What to do is said above, below each.\n`,
    );
    expect(stdout).toMatch(/^ {2}fail {2}reachable +DATABASE_URL is not set\n +→ Give the URL/m);
    expect(stdout).toMatch(/^ {2}ok {4}types /m);
    expect(stdout).toMatch(/^ {2}ok {4}workers /m);
  });

  it('everywhere is told for each group, within seconds', async () => {
    const over = {
      DATABASE_URL: 'postgres://me:hunter2hunter2@127.0.0.1:1/x',
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      STRIPE_API_BASE: 'http://127.0.0.1:1',
    };
    const { code, stdout, seconds } = await world.run(['doctor', alias, '--json'], over);
    const failed = (JSON.parse(stdout) as CheckReport[]).filter(({ result }) => result === 'fail');
    expect(failed.map(({ group, check }) => [group, check])).toEqual([
      ['Stripe', 'reachable'],
      ['PostgreSQL', 'reachable'],
      ['Temporal', 'reachable'],
    ]);
    expect(code).toBe(1);
    expect(seconds).toBeLessThan(10);
  });

  it('is told with no environment at all', async () => {
    const nothing = Object.fromEntries(Object.keys(world.variables).map((name) => [name, undefined]));
    const { code, stdout } = await world.run(['doctor', alias], {
      ...nothing,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
    });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^ {2}warn {2}key +this environment has no key/m);
    expect(stdout).toMatch(/^ {2}fail {2}reachable +DATABASE_URL is not set/m);
  });

  it('since the alias cannot be one, is told before anything is asked', async () => {
    const { code, stdout, stderr } = await world.run(['doctor', '-', '--json']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^stripe-sync: The account alias "-" cannot be used/);
  });
});

it('nothing is changed: no row, no workflow, no schedule', async () => {
  expect((await world.run(['stop', alias])).code).toBe(0);
  // A poll that was cancelled notes its reads when it hears of it; afterwards nothing moves by itself any more.
  expect((await worker.end('SIGTERM')).code).toBe(0);
  const before = await everything();
  const { stdout } = await world.run(['doctor', alias]);
  expect(stdout).toMatch(/ok +types +\d+ of \d+/);
  expect(stdout).toMatch(/ok +rights /);
  expect(stdout).toMatch(/warn +workflow +.* was stopped/);
  expect(await everything()).toEqual(before);
});

describe('a check', () => {
  const { check } = createExaminer('Stripe');

  it('that takes too long is given up, and hears of it', async () => {
    let heard = false;
    const report = await check(
      'slow',
      (signal) =>
        new Promise(() => {
          signal.addEventListener('abort', () => {
            heard = true;
          });
        }),
      50,
    );
    expect(report).toMatchObject({ result: 'fail', found: 'there was no answer within 0.05 s' });
    expect(heard).toBe(true);
  });

  it('that throws has failed, on one line, without a secret', async () => {
    const report = await check('odd', () => {
      throw new Error('postgres://me:hunter2@host/x said:\n\u001b[31mno to sk_live_A1b2C3d4. Try another');
    });
    expect(report.result).toBe('fail');
    const text = JSON.stringify(report);
    expect(text).not.toMatch(/hunter2|A1b2C3d4|\\u001b|\\n/);
  });

  it('shows no secret in what it found', async () => {
    const report = await check('odd', () => ok('rk_live_A1b2 at postgres://me:hunter2@host/x'));
    expect(report.found).toBe('rk_… at postgres://me:…@host/x');
  });

  it.each([
    ['It is gone. Bring it back.', 'It is gone', 'Bring it back.'],
    ['X is not set: give one like a.b.', 'X is not set', 'Give one like a.b.'],
    ['No access at a:1 (ECONN): try again.', 'No access at a:1 (ECONN)', 'Try again.'],
    ['It just broke', 'It just broke', 'Put that right, then run this again.'],
  ])('tells what happened and what to do apart: %s', (text, found, remedy) => {
    expect(foundAndRemedy(text)).toEqual([found, remedy]);
  });
});
