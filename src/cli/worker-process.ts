import type { Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import type { SandboxConfig } from '../config.js';
import type { Handlers } from '../handlers/define-handlers.js';
import { createHandlerRunner } from '../handlers/run-handler.js';
import { listenForInboxNews } from '../postgres/inbox-news.js';
import { connectWorker, type TemporalTarget } from '../temporal/connection.js';
import { createWorker, installRuntime } from '../temporal/worker.js';
import { openMigrated } from './database.js';
import { keepRunningOnFloatingRejections } from './floating-rejections.js';
import { createStripeClients } from './stripe-clients.js';
import { withTemporal } from './temporal-client.js';
import { createUndoStack } from './undo-stack.js';

export interface RunningWorker {
  /** Rejects when the worker fails; resolves once it has shut down. */
  readonly ended: Promise<void>;
  /** Takes no new work, gives what runs time to end, and closes all connections. */
  stop(): Promise<void>;
}

/**
 * Starts a worker in this process, after everything that it needs has answered.
 * @throws UserError, SchemaNotMigratedError, an error of Temporal; nothing is left open then
 */
export async function startWorker(
  env: NodeJS.ProcessEnv,
  config: SandboxConfig & { readonly databaseUrl: string },
  target: TemporalTarget,
  log: Logger,
  handlers?: Handlers,
): Promise<RunningWorker> {
  const undo = createUndoStack();
  const stopping = new AbortController();
  try {
    const pool = await openMigrated({
      connectionString: config.databaseUrl,
      applicationName: 'stripe-sync worker',
      max: 16,
      // Below the timeouts of the activities, so that PostgreSQL gives up first.
      statementTimeoutMs: 15_000,
      onConnectionLost: (error) =>
        log.warn({ code: (error as { code?: string }).code }, 'a connection to PostgreSQL was lost'),
    });
    undo.add(() => pool.end());
    const inbox = listenForInboxNews({ connectionString: config.databaseUrl, pool, log });
    undo.add(() => inbox.close());
    await assertServed(env, target.namespace);
    const stripe = createStripeClients(env, config.stripeApiBase);
    undo.add(stripe.close);
    installRuntime(log);
    const connection = await connectWorker(target);
    undo.add(() => connection.close());
    if (handlers !== undefined) undo.add(keepRunningOnFloatingRejections(log));
    const worker = await createWorker({
      connection,
      namespace: target.namespace,
      taskQueue: config.taskQueue,
      pool,
      stripe: stripe.of,
      log,
      inbox,
      handlers: handlers === undefined ? undefined : createHandlerRunner(handlers, { pool }),
      stopping: stopping.signal,
    });
    const ended = runToItsEnd(worker, undo.run);
    // Whoever waits for it gets the failure; until somebody does, it must not end the process.
    ended.catch(() => undefined);
    return {
      ended,
      async stop() {
        stopping.abort();
        if (worker.getState() === 'RUNNING') worker.shutdown();
        await ended;
      },
    };
  } catch (error) {
    await undo.run();
    throw error;
  }
}

/**
 * Asks through a client first: its connection has a deadline, which the worker's own has not, and it tells an
 * unknown namespace from a server that is away.
 */
async function assertServed(env: NodeJS.ProcessEnv, namespace: string): Promise<void> {
  await withTemporal(env, (client) => client.workflowService.describeNamespace({ namespace }));
}

async function runToItsEnd(worker: Worker, close: () => Promise<void>): Promise<void> {
  try {
    await worker.run();
  } finally {
    await close();
  }
}
