import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/sandbox/ports.js';
import { eventually } from '../support/sync.js';
import { expectFailure } from './cli-process.js';
import { createWorld, type World } from './world.js';

let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world?.close());

describe('worker --metrics', () => {
  it('serves what Prometheus scrapes, on loopback, until it ends', async () => {
    const port = await freePort();
    const worker = world.start(['worker', '--metrics', String(port)]);
    await worker.says(/the worker runs/);
    expect(worker.output()).toContain(`"metrics":"127.0.0.1:${port}"`);
    const alias = world.alias();
    expect((await world.run(['start', alias, '--no-backfill'])).code).toBe(0);
    await eventually(async () => {
      const response = await fetch(`http://127.0.0.1:${port}/metrics`);
      expect(response.status).toBe(200);
      const text = await response.text();
      const missing = [
        'temporal_worker_task_slots_available',
        'temporal_workflow_task_queue_poll_succeed',
        alias,
      ]
        .slice(0, 2)
        .filter((name) => !text.includes(name));
      // No label names an account.
      expect(text).not.toContain(alias);
      return missing.length === 0 ? null : `${missing.join(', ')} are missing`;
    });
    expect((await world.run(['stop', alias])).code).toBe(0);
    expect((await worker.end('SIGTERM')).code).toBe(0);
    await expect(fetch(`http://127.0.0.1:${port}/metrics`)).rejects.toThrow();
  });

  it('says so where the port is taken, and does not run without', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const result = await world.run(['worker', '--metrics', String(port)]);
    expectFailure(
      result,
      /The metrics cannot be served at 127\.0\.0\.1:\d+ \(EADDRINUSE\): name another port/,
    );
    server.close();
  });

  it.each([
    { args: ['--metrics-host', '0.0.0.0'], says: /--metrics-host needs --metrics PORT/ },
    { args: ['--metrics', '9464', '--metrics-host', 'localhost'], says: /takes an IP address/ },
  ])('$args is wrong usage', async ({ args, says }) => {
    const result = await world.run(['worker', ...args]);
    expect(result.stderr).toMatch(says);
    expect(result.code).toBe(2);
  });
});

describe('a worker whose Temporal cannot be reached', () => {
  it('says so in one line within seconds, and ends with exit code 1', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const result = await world.run(['worker'], { TEMPORAL_ADDRESS: `127.0.0.1:${port}` });
    expectFailure(result, /Temporal does not answer at 127\.0\.0\.1:\d+ .*TEMPORAL_ADDRESS/);
    expect(result.seconds).toBeLessThan(25);
    silent.close();
  });
});
