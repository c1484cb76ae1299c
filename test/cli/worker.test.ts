import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AccountReport } from '../../src/cli/account-report.js';
import { eventually } from '../support/sync.js';
import { expectFailure } from './cli-process.js';
import { createWorld, type World } from './world.js';

let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world?.close());

describe('the key of an account', () => {
  it.concurrent.each([
    {
      title: 'is missing',
      key: undefined,
      says: /no Stripe API key.*set STRIPE_API_KEY_\w+ or STRIPE_API_KEY/,
    },
    {
      title: 'is publishable',
      key: 'pk_test_hunter2hunter2',
      says: /publishable key \(pk_…\).*restricted key/,
    },
    { title: 'is none of Stripe', key: 'hunter2hunter2', says: /STRIPE_API_KEY is not a Stripe API key/ },
    {
      title: 'is unknown',
      key: 'sk_test_hunter2hunter2',
      says: /Stripe does not accept the API key.*STRIPE_API_KEY/,
    },
  ])('$title: start says so, and leaves nothing half-started', async ({ key, says }) => {
    const queue = world.alias();
    const over = { STRIPE_API_KEY: key, STRIPE_SYNC_TASK_QUEUE: queue };
    const worker = await world.work(over);
    const alias = world.alias();
    const result = await world.run(['start', alias], over);
    expectFailure(result, says);
    expect(result.stderr).toContain(`${alias} is not started`);
    expect(await world.isRunning(alias)).toBe(false);
    expect(await world.rowsOf(alias)).toBe(0);
    expect((await worker.end('SIGTERM')).code).toBe(0);
  });

  it('was revoked: start says so, and goes through once it is good again', async () => {
    const over = { STRIPE_SYNC_TASK_QUEUE: world.alias() };
    const worker = await world.work(over);
    const alias = world.alias();
    world.simulator.revokeKey();
    try {
      expectFailure(await world.run(['start', alias], over), /does not accept the API key/);
      expect(await world.isRunning(alias)).toBe(false);
    } finally {
      world.simulator.restoreKey();
    }
    expect(await world.run(['start', alias, '--no-backfill'], over)).toMatchObject({ code: 0, stderr: '' });
    expect((await world.run(['stop', alias], over)).stdout).toMatch(/is stopped/);
    await worker.end('SIGINT');
  });
});

describe('a worker', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('ends within seconds on %s, with exit code 0', async (signal) => {
    const worker = await world.work();
    const alias = world.alias();
    expect((await world.run(['start', alias, '--no-backfill'])).code).toBe(0);
    await eventually(async () => {
      const { stdout } = await world.run(['status', alias, '--json']);
      const { reads } = JSON.parse(stdout) as AccountReport;
      return reads.used30d > 2 ? null : 'it does not poll yet';
    });
    const begun = performance.now();
    const { code, stderr } = await worker.end(signal);
    expect(code).toBe(0);
    expect(performance.now() - begun).toBeLessThan(8_000);
    expect(stderr).toContain('the worker stops');
    expect(await world.isRunning(alias)).toBe(true);
  });
});
