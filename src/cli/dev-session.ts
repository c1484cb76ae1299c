/** All that runs while the sandbox does: its servers, a worker, and the ways to look at them. */
import type { Client } from '@temporalio/client';
import type { Pool } from 'pg';
import { loadConfig } from '../config.js';
import { UserError } from '../domain/failures.js';
import { migrate } from '../postgres/migrate.js';
import { seedHistory } from '../sandbox/seed-history.js';
import { temporalTarget } from '../temporal/connection.js';
import { registerSearchAttributes } from '../temporal/search-attributes.js';
import { givenEnvironment } from './context.js';
import { assertReachable, openMigrated } from './database.js';
import { createSandboxWebhooks, withoutWebhooks } from './dev-webhooks.js';
import { forPeople, messageOf } from './failure-text.js';
import type { LiveLine } from './live-line.js';
import { createLogger } from './logger.js';
import { type Sandbox, startSandbox } from './sandbox.js';
import type { SandboxPorts } from './sandbox-ports.js';
import { openClient } from './temporal-client.js';
import type { UndoStack } from './undo-stack.js';
import { startWorker } from './worker-process.js';

export interface Session {
  readonly sandbox: Sandbox;
  readonly client: Client;
  readonly pool: Pool;
  readonly taskQueue: string;
  /** Lets the simulator deliver webhooks to the account, which was started. Gives their URL; null where none are. */
  readonly deliverWebhooks: (account: string) => string | null;
  /** Rejects when a server or the worker ended that should not have. */
  readonly failed: Promise<never>;
}

export interface SessionOptions {
  readonly directory: string;
  readonly seed: number | undefined;
  /** Free ones where null. */
  readonly ports: SandboxPorts | null;
  /** Whether the simulator is to deliver webhooks to the worker. */
  readonly webhooks: boolean;
  readonly line: LiveLine;
  /** Aborts when somebody asked for the end while all this starts. */
  readonly signal: AbortSignal;
}

/** Starts everything, and puts on `undo` what ends it again. */
export async function startSession(options: SessionOptions, undo: UndoStack): Promise<Session> {
  const { line, signal } = options;
  const given = givenEnvironment();
  const sandbox = await startSandbox(given, { ...options, say: line.say });
  undo.add(sandbox.stop);
  const history = sandbox.simulator === null ? 0 : seedHistory(sandbox.simulator);
  if (history > 0) line.say(`  ${'History'.padEnd(16)}  ${history} objects that were there before`);
  const { databaseUrl, taskQueue, ...config } = loadConfig(sandbox.env);
  await assertReachable(databaseUrl);
  try {
    await migrate({ connectionString: databaseUrl });
  } catch (error) {
    throw forPeople(error);
  }
  signal.throwIfAborted();

  const client = await openClient(sandbox.env);
  undo.add(() => client.connection.close());
  await registerSearchAttributes(client);
  // People look at the status here; the log is for what goes wrong.
  const logLevel = given.STRIPE_SYNC_LOG_LEVEL ? config.logLevel : 'warn';
  const log = createLogger(logLevel, line.aside);
  const target = temporalTarget(sandbox.env);
  const { simulator } = sandbox;
  const webhooks = options.webhooks && simulator !== null ? createSandboxWebhooks(simulator) : undefined;
  if (webhooks === undefined && simulator !== null) withoutWebhooks(simulator);
  const workerConfig = { ...config, databaseUrl, taskQueue, logLevel };
  const worker = await startWorker(sandbox.env, workerConfig, target, log, { webhooks: webhooks?.options });
  undo.add(worker.stop);
  const pool = await openMigrated({
    connectionString: databaseUrl,
    applicationName: 'stripe-sync dev',
    max: 4,
  });
  undo.add(() => pool.end());
  signal.throwIfAborted();

  const never = new Promise<never>(() => undefined);
  const failed = Promise.race([
    sandbox.lost.then((how) => Promise.reject(new UserError(how))),
    worker.ended.then(
      () => never,
      (error: unknown) => Promise.reject(new UserError(`The worker failed: ${messageOf(error)}`)),
    ),
  ]);
  failed.catch(() => undefined);
  const { webhooksPort } = worker;
  const deliverWebhooks = (account: string) =>
    webhooksPort === undefined ? null : (webhooks?.deliverTo(webhooksPort, account) ?? null);
  return { sandbox, client, pool, taskQueue, deliverWebhooks, failed };
}
