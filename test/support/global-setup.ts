import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../src/sandbox/embedded-postgres.js';
import { freePort } from '../../src/sandbox/ports.js';
import { obtainTemporalBinary } from '../../src/sandbox/temporal-binary.js';
import { startTemporalServer } from '../../src/sandbox/temporal-server.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The superuser's URL of the one PostgreSQL of this run; see `createTestDatabase`. */
    postgresUrl: string;
    /** The one Temporal server of this run, with the namespace `default` and our search attributes. */
    temporalAddress: string;
  }
}

const log = (line: string): void => console.log(`[setup] ${line}`);

async function startTemporal(directory: string): Promise<{ address: string; stop(): Promise<void> }> {
  const address = process.env.TEMPORAL_ADDRESS;
  if (address !== undefined && address !== '') return { address, stop: async () => undefined };
  const binary = await obtainTemporalBinary({ log, terminal: process.stderr });
  return startTemporalServer({
    binary,
    databaseFile: join(directory, 'temporal.db'),
    port: await freePort(),
    log,
  });
}

/** Starts what all test files share, once, and takes it down whatever happens. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = mkdtempSync(join(tmpdir(), 'stripe-sync-test-'));
  // As root, PostgreSQL runs as another user, who has to get in.
  chmodSync(directory, 0o755);
  const started = await Promise.allSettled([
    freePort().then((port) =>
      startEmbeddedPostgres({ directory: join(directory, 'postgres'), port, durable: false, log }),
    ),
    startTemporal(directory),
  ]);
  const tearDown = async (): Promise<void> => {
    const stopped = await Promise.allSettled(
      started.map((result) => (result.status === 'fulfilled' ? result.value.stop() : undefined)),
    );
    rmSync(directory, { recursive: true, force: true });
    for (const result of stopped) if (result.status === 'rejected') throw result.reason;
  };
  const [postgres, temporal] = started;
  if (postgres.status === 'rejected' || temporal.status === 'rejected') {
    await tearDown();
    throw postgres.status === 'rejected' ? postgres.reason : (temporal as PromiseRejectedResult).reason;
  }
  project.provide('postgresUrl', postgres.value.url);
  project.provide('temporalAddress', temporal.value.address);
  return tearDown;
}
