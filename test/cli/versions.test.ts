import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkTemporal } from '../../src/cli/doctor/temporal-checks.js';
import { idleText } from '../../src/cli/task-queue.js';
import { obtainTemporalBinary } from '../../src/sandbox/temporal-binary.js';
import { eventually } from '../support/sync.js';
import { expectFailure, type Running } from './cli-process.js';
import { createWorld, type World } from './world.js';

const deployment = `sync-${randomBytes(4).toString('hex')}`;
let world: World;
let binary: string;
const workers: Running[] = [];

beforeAll(async () => {
  world = await createWorld();
  binary = await obtainTemporalBinary({ log: () => undefined });
});
afterAll(async () => {
  for (const worker of workers) if (worker.child.exitCode === null) await worker.end('SIGTERM');
  await world?.close();
});

/** Temporal's own command line, as people use it. */
async function temporal(...args: string[]): Promise<string> {
  const address = ['--address', world.variables.TEMPORAL_ADDRESS ?? ''];
  return (await promisify(execFile)(binary, [...args, ...address])).stdout;
}

/** Temporal refuses a version whose workers it has not seen yet, so this comes to try again. */
async function makeCurrent(...version: string[]): Promise<void> {
  const args = ['worker', 'deployment', 'set-current-version', '--deployment-name', deployment, ...version];
  await eventually(() =>
    temporal(...args, '--yes').then(
      () => null,
      (error: unknown) => String(error),
    ),
  );
}

async function work(...args: string[]): Promise<Running> {
  const worker = world.start(['worker', ...args]);
  workers.push(worker);
  await worker.says(/the worker runs/);
  return worker;
}

const versioned = (buildId: string) => work('--deployment', deployment, '--build-id', buildId);

async function workersFinding() {
  const env = { ...world.variables };
  const reports = await checkTemporal({
    env,
    account: 'acme',
    machineNow: Date.now,
    progress: () => undefined,
  });
  return reports.find(({ check }) => check === 'workers');
}

/** A change from now on is in its table, so the account's workflow and its activities have a worker. */
async function isSynced(account: string): Promise<void> {
  const customer = world.simulator.create('customer', { email: 'jenny@shop.example' });
  await eventually(async () => {
    const { rowCount } = await world.database.pool.query(
      'select from stripe.customers where account = $1 and id = $2',
      [account, customer.id],
    );
    return rowCount === 1 ? null : `${customer.id} is not in the table`;
  });
}

/** The build that ran the workflow's last task; empty for a worker without a version. */
async function buildOf(workflowId: string): Promise<string> {
  const { raw } = await world.client.workflow.getHandle(workflowId).describe();
  return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId ?? '';
}

const ranOn = (workflowId: string, buildId: string) =>
  eventually(async () => {
    const build = await buildOf(workflowId);
    return build === buildId ? null : `${workflowId} ran on "${build}"`;
  });

describe('a worker of a version', () => {
  it('gets nothing until its version is current, and start and doctor say what to run', async () => {
    await versioned('a1');
    const alias = world.alias();
    const command = `temporal worker deployment set-current-version --deployment-name ${deployment} --build-id a1`;
    await eventually(async () =>
      (await workersFinding())?.remedy?.includes(command) ? null : 'not seen yet',
    );
    expect(await workersFinding()).toMatchObject({
      result: 'fail',
      found: expect.stringContaining('but no version is current'),
    });
    const refused = await world.run(['start', alias]);
    expectFailure(
      refused,
      /Workers poll the task queue \S+, but no version is current, so nothing would run/,
    );
    expect(refused.stderr).toContain(command);

    await makeCurrent('--build-id', 'a1');
    await eventually(async () => {
      const finding = await workersFinding();
      return finding?.result === 'ok' ? null : JSON.stringify(finding);
    });
    expect((await workersFinding())?.found).toContain(`by build a1 of ${deployment}, the current one`);
    expect(await world.run(['start', alias, '--types', 'customer'])).toMatchObject({ code: 0, stderr: '' });
    await isSynced(alias);
    await ranOn(alias, 'a1');
  });

  it('hands running accounts, their children and schedules over to the next one, and drains', async () => {
    const alias = world.alias();
    const options = ['--types', 'customer,shipping_rate', '--lag', '1s'];
    expect(await world.run(['start', alias, ...options])).toMatchObject({ code: 0, stderr: '' });
    await isSynced(alias);
    await versioned('a2');
    await isSynced(alias);
    expect(await buildOf(alias)).toBe('a1');

    await makeCurrent('--build-id', 'a2');
    await isSynced(alias);
    await ranOn(alias, 'a2');
    const old = workers.find((worker) => worker.output().includes('"buildId":"a1"')) as Running;
    expect((await old.end('SIGTERM')).code).toBe(0);
    await isSynced(alias);

    const { stdout, code } = await world.run(['resync', alias, '--types', 'customer', '--wait']);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    const before = new Date();
    await world.client.schedule.getHandle(`${alias}/prune`).trigger();
    await eventually(async () => {
      const query = `StripeAccount = '${alias}' and StartTime > '${before.toISOString()}'`;
      for await (const run of world.client.workflow.list({ query })) {
        if (!run.workflowId.includes('prune') || run.status.name !== 'COMPLETED') continue;
        expect(await buildOf(run.workflowId)).toBe('a2');
        return null;
      }
      return 'the schedule has not run';
    });
    for await (const run of world.client.workflow.list({
      query: `StripeAccount = '${alias}' and WorkflowType = 'backfill'`,
    })) {
      const build = await buildOf(run.workflowId);
      expect(['a1', 'a2']).toContain(build);
      if (run.startTime > before) expect(build).toBe('a2');
    }
    const told = await temporal(
      ...['worker', 'deployment', 'describe-version', '--deployment-name', deployment],
      ...['--build-id', 'a1', '--output', 'json'],
    );
    expect(told).toMatch(/drain(ing|ed)/i);
  });

  it('takes over from workers without a version, and gives back to them', async () => {
    const plain = await work();
    const alias = world.alias();
    expect((await world.run(['start', alias, '--types', 'customer'])).code).toBe(0);
    await isSynced(alias);
    await makeCurrent('--unversioned');
    await isSynced(alias);
    await ranOn(alias, '');
    await makeCurrent('--build-id', 'a2');
    await isSynced(alias);
    await ranOn(alias, 'a2');
    expect((await plain.end('SIGTERM')).code).toBe(0);
    await isSynced(alias);
  });

  it('that is the current one, and gone, is asked for by name while another one polls', () => {
    const version = (buildId: string) => ({ deploymentName: 'sync', buildId });
    const idle = idleText('queue', {
      servedSecondsAgo: null,
      current: version('a2'),
      idle: [version('a3'), null],
    });
    expect(idle?.found).toMatch(/^The tasks of queue go to build a2 of sync, of which no worker polls/);
    expect(idle?.found).toContain('build a3 of sync and workers without a version do, and get nothing');
    expect(idle?.remedy).toContain('stripe-sync worker --deployment sync --build-id a2');
    expect(idle?.remedy).toContain('set-current-version --deployment-name sync --build-id a3');
    expect(idleText('queue', { servedSecondsAgo: null, current: null, idle: [] })).toBeNull();
  });
});

describe('half a version', () => {
  it.each([
    { args: ['--deployment', 'sync'], says: /A version needs both/ },
    { args: ['--build-id', 'a1'], says: /A version needs both/ },
    { args: ['--deployment', 'a.b', '--build-id', 'a1'], says: /A deployment is named with/ },
    { args: ['--deployment', 'sync', '--build-id', '$(date)'], says: /A build id has/ },
  ])('$args is wrong usage', async ({ args, says }) => {
    const result = await world.run(['worker', ...args]);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(says);
  });
});
