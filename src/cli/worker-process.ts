import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { type SandboxConfig, type WorkerVersion, webhookSecretsOf } from '../config.js';
import { UserError } from '../domain/failures.js';
import type { Handlers } from '../handlers/define-handlers.js';
import { createHandlerRunner } from '../handlers/run-handler.js';
import { listenForInboxNews } from '../postgres/inbox-news.js';
import { connectWorker, type TemporalTarget } from '../temporal/connection.js';
import { createWorker, installRuntime } from '../temporal/worker.js';
import type { Dedupe } from '../webhooks/read-delivery.js';
import { startReceiver } from '../webhooks/receiver.js';
import { openMigrated } from './database.js';
import { keepRunningOnFloatingRejections } from './floating-rejections.js';
import { aliasNotes, createStripeClients } from './stripe-clients.js';
import { withTemporal } from './temporal-client.js';
import { createUndoStack } from './undo-stack.js';

export interface RunningWorker {
  /** Where webhooks are received; undefined where none are. */
  readonly webhooksPort: number | undefined;
  /** Rejects when the worker fails; resolves once it has shut down. */
  readonly ended: Promise<void>;
  /** Takes no new work, gives what runs time to end, and closes all connections. */
  stop(): Promise<void>;
}

export interface WebhookOptions {
  readonly host: string;
  readonly port: number;
  readonly dedupe?: Dedupe | undefined;
  /** The secrets that may sign deliveries to an account; those of the environment unless told. */
  readonly secretsOf?: ((alias: string) => readonly string[]) | undefined;
}

export interface WorkerParts {
  readonly handlers?: Handlers | undefined;
  readonly webhooks?: WebhookOptions | undefined;
  readonly version?: WorkerVersion | undefined;
  /** `HOST:PORT` for Prometheus. */
  readonly metricsAddress?: string | undefined;
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
  { handlers, webhooks, version, metricsAddress }: WorkerParts = {},
): Promise<RunningWorker> {
  const secretsOf = webhooks === undefined ? undefined : (webhooks.secretsOf ?? webhookSecretsOf(env));
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
    const stripe = createStripeClients(env, config.stripeApiBase, aliasNotes(pool));
    undo.add(stripe.close);
    if (metricsAddress !== undefined) await assertFree(metricsAddress);
    installRuntime(log, metricsAddress);
    const connection = await connectWorker(target);
    undo.add(() => connection.close());
    if (handlers !== undefined) undo.add(keepRunningOnFloatingRejections(log));
    const receiver =
      webhooks === undefined || secretsOf === undefined
        ? undefined
        : await startReceiver({ connectionString: config.databaseUrl, ...webhooks, secretsOf, log });
    if (receiver !== undefined) undo.add(receiver.close);
    const worker = await createWorker({
      connection,
      namespace: target.namespace,
      taskQueue: config.taskQueue,
      pool,
      stripe: stripe.of,
      log,
      inbox,
      handlers: handlers === undefined ? undefined : createHandlerRunner(handlers, { pool }),
      version,
      stopping: stopping.signal,
    });
    const ended = runToItsEnd(worker, undo.run);
    // Whoever waits for it gets the failure; until somebody does, it must not end the process.
    ended.catch(() => undefined);
    return {
      webhooksPort: receiver?.port,
      ended,
      async stop() {
        stopping.abort();
        // Beside the worker, so that both have the whole time. What goes wrong, the undo stack meets again.
        receiver?.close().catch(() => undefined);
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

/** The core only logs, as one of its own lines, that it cannot listen. */
async function assertFree(address: string): Promise<void> {
  const [, host = '', port] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  const server = createServer();
  try {
    server.listen(Number(port), host);
    await once(server, 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UserError(
      `The metrics cannot be served at ${address} (${code}): name another port with --metrics.`,
    );
  }
  server.close();
  await once(server, 'close');
}

async function runToItsEnd(worker: Worker, close: () => Promise<void>): Promise<void> {
  try {
    await worker.run();
  } finally {
    await close();
  }
}
