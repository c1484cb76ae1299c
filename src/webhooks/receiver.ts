/** The webhook receiver: an HTTP server whose every 2xx means that the event is committed in the inbox. */
import { getRequestListener } from '@hono/node-server';
import { createPool } from '../postgres/pool.js';
import { createConnectRoutes } from './connect-routes.js';
import { type Counts, createCounters } from './counters.js';
import { createHealth } from './health.js';
import { listen } from './http-server.js';
import { createWebhookInbox } from './inbox.js';
import { createBodyReader } from './read-body.js';
import type { Dedupe } from './read-delivery.js';
import { createReceive, type ReceiveDeps } from './receive.js';
import { createRoutes } from './routes.js';

export interface ReceiverOptions {
  readonly connectionString: string;
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** The secrets that may sign deliveries to an account; none where it has no endpoint. */
  readonly secretsOf: (alias: string) => readonly string[];
  readonly log: ReceiveDeps['log'];
  /** For senders without usable event ids: `payload` makes them of what is delivered. */
  readonly dedupe?: Dedupe | undefined;
  /** Events of one insert at most. */
  readonly groupSize?: number | undefined;
  /** Our clock, in milliseconds; the machine's unless told. */
  readonly now?: (() => number) | undefined;
  /** How often what was counted is logged, in milliseconds; a minute unless told. */
  readonly countsEveryMs?: number | undefined;
}

export interface Receiver {
  readonly port: number;
  /** By account, what became of its deliveries since the start. */
  counts(): Record<string, Counts>;
  /** Takes no new delivery, answers those under way, and closes; safe to call again. */
  close(): Promise<void>;
}

/** The pollers of the accounts have a pool of their own: deliveries must not take their connections. */
const CONNECTIONS = 4;
/** In milliseconds. A sender that is told to come again does; one that hangs may count us as broken. */
const LIMITS = { connectTimeoutMs: 2_000, lockTimeoutMs: 2_000, statementTimeoutMs: 4_000, silenceMs: 1_000 };
/** Below the 10 s that a worker has to stop. */
const GRACE_MS = 9_000;
const COUNTS_EVERY_MS = 60_000;

/** @throws UserError where the port cannot be listened on; nothing is left open then */
export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const { log, countsEveryMs = COUNTS_EVERY_MS } = options;
  const pool = createPool({
    connectionString: options.connectionString,
    applicationName: 'stripe-sync webhooks',
    max: CONNECTIONS,
    ...LIMITS,
  });
  const counters = createCounters();
  const receive = createReceive({
    inbox: createWebhookInbox({ pool, log, groupSize: options.groupSize }),
    bodies: createBodyReader(),
    counters,
    secretsOf: options.secretsOf,
    connect: createConnectRoutes(pool, options.now ?? Date.now),
    dedupe: options.dedupe,
    log,
    now: options.now ?? Date.now,
  });
  let isClosing = false;
  const routes = createRoutes({ receive, isHealthy: createHealth(pool), isClosing: () => isClosing });
  const server = await listen(
    options.host,
    options.port,
    // The worker's other parts keep Node's own Request and Response.
    getRequestListener(routes.fetch, { overrideGlobalObjects: false }),
  ).catch(async (error: unknown) => {
    await pool.end();
    throw error;
  });
  const tellCounts = () => {
    const accounts = counters.news();
    if (accounts !== null) log.info({ accounts }, 'webhook deliveries since the last of these lines');
  };
  const telling = setInterval(tellCounts, countsEveryMs);
  telling.unref();

  async function end(): Promise<void> {
    isClosing = true;
    clearInterval(telling);
    await server.close(GRACE_MS);
    tellCounts();
    await pool.end();
  }

  let ending: Promise<void> | undefined;
  return {
    port: server.port,
    counts: counters.totals,
    close() {
      ending ??= end();
      return ending;
    },
  };
}
