import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CheckReport } from '../../src/cli/doctor/check.js';
import { checkTemporal, retentionFinding } from '../../src/cli/doctor/temporal-checks.js';
import { eventually } from '../support/sync.js';
import { named, troubles } from './reports.js';
import { createWorld, type World } from './world.js';

let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world?.close());

async function reportsOf(
  account: string,
  over: Readonly<Record<string, string>> = {},
): Promise<CheckReport[]> {
  const reports = await checkTemporal({
    env: { ...world.variables, ...over },
    account,
    machineNow: Date.now,
    progress: () => undefined,
  });
  for (const { group, result, remedy } of reports) {
    expect(group).toBe('Temporal');
    expect(remedy === undefined).toBe(result === 'ok');
  }
  return reports;
}

describe('a server', () => {
  it('without a worker and an account says so, and what to do', async () => {
    const reports = await reportsOf('acme');
    expect(reports.map(({ check }) => check)).toEqual([
      'reachable',
      'namespace',
      'search attributes',
      'workers',
      'workflow',
      'schedules',
    ]);
    expect(troubles(reports)).toEqual(['workers: fail', 'workflow: warn']);
    expect(named(reports, 'reachable').found).toMatch(
      /^127\.0\.0\.1:\d+, namespace default, server \d+\.\d+.*, in \d+ ms$/,
    );
    expect(named(reports, 'workers')).toMatchObject({
      found: expect.stringContaining(`${world.variables.STRIPE_SYNC_TASK_QUEUE} for workflows or activities`),
      remedy: expect.stringContaining('stripe-sync worker'),
    });
    expect(named(reports, 'workflow')).toMatchObject({
      found: 'acme does not run',
      remedy: 'Start it with: stripe-sync start acme',
    });
  });

  it('where nobody listens fails at once, and nothing else is said', async () => {
    const reports = await reportsOf('acme', { TEMPORAL_ADDRESS: '127.0.0.1:1' });
    expect(reports).toEqual([
      {
        group: 'Temporal',
        check: 'reachable',
        result: 'fail',
        found: 'Temporal does not answer at 127.0.0.1:1: nothing listens there',
        remedy: expect.stringContaining('TEMPORAL_ADDRESS'),
      },
    ]);
  });

  it('that says nothing fails within its deadline', async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const begun = performance.now();
    const reports = await reportsOf('acme', { TEMPORAL_ADDRESS: `127.0.0.1:${port}` });
    expect(troubles(reports)).toEqual(['reachable: fail']);
    expect(performance.now() - begun).toBeLessThan(13_000);
    server.close();
  });

  it('without the namespace fails, with what creates it', async () => {
    const reports = await reportsOf('acme', { TEMPORAL_NAMESPACE: 'nowhere' });
    expect(named(reports, 'reachable').result).toBe('ok');
    expect(named(reports, 'namespace')).toMatchObject({
      result: 'fail',
      found: 'Temporal has no namespace nowhere',
      remedy: expect.stringContaining('temporal operator namespace create nowhere'),
    });
  });

  it('whose namespace lacks the search attributes is warned', async () => {
    const namespace = world.alias();
    await world.client.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 3_600 as never },
    });
    await eventually(async () => {
      const reports = await reportsOf('acme', { TEMPORAL_NAMESPACE: namespace });
      const attributes = named(reports, 'search attributes');
      return attributes.found.includes('StripeAccount and StripeObject are not registered')
        ? null
        : attributes.found;
    });
    const reports = await reportsOf('acme', { TEMPORAL_NAMESPACE: namespace });
    expect(named(reports, 'search attributes')).toMatchObject({
      result: 'warn',
      remedy: expect.stringContaining('stripe-sync migrate'),
    });
    expect(named(reports, 'namespace')).toMatchObject({
      result: 'warn',
      found: `${namespace} exists and keeps ended workflows for 60 min`,
      remedy: expect.stringContaining(`namespace update --retention 72h ${namespace}`),
    });
  });

  it.each([
    [3_600, 'warn', 'acme exists and keeps ended workflows for 60 min'],
    [86_400, 'ok', 'acme exists and keeps ended workflows for 24 h'],
    [null, 'ok', 'acme exists'],
  ])('that keeps ended workflows for %s s is told', (seconds, result, found) => {
    expect(retentionFinding('acme', seconds)).toMatchObject({ result, found });
  });
});

describe('an account', () => {
  let alias: string;
  beforeAll(async () => {
    await world.work();
    alias = world.alias();
    const started = await world.run(['start', alias, '--no-backfill', '--poll-interval', '1s']);
    expect(started).toMatchObject({ code: 0, stderr: '' });
  });

  it('that runs passes, with its worker and its schedules', async () => {
    const reports = await reportsOf(alias);
    expect(troubles(reports)).toEqual([]);
    expect(named(reports, 'workflow').found).toBe(`${alias} is running`);
    expect(named(reports, 'workers').found).toMatch(/was polled for workflows and activities \d+ s ago$/);
    expect(named(reports, 'schedules').found).toMatch(/^prune comes at 20\d\d-.* UTC$/);
  });

  it('whose key is refused is in trouble, in words', async () => {
    world.simulator.revokeKey();
    try {
      await eventually(async () => {
        const { result, found } = named(await reportsOf(alias), 'workflow');
        return result === 'fail' && found.includes('does not accept the API key') ? null : found;
      });
    } finally {
      world.simulator.restoreKey();
    }
    await eventually(async () => {
      const { result, found } = named(await reportsOf(alias), 'workflow');
      return result === 'ok' ? null : found;
    });
  });

  it('that is paused is warned, with what resumes it', async () => {
    expect((await world.run(['pause', alias])).code).toBe(0);
    const reports = await reportsOf(alias);
    expect(troubles(reports)).toEqual(['workflow: warn', 'schedules: warn']);
    expect(named(reports, 'workflow')).toMatchObject({
      found: `${alias} is paused`,
      remedy: `Let it go on with: stripe-sync resume ${alias}`,
    });
    expect(named(reports, 'schedules').found).toBe('prune is paused');
    expect((await world.run(['resume', alias])).code).toBe(0);
    expect(troubles(await reportsOf(alias))).toEqual([]);
  });

  it('without schedules is warned', async () => {
    await world.client.schedule.getHandle(`${alias}/prune`).delete();
    await eventually(async () => {
      const { result, found } = named(await reportsOf(alias), 'schedules');
      return result === 'warn' && found.startsWith('none is set') ? null : found;
    });
  });

  it('that was stopped is warned, and wants no schedules', async () => {
    expect((await world.run(['stop', alias])).code).toBe(0);
    const reports = await reportsOf(alias);
    expect(troubles(reports)).toEqual(['workflow: warn']);
    expect(named(reports, 'workflow').found).toMatch(new RegExp(`^${alias} was stopped at 20.* UTC$`));
    expect(named(reports, 'schedules').found).toContain('does not run');
  });

  it('whose worker is gone fails, though the task queue was polled not long ago', async () => {
    const queue = world.alias();
    const over = { STRIPE_SYNC_TASK_QUEUE: queue };
    const worker = await world.work(over);
    const orphan = world.alias();
    expect((await world.run(['start', orphan, '--no-backfill'], over)).code).toBe(0);
    await worker.end('SIGTERM');
    const workflow = named(await reportsOf(orphan, over), 'workflow');
    expect(workflow).toMatchObject({
      result: 'fail',
      found: expect.stringContaining(`${orphan} runs, but its worker did not answer`),
      remedy: expect.stringMatching(/worker/),
    });
  });
});
