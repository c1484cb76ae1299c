import { existsSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/sandbox/ports.js';
import { eventually } from '../support/sync.js';
import {
  createFolder,
  descendantsOf,
  expectDone,
  expectFailure,
  processesIn,
  type Running,
  run,
  sandboxOf,
  start,
  survivors,
} from './cli-process.js';

const folder = createFolder();
let ports: string[];
let dev: Running;
afterAll(async () => {
  if (dev?.child.exitCode === null) await dev.end('SIGINT');
  folder.remove();
});

async function freePorts(): Promise<string[]> {
  const found = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const options = ['--postgres-port', '--temporal-port', '--ui-port', '--stripe-port'];
  return options.flatMap((option, index) => [option, String(found[index])]);
}

async function startDev(): Promise<Running> {
  const running = start(['dev', ...ports], folder.path);
  await running.says(/Ctrl-C stops everything/);
  return running;
}

const cli = (...args: string[]) => run(args, folder.path);

async function statusOf(account: string) {
  const { stdout, code } = await cli('status', account, '--json');
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

async function query<T>(statement: string): Promise<T[]> {
  const client = new pg.Client(sandboxOf(folder.path).DATABASE_URL);
  await client.connect();
  try {
    return (await client.query(statement)).rows as T[];
  } finally {
    await client.end();
  }
}

/** The first run of the chain that the workflow belongs to. */
async function firstRunOf(account: string): Promise<string> {
  const connection = await Connection.connect({ address: sandboxOf(folder.path).TEMPORAL_ADDRESS ?? '' });
  try {
    const { raw } = await new Client({ connection }).workflow.getHandle(account).describe();
    return String(raw.workflowExecutionInfo?.firstRunId);
  } finally {
    await connection.close();
  }
}

async function simulatedCustomer(id: string): Promise<number> {
  const { STRIPE_API_BASE, STRIPE_API_KEY } = sandboxOf(folder.path);
  const response = await fetch(`${STRIPE_API_BASE}/v1/customers/${id}`, {
    headers: { authorization: `Bearer ${STRIPE_API_KEY}` },
  });
  return response.status;
}

describe('the sandbox', () => {
  beforeAll(async () => {
    ports = await freePorts();
    dev = await startDev();
    await dev.says(/Backfill 1 .* done/);
  });

  it('says where to look, shows how the history is listed, and holds no password in its output', async () => {
    expect(dev.output()).toMatch(/History +\d{3,} objects/);
    expect(dev.output()).toMatch(/npx stripe-sync status demo --watch/);
    expect(dev.output()).toMatch(/Backfill 1 \(the first one\) done: (\d+) of \1 types, 1,\d{3} rows in/);
    const { STRIPE_API_KEY = '', DATABASE_URL = '' } = sandboxOf(folder.path);
    expect(STRIPE_API_KEY).toMatch(/^sk_test_/);
    for (const secret of [STRIPE_API_KEY, new URL(DATABASE_URL).password]) {
      expect(dev.output()).not.toContain(secret);
    }
    for (const file of ['sandbox.json', 'pgpass']) {
      expect(statSync(join(folder.path, '.stripe-sync', file)).mode & 0o077).toBe(0);
    }
  });

  it('is found by commands in the same folder, which need no environment', async () => {
    expect(await statusOf('demo')).toMatchObject({ account: 'demo', state: 'running' });
    expect((await cli('list')).stdout).toMatch(/^demo +running/m);
    expect((await cli('pause', 'demo')).code).toBe(0);
    expect((await statusOf('demo')).state).toBe('paused');
    expect((await cli('resume', 'demo')).code).toBe(0);
    expect((await statusOf('demo')).state).toBe('running');
  });

  it('gives way in parts: what the environment of a command names is not taken from the sandbox', async () => {
    const result = await run(['status', 'demo'], folder.path, {
      DATABASE_URL: 'postgres://nobody:hunter2hunter2@127.0.0.1:1/elsewhere',
    });
    expectFailure(result, /PostgreSQL at 127\.0\.0\.1:1 cannot be reached/);
  });

  it('runs once in a folder', async () => {
    const second = await run(['dev', ...(await freePorts())], folder.path);
    expectFailure(
      second,
      new RegExp(`A sandbox runs in this folder already \\(process ${dev.pid}\\).*kill ${dev.pid}`),
    );
    expect((await statusOf('demo')).state).toBe('running');
  });

  it('leaves no process behind after Ctrl-C, and goes on at the next start where it stopped', async () => {
    await eventually(async () =>
      (await statusOf('demo')).counts.applied > 3 ? null : 'nothing is applied yet',
    );
    const before = {
      run: await firstRunOf('demo'),
      received: (await statusOf('demo')).counts.received,
      customers: await query<{ id: string }>(
        "select id from stripe.customers where account = 'demo' and not deleted order by created limit 3",
      ),
      cluster: (await query('select system_identifier from pg_control_system()'))[0],
    };
    const family = descendantsOf(dev.pid);
    expect(family.size).toBeGreaterThanOrEqual(3);

    const begun = performance.now();
    const stopped = await dev.end('SIGINT');
    expectDone(stopped);
    expect(stopped.stdout).toMatch(/Stopping\..*\nEverything is stopped\.\n$/);
    expect(performance.now() - begun).toBeLessThan(20_000);
    expect(survivors(family)).toEqual([]);
    expect(processesIn(folder.path)).toEqual([]);
    expect(existsSync(join(folder.path, '.stripe-sync', 'sandbox.json'))).toBe(false);
    expectFailure(await cli('list'), /sandbox of this folder is stopped: start it with stripe-sync dev|7233/);

    dev = await startDev();
    expect(dev.output()).toContain('The account demo goes on where it stopped.');
    expect(dev.output()).not.toMatch(/History/);
    expect(dev.output()).toMatch(
      /Webhooks are on: the simulator delivers to http:\/\/127\.0\.0\.1:\d+\/webhooks\/demo/,
    );
    const delivered = () =>
      query("select from stripe_sync.events where account = 'demo' and source = 'webhook'");
    const deliveredBefore = (await delivered()).length;
    await eventually(async () =>
      (await delivered()).length > deliveredBefore ? null : 'no webhook came after the start',
    );
    expect(await firstRunOf('demo')).toBe(before.run);
    expect((await query('select system_identifier from pg_control_system()'))[0]).toEqual(before.cluster);
    expect((await statusOf('demo')).counts.received).toBeGreaterThanOrEqual(before.received);
    expect(before.customers).toHaveLength(3);
    for (const { id } of before.customers) expect(await simulatedCustomer(id)).toBe(200);
    const { received } = (await statusOf('demo')).counts;
    await eventually(async () =>
      (await statusOf('demo')).counts.received > received ? null : 'no new event',
    );
  });
});

describe('the sandbox does not start', () => {
  const other = createFolder();
  afterAll(other.remove);

  it.each([
    { option: '--postgres-port', server: 'PostgreSQL' },
    { option: '--temporal-port', server: 'Temporal' },
    { option: '--ui-port', server: 'Temporal UI' },
    { option: '--stripe-port', server: 'Stripe simulator' },
  ])(
    'where the port of $server is taken: it says who it is for, and nothing was started',
    async ({ option, server }) => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
      const { port } = taken.address() as { port: number };
      const given = await freePorts();
      given[given.indexOf(option) + 1] = String(port);
      try {
        const result = await run(['dev', ...given], other.path);
        expectFailure(result, new RegExp(`${server} cannot listen on 127.0.0.1:${port}.*${option}`));
        expect(processesIn(other.path)).toEqual([]);
        expect(readdirSync(other.path)).toEqual([]);
      } finally {
        await new Promise((resolve) => taken.close(resolve));
      }
    },
  );

  it('to its end where it is interrupted on the way: what was started is stopped, which is no failure', async () => {
    const running = start(['dev', ...(await freePorts())], other.path);
    await running.says(/PostgreSQL +127/);
    await sleep(200);
    const family = descendantsOf(running.pid);
    expectDone(await running.end('SIGINT'));
    expect(survivors(family)).toEqual([]);
    expect(processesIn(other.path)).toEqual([]);
  });
});
