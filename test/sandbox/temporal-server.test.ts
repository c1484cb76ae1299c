import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort, PortInUseError } from '../../src/sandbox/ports.js';
import { processStart } from '../../src/sandbox/process-identity.js';
import { obtainTemporalBinary } from '../../src/sandbox/temporal-binary.js';
import {
  startTemporalServer,
  type TemporalServer,
  type TemporalServerOptions,
} from '../../src/sandbox/temporal-server.js';
import { eventually } from './waiting.js';

const stripeAccount = defineSearchAttributeKey('StripeAccount', 'KEYWORD');

async function withClient<T>(address: string, use: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

/** Starts a workflow that no worker takes, so it runs on for as long as its server keeps it. */
const startWorkflow = (address: string, workflowId: string): Promise<unknown> =>
  withClient(address, (client) =>
    client.workflow.start('nobodyRunsThis', {
      workflowId,
      taskQueue: 'no-worker',
      typedSearchAttributes: new TypedSearchAttributes([{ key: stripeAccount, value: 'acme' }]),
    }),
  );

const listed = (address: string, query: string): Promise<string[]> =>
  withClient(address, async (client) => {
    const ids: string[] = [];
    for await (const { workflowId } of client.workflow.list({ query })) ids.push(workflowId);
    return ids;
  });

describe('the Temporal server of the sandbox', () => {
  let binary: string;
  let directory: string;
  const running: TemporalServer[] = [];

  const start = async (options: Partial<TemporalServerOptions> = {}): Promise<TemporalServer> => {
    const databaseFile = join(directory, 'temporal.db');
    const server = await startTemporalServer({ binary, databaseFile, port: await freePort(), ...options });
    running.push(server);
    return server;
  };

  beforeAll(async () => {
    binary = await obtainTemporalBinary({ log: console.log });
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'stripe-sync-test-'));
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((server) => server.stop()));
    rmSync(directory, { recursive: true, force: true });
  });

  it('keeps its workflows from one start to the next', async () => {
    const first = await start();
    await startWorkflow(first.address, 'kept');
    await first.stop();
    expect(processStart(first.pid)).toBeUndefined();

    const second = await start();
    const status = await withClient(
      second.address,
      async (client) => (await client.workflow.getHandle('kept').describe()).status.name,
    );
    expect(status).toBe('RUNNING');
    expect(await listed(second.address, 'StripeAccount = "acme"')).toEqual(['kept']);
  });

  it('keeps its workflows after kill -9', async () => {
    const first = await start();
    await startWorkflow(first.address, 'kept');
    process.kill(first.pid, 'SIGKILL');
    expect(await first.exited).toBe('signal SIGKILL');
    await first.stop();

    const second = await start();
    await eventually('the workflow is listed', async () =>
      (await listed(second.address, 'StripeAccount = "acme"')).includes('kept'),
    );
  });

  it('lists workflows by the search attributes of an account at once', async () => {
    const server = await start();
    await startWorkflow(server.address, 'acme');
    await eventually('the workflow is listed', async () =>
      (await listed(server.address, 'StripeAccount = "acme" AND StripeObject IS NULL')).includes('acme'),
    );
  });

  it('learns search attributes that were added after its database was made', async () => {
    const first = await start({ searchAttributes: [] });
    await expect(startWorkflow(first.address, 'refused')).rejects.toThrow();
    await first.stop();
    const second = await start();
    await startWorkflow(second.address, 'accepted');
  });

  it('serves its UI where it is asked to', async () => {
    const uiPort = await freePort();
    const server = await start({ uiPort });
    expect(server.uiUrl).toBe(`http://127.0.0.1:${uiPort}`);
    // Through the UI's own server to the Temporal server behind it.
    await eventually('the UI answers', () =>
      fetch(`${server.uiUrl}/api/v1/cluster-info`).then(
        async (response) => (await response.text()).includes('serverVersion'),
        () => false,
      ),
    );
    expect(await (await fetch(server.uiUrl as string)).text()).toContain('<!doctype html>');
    expect((await start({ databaseFile: join(directory, 'headless.db') })).uiUrl).toBeUndefined();
  });

  it.each(['port', 'uiPort'] as const)('names the %s that another program has', async (which) => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const { port } = blocker.address() as { port: number };
    const failed = start({ [which]: port });
    await expect(failed).rejects.toThrow(PortInUseError);
    await expect(failed).rejects.toThrow(`127.0.0.1:${port}`);
    blocker.close();
    expect((await start()).address).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it('quotes the log when the server does not come up, and leaves nothing of it', async () => {
    writeFileSync(join(directory, 'temporal.db'), 'This is no database. '.repeat(1_000));
    await expect(start()).rejects.toThrow(
      /Temporal ended while it started \(exit code 1\)[\s\S]*not a database/,
    );
    rmSync(join(directory, 'temporal.db'));
    expect((await start()).pid).toBeGreaterThan(0);
  });
});
