import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { createSandboxWebhooks, withoutWebhooks } from '../../src/cli/dev-webhooks.js';
import { createSimulator, type Simulator } from '../../src/sandbox/simulator/index.js';
import { isSigned, readSignature } from '../../src/webhooks/signature.js';
import { eventually } from '../support/sync.js';

const directory = mkdtempSync(join(tmpdir(), 'stripe-sync-webhooks-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** In place of the worker's receiver: which deliveries came, and whether they were signed with one of the secrets. */
async function listen(secrets: readonly string[]) {
  const came: { path: string; signed: boolean }[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    request.on('end', () => {
      const signature = readSignature(request.headers['stripe-signature']?.toString());
      const signed = signature !== null && isSigned(text, signature, secrets, Date.now());
      came.push({ path: request.url ?? '', signed });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => new Promise<unknown>((resolve) => server.close(resolve));
  onTestFinished(async () => {
    await close();
  });
  return { came, port: (server.address() as { port: number }).port };
}

async function startSimulator(): Promise<Simulator> {
  const simulator = await createSimulator({ directory, visibility: { kind: 'none' } });
  onTestFinished(() => simulator.close());
  return simulator;
}

const endpointsOf = (simulator: Simulator) => [
  ...(simulator.truth().get('webhook_endpoint')?.values() ?? []),
];

describe('the webhooks of the sandbox', () => {
  it('reach the worker of each start, by one endpoint that the simulator keeps', async () => {
    const urls: unknown[] = [];
    for (const start of [1, 2, 3]) {
      const simulator = await startSimulator();
      const webhooks = createSandboxWebhooks(simulator);
      const { came, port } = await listen(webhooks.options.secretsOf?.('demo') ?? []);
      const url = webhooks.deliverTo(port, 'demo');
      urls.push(url);
      expect(url).toBe(`http://127.0.0.1:${port}/webhooks/demo`);
      simulator.create('customer');
      await eventually(async () => (came.length > 0 ? null : `nothing came at start ${start}`));
      expect(came).toEqual([{ path: '/webhooks/demo', signed: true }]);
      expect(endpointsOf(simulator)).toMatchObject([{ deleted: false, data: { url } }]);
      await simulator.close();
    }
    expect(new Set(urls).size).toBe(3);
  });

  it('are off at a start without them, and on again at the next', async () => {
    const off = await startSimulator();
    withoutWebhooks(off);
    off.create('customer');
    expect(off.deliveryStats()).toMatchObject({ sent: 0, open: 0 });
    expect(endpointsOf(off)).toMatchObject([{ data: { status: 'disabled' } }]);
    await off.close();

    const on = await startSimulator();
    const webhooks = createSandboxWebhooks(on);
    const { came, port } = await listen(webhooks.options.secretsOf?.('demo') ?? []);
    webhooks.deliverTo(port, 'demo');
    on.create('customer');
    await eventually(async () => (came.length > 0 ? null : 'nothing came'));
    expect(came[0]?.signed).toBe(true);
  });

  it('of a simulator that never had any are simply off', async () => {
    const simulator = await createSimulator();
    onTestFinished(() => simulator.close());
    withoutWebhooks(simulator);
    expect(endpointsOf(simulator)).toEqual([]);
  });
});
