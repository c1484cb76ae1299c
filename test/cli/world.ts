import { randomBytes } from 'node:crypto';
import { Client, Connection, WorkflowNotFoundError } from '@temporalio/client';
import { inject } from 'vitest';
import { createSimulator, type Simulator } from '../../src/sandbox/simulator/index.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createFolder, type Finished, type Running, run, start, type Variables } from './cli-process.js';

/** Real parts for the commands of one test file, and a folder of their own to run in. */
export interface World {
  readonly simulator: Simulator;
  readonly database: TestDatabase;
  readonly client: Client;
  readonly folder: string;
  readonly variables: Variables;
  run(args: readonly string[], over?: Variables): Promise<Finished>;
  start(args: readonly string[], over?: Variables): Running;
  /** A worker that polls already. The world ends it, unless the test does. */
  work(over?: Variables): Promise<Running>;
  /** An alias that nobody else uses; its workflow is ended with the world. */
  alias(): string;
  isRunning(account: string): Promise<boolean>;
  /** Rows of the account in the ledger, in the list of accounts and in the table of customers. */
  rowsOf(account: string): Promise<number>;
  close(): Promise<void>;
}

export async function createWorld(): Promise<World> {
  const folder = createFolder();
  const simulator = await createSimulator({ visibility: { kind: 'none' } });
  const database = await createMigratedDatabase();
  const address = inject('temporalAddress');
  const connection = await Connection.connect({ address });
  const client = new Client({ connection });
  const aliases: string[] = [];
  const workers: Running[] = [];
  const variables = {
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: address,
    STRIPE_API_BASE: simulator.url,
    STRIPE_API_KEY: simulator.apiKey,
    STRIPE_SYNC_TASK_QUEUE: `cli-${randomBytes(4).toString('hex')}`,
  };
  const count = async (statement: string, account: string) =>
    Number((await database.pool.query<{ rows: string }>(statement, [account])).rows[0]?.rows);
  return {
    simulator,
    database,
    client,
    folder: folder.path,
    variables,
    run: (args, over = {}) => run(args, folder.path, { ...variables, ...over }),
    start: (args, over = {}) => start(args, folder.path, { ...variables, ...over }),
    async work(over = {}) {
      const worker = start(['worker'], folder.path, { ...variables, ...over });
      workers.push(worker);
      await worker.says(/the worker runs/);
      return worker;
    },
    alias() {
      const alias = `cli-${randomBytes(4).toString('hex')}`;
      aliases.push(alias);
      return alias;
    },
    async isRunning(account) {
      try {
        return (await client.workflow.getHandle(account).describe()).status.name === 'RUNNING';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
    async rowsOf(account) {
      const tables = ['stripe_sync.events', 'stripe_sync.accounts', 'stripe.customers'];
      const counts = await Promise.all(
        tables.map((table) => count(`select count(*) as rows from ${table} where account = $1`, account)),
      );
      return counts.reduce((sum, rows) => sum + rows, 0);
    },
    async close() {
      for (const alias of aliases) {
        await client.workflow
          .getHandle(alias)
          .terminate('the test is over')
          .catch(() => undefined);
      }
      for (const worker of workers) if (worker.child.exitCode === null) await worker.end('SIGTERM');
      await connection.close();
      await simulator.close();
      await database.drop();
      folder.remove();
    },
  };
}
