import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { inject } from 'vitest';
import { aliasNotes, createStripeClients } from '../../src/cli/stripe-clients.js';
import type { Environment } from '../../src/config.js';
import type { Handlers } from '../../src/handlers/define-handlers.js';
import { createHandlerRunner } from '../../src/handlers/run-handler.js';
import { countOutcomes } from '../../src/postgres/account-counts.js';
import { readAccount } from '../../src/postgres/account-row.js';
import { listenForInboxNews } from '../../src/postgres/inbox-news.js';
import { readOutcomes } from '../../src/postgres/read-outcomes.js';
import { type Comparison, compareTruth } from '../../src/sandbox/compare-truth.js';
import { createSimulator, type Simulator, type SimulatorOptions } from '../../src/sandbox/simulator/index.js';
import { silentObjects } from '../../src/stripe/stored-objects.js';
import { createWorker } from '../../src/temporal/worker.js';
import type { AccountStatus } from '../../workflows/messages.js';
import { type AccountSettings, DEFAULT_SETTINGS } from '../../workflows/settings.js';
import type { TestDatabase } from './database.js';
import { createMigratedDatabase } from './migrated-database.js';

/** Settings that make the slow rhythms quick enough to be watched. */
export type SettingsOver = {
  readonly [K in keyof AccountSettings]?: Partial<AccountSettings[K]> | AccountSettings[K];
};

export interface Sync {
  readonly account: string;
  readonly taskQueue: string;
  readonly simulator: Simulator;
  readonly database: TestDatabase;
  readonly client: Client;
  /** For a worker or a command in a process of its own. */
  readonly environment: Environment;
  /** Lines that the worker of this process logged. */
  readonly logged: string[];
  handle(): WorkflowHandle;
  start(over?: SettingsOver): Promise<void>;
  status(): Promise<AccountStatus>;
  /**
   * Waits until the account is opened, which is at this second of Stripe's clock: what happened before is the
   * backfill's, and never in the ledger.
   */
  opened(): Promise<number>;
  /** Starts a worker in this process; it ends with the sync. */
  work(handlers?: Handlers): Promise<{ stop(): Promise<void> }>;
  /** Waits until every event since `since` has its outcome and no backfill runs. */
  rested(since?: number): Promise<void>;
  /** Lists once more what changes in silence, then compares all tables with the truth. */
  compared(): Promise<Comparison>;
  close(): Promise<void>;
}

let runtimeInstalled = false;

export async function createSync(options: SimulatorOptions = {}): Promise<Sync> {
  if (!runtimeInstalled) {
    Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
    runtimeInstalled = true;
  }
  const account = `test-${randomBytes(4).toString('hex')}`;
  const taskQueue = `queue-${account}`;
  const simulator = await createSimulator(options);
  const database = await createMigratedDatabase();
  const address = inject('temporalAddress');
  const connection = await Connection.connect({ address });
  const client = new Client({ connection });
  const environment = {
    ...process.env,
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: address,
    STRIPE_API_BASE: simulator.url,
    STRIPE_API_KEY: simulator.apiKey,
    STRIPE_SYNC_TASK_QUEUE: taskQueue,
  };
  const logged: string[] = [];
  const closing: (() => Promise<void>)[] = [];
  const handle = () => client.workflow.getHandle(account);
  const status = () => handle().query<AccountStatus>('status');

  return {
    account,
    taskQueue,
    simulator,
    database,
    client,
    environment,
    logged,
    handle,
    status,
    async start(over = {}) {
      await client.workflow.start('account', {
        workflowId: account,
        taskQueue,
        args: [{ account, settings: settingsWith(over) }],
      });
    },
    async work(handlers) {
      const nativeConnection = await NativeConnection.connect({ address });
      const stripe = createStripeClients(environment, simulator.url, aliasNotes(database.pool));
      const stopping = new AbortController();
      const write = (fields: Record<string, unknown>, message: string) => {
        logged.push(JSON.stringify({ ...fields, message }));
      };
      const log = { info: write, warn: write, error: write };
      const inbox = listenForInboxNews({ connectionString: database.url, pool: database.pool, log });
      const worker = await createWorker({
        connection: nativeConnection,
        namespace: 'default',
        taskQueue,
        pool: database.pool,
        stripe: stripe.of,
        log,
        inbox,
        handlers: handlers && createHandlerRunner(handlers, { pool: database.pool }),
        stopping: stopping.signal,
      });
      const running = worker.run();
      let stopped = false;
      const stop = async () => {
        if (stopped) return;
        stopped = true;
        stopping.abort();
        worker.shutdown();
        await running;
        await inbox.close();
        stripe.close();
        await nativeConnection.close();
      };
      closing.push(stop);
      return { stop };
    },
    async opened() {
      await eventually(async () =>
        (await readAccount(database.pool, account)) === null ? 'it is not opened yet' : null,
      );
      return Math.floor(simulator.now());
    },
    async rested(since = 0) {
      await eventually(async () => {
        const ledger = new Map(
          (await readOutcomes(database.pool, account)).map((entry) => [entry.id, entry.outcome]),
        );
        const events = simulator.events().filter((event) => event.created >= since);
        const missing = events.filter((event) => !ledger.get(event.id));
        const { backfill } = await status();
        if (missing.length > 0) return `${missing.length} of ${events.length} events have no outcome`;
        return backfill?.state === 'running' ? 'the backfill runs' : null;
      });
    },
    async compared() {
      const number = (await status()).backfill?.number ?? 0;
      await handle().signal('resync', { types: silentObjects() });
      await eventually(async () => {
        const { backfill } = await status();
        return backfill !== null && backfill.number > number && backfill.state !== 'running'
          ? null
          : 'the listing runs';
      });
      await eventually(async () => {
        const { pending } = await countOutcomes(database.pool, account);
        return pending === 0 ? null : `${pending} events are pending`;
      });
      const announced = new Set(simulator.events().map((event) => `${event.object}/${event.objectId}`));
      let comparison = await compareTruth(database.pool, account, simulator.truth(), announced);
      for (let look = 0; look < 10 && comparison.differences.length > 0; look += 1) {
        await sleep(1_000);
        comparison = await compareTruth(database.pool, account, simulator.truth(), announced);
      }
      return comparison;
    },
    async close() {
      simulator.stopTraffic();
      await handle()
        .terminate('the test is over')
        .catch(() => undefined);
      for (const end of closing) await end();
      await connection.close();
      await simulator.close();
      await database.drop();
    },
  };
}

function settingsWith(over: SettingsOver): AccountSettings {
  const merged = Object.entries(DEFAULT_SETTINGS).map(([name, value]) => {
    const given = over[name as keyof AccountSettings];
    const isGroup = typeof value === 'object' && value !== null && typeof given === 'object';
    return [name, isGroup ? { ...value, ...given } : (given ?? value)];
  });
  return { ...(Object.fromEntries(merged) as unknown as AccountSettings), searchAttributes: true };
}

/** Looks until there is nothing to say any more; fails with what was said last. */
export async function eventually(look: () => Promise<string | null>, seconds = 90): Promise<void> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const said = await look();
    if (said === null) return;
    if (Date.now() >= end) throw new Error(`After ${seconds} s: ${said}`);
    await sleep(200);
  }
}
