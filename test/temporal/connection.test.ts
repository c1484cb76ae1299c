import { createServer } from 'node:net';
import { describe, expect, inject, it } from 'vitest';
import { connectClient, connectWorker, temporalTarget } from '../../src/temporal/connection.js';

/** No profile of whoever runs the tests plays a part. */
const NO_PROFILE = { TEMPORAL_CONFIG_FILE: '/nowhere/temporal.toml' };
const target = (env: Record<string, string>) => temporalTarget({ ...NO_PROFILE, ...env });

describe('TEMPORAL_API_KEY', () => {
  it('does not keep anybody from a server on this machine, such as the sandbox’s', async () => {
    const here = target({ TEMPORAL_API_KEY: 'hunter2', TEMPORAL_ADDRESS: inject('temporalAddress') });
    const client = await connectClient(here);
    await client.workflowService.getSystemInfo({});
    await client.connection.close();
    const worker = await connectWorker(here);
    await worker.close();
  });

  it('implies TLS for a server elsewhere', () => {
    const elsewhere = target({ TEMPORAL_API_KEY: 'hunter2', TEMPORAL_ADDRESS: 'temporal.example:7233' });
    expect(elsewhere.options.tls).toBe(true);
  });

  it('leaves TLS on where it is asked for', () => {
    const asked = { TEMPORAL_API_KEY: 'hunter2', TEMPORAL_ADDRESS: '127.0.0.1:7233', TEMPORAL_TLS: 'true' };
    expect(target(asked).options.tls).toBeTruthy();
  });
});

describe('a worker’s connection', () => {
  it('to a server that says nothing is given up after ten seconds', async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const begun = performance.now();
    const silent = target({ TEMPORAL_ADDRESS: `127.0.0.1:${port}` });
    await expect(connectWorker(silent)).rejects.toThrow(/Temporal does not answer at 127\.0\.0\.1/);
    expect(performance.now() - begun).toBeLessThan(13_000);
    server.close();
  });
});
