import type { Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { SandboxConfig } from '../config.js';
import { createPool } from '../postgres/pool.js';
import { assertMigrated } from '../postgres/schema.js';
import { connectWorker, type TemporalTarget } from '../temporal/connection.js';
import { createWorker, installRuntime } from '../temporal/worker.js';
import { createStripeClients } from './stripe-clients.js';

export interface RunningWorker {
  /** Rejects when the worker fails; resolves once it has shut down. */
  readonly ended: Promise<void>;
  /** Takes no new work, gives what runs time to end, and closes all connections. */
  stop(): Promise<void>;
}

/** Starts a worker in this process, after everything that it needs has answered. */
export async function startWorker(
  env: NodeJS.ProcessEnv,
  config: SandboxConfig & { readonly databaseUrl: string },
  target: TemporalTarget,
  log: Logger,
): Promise<RunningWorker> {
  const pool = createPool({
    connectionString: config.databaseUrl,
    applicationName: 'stripe-sync worker',
    max: 16,
    // Below the timeouts of the activities, so that PostgreSQL gives up first.
    statementTimeoutMs: 15_000,
    onConnectionLost: (error) =>
      log.warn({ code: (error as { code?: string }).code }, 'a connection to PostgreSQL was lost'),
  });
  const stopping = new AbortController();
  const stripe = createStripeClients(env, config.stripeApiBase);
  try {
    await assertMigrated(pool);
    installRuntime(log);
    const connection = await connectWorker(target);
    const worker = await createWorker({
      connection,
      namespace: target.namespace,
      taskQueue: config.taskQueue,
      pool,
      stripe: stripe.of,
      log,
      stopping: stopping.signal,
    });
    const ended = runToItsEnd(worker, async () => {
      stripe.close();
      await connection.close();
      await pool.end();
    });
    return {
      ended,
      async stop() {
        stopping.abort();
        if (worker.getState() === 'RUNNING') worker.shutdown();
        await ended;
      },
    };
  } catch (error) {
    stripe.close();
    await pool.end();
    throw error;
  }
}

async function runToItsEnd(worker: Worker, close: () => Promise<void>): Promise<void> {
  try {
    await worker.run();
  } finally {
    await close();
  }
}
