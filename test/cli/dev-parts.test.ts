import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { freePort } from '../../src/sandbox/ports.js';
import { createSimulator, type Simulator } from '../../src/sandbox/simulator/index.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import {
  createFolder,
  descendantsOf,
  expectDone,
  expectFailure,
  processesIn,
  run,
  sandboxOf,
  start,
  survivors,
} from './cli-process.js';

const folder = createFolder();
const taskQueue = `cli-${randomBytes(4).toString('hex')}`;
const address = inject('temporalAddress');
let database: TestDatabase;
let simulator: Simulator;
let client: Client;

beforeAll(async () => {
  database = await createTestDatabase();
  simulator = await createSimulator({ seed: 5 });
  simulator.createMany('customer', 30);
  client = new Client({ connection: await Connection.connect({ address }) });
});
afterAll(async () => {
  for (const account of ['demo', 'shop']) {
    await client.workflow
      .getHandle(account)
      .terminate('the test is over')
      .catch(() => undefined);
  }
  await client.connection.close();
  await simulator.close();
  await database.drop();
  folder.remove();
});

async function ports(): Promise<string[]> {
  const options = ['--postgres-port', '--temporal-port', '--ui-port', '--stripe-port'];
  return (await Promise.all(options.map(async (option) => [option, String(await freePort())]))).flat();
}

async function customersOf(account: string): Promise<number> {
  const { rows } = await database.pool.query<{ rows: number }>(
    'select count(*)::integer as rows from stripe.customers where account = $1',
    [account],
  );
  return rows[0]?.rows ?? 0;
}

describe('a bounded run', () => {
  it('ends by itself with equal tables, and leaves neither a process nor a folder', async () => {
    const running = start(['dev', '--for', '10', '--seed', '3'], folder.path);
    await running.says(/runs for 10 s \(seed 3\), with webhooks/);
    const family = descendantsOf(running.pid);
    const result = await running.finished;
    const { stdout } = result;
    expect(stdout).toMatch(/events +\d+ generated, \d+ seen/);
    expect(stdout).toMatch(/webhooks +[1-9]\d* delivered, 0 given up/);
    expect(stdout).toMatch(/tables +1\d{3} rows and \d+ tombstones are equal, 0 differ/);
    expect(result.stdout).toContain("tables equal Stripe's truth");
    expectDone(result);
    expect(survivors(family)).toEqual([]);
    expect(processesIn(folder.path)).toEqual([]);
    expect(existsSync(join(folder.path, '.stripe-sync'))).toBe(false);
  });

  it('on a PostgreSQL and a Temporal of one’s own keeps the rows, and leaves no workflow there', async () => {
    const over = { DATABASE_URL: database.url, TEMPORAL_ADDRESS: address, STRIPE_SYNC_TASK_QUEUE: taskQueue };
    const result = await run(['dev', '--for', '3', '--no-webhooks'], folder.path, over);
    expect(result.stdout).toContain("tables equal Stripe's truth");
    expect(result.stdout).toMatch(/by polling alone[\s\S]*webhooks +none: polling alone/);
    expectDone(result);
    const account = /The account (demo-\w+) runs/.exec(result.stdout)?.[1] ?? '';
    expect(await customersOf(account)).toBeGreaterThanOrEqual(300);
    expect((await client.workflow.getHandle(account).describe()).status.name).not.toBe('RUNNING');
    expect(existsSync(join(folder.path, '.stripe-sync'))).toBe(false);
  });

  it('that is interrupted says that nothing was compared, exits 1, and leaves nothing', async () => {
    const running = start(['dev', '--for', '600'], folder.path);
    await running.says(/runs for 600 s/);
    const family = descendantsOf(running.pid);
    const result = await running.end('SIGINT');
    expectFailure(result, /SIGINT ended the run before its time; nothing was compared/);
    expect(survivors(family)).toEqual([]);
    expect(existsSync(join(folder.path, '.stripe-sync'))).toBe(false);
  });
});

describe('the sandbox with parts of one’s own', () => {
  it('takes a Stripe account and a PostgreSQL as they are, and brings the rest', async () => {
    const over = {
      DATABASE_URL: database.url,
      STRIPE_API_BASE: simulator.url,
      STRIPE_API_KEY_SHOP: simulator.apiKey,
    };
    const dev = start(['dev', ...(await ports())], folder.path, over);
    await dev.says(/The account shop is syncing[\s\S]*Backfill \d+ .* done/);
    expect(dev.output()).not.toMatch(/Stripe simulator|PostgreSQL +127/);
    expect(Object.keys(sandboxOf(folder.path)).sort()).toEqual([
      'STRIPE_SYNC_TASK_QUEUE',
      'TEMPORAL_ADDRESS',
      'TEMPORAL_NAMESPACE',
    ]);
    expect(await customersOf('shop')).toBe(30);
    const status = await run(['status', 'shop', '--json'], folder.path, over);
    expect(JSON.parse(status.stdout)).toMatchObject({ account: 'shop', state: 'running' });
    expectDone(await dev.end('SIGTERM'));
    expect(processesIn(folder.path)).toEqual([]);
  });

  it('takes a Temporal as it is, where the workflow stays while the sandbox is away', async () => {
    const over = { TEMPORAL_ADDRESS: address, STRIPE_SYNC_TASK_QUEUE: taskQueue };
    const dev = start(['dev', ...(await ports())], folder.path, over);
    await dev.says(/The account demo is syncing[\s\S]*Backfill \d+ .* done/);
    expect(Object.keys(sandboxOf(folder.path))).not.toContain('TEMPORAL_ADDRESS');
    expect((await dev.end('SIGINT')).code).toBe(0);
    expect((await client.workflow.getHandle('demo').describe()).status.name).toBe('RUNNING');
  });

  it('lists everything again where PostgreSQL is another one than at the last start', async () => {
    const { runId } = await client.workflow.getHandle('demo').describe();
    const over = {
      DATABASE_URL: database.url,
      TEMPORAL_ADDRESS: address,
      STRIPE_SYNC_TASK_QUEUE: taskQueue,
    };
    const dev = start(['dev', ...(await ports())], folder.path, over);
    await dev.says(/The account demo is syncing[\s\S]*Backfill \d+ .* done/);
    expect(await customersOf('demo')).toBeGreaterThanOrEqual(300);
    expect((await client.workflow.getHandle('demo', runId).describe()).status.name).toBe('TERMINATED');
    expect((await dev.end('SIGINT')).code).toBe(0);
  });

  it('does not start on a Temporal that is not there, and takes down what it had started', async () => {
    const port = await freePort();
    const other = createFolder();
    try {
      const result = await run(['dev', ...(await ports())], other.path, {
        TEMPORAL_ADDRESS: `127.0.0.1:${port}`,
      });
      expectFailure(result, new RegExp(`Temporal does not answer at 127.0.0.1:${port}`));
      expect(processesIn(other.path)).toEqual([]);
    } finally {
      other.remove();
    }
  });
});
