/**
 * The live lane on this machine: how many entity changes a second go through entity children, sustained, and
 * how long a change takes from being visible to being committed. Everything runs here: PostgreSQL, the
 * Temporal dev server, the simulator and one worker.
 *
 *   npm run bench -- [--seconds 60] [--load 60] [--calm 2]
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Client } from '@temporalio/client';
import type { Pool } from 'pg';
import pino from 'pino';
import { type Sandbox, startSandbox } from '../src/cli/sandbox.js';
import { startAccount } from '../src/cli/start-account.js';
import { startWorker } from '../src/cli/worker-process.js';
import { loadConfig } from '../src/config.js';
import { migrate } from '../src/postgres/migrate.js';
import { createPool } from '../src/postgres/pool.js';
import { readOutcomes } from '../src/postgres/read-outcomes.js';
import { removeCluster } from '../src/sandbox/postgres-cluster.js';
import type { Simulator } from '../src/sandbox/simulator/index.js';
import { connectClient, temporalTarget } from '../src/temporal/connection.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    load: { type: 'string', default: '60' },
    calm: { type: 'string', default: '2' },
  },
});

interface Bench {
  readonly simulator: Simulator;
  readonly pool: Pool;
  readonly client: Client;
  readonly taskQueue: string;
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'stripe-sync-bench-'));
  // As root, PostgreSQL runs as another user, who has to get in.
  chmodSync(directory, 0o755);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const given = { PATH: process.env.PATH, HOME: process.env.HOME };
  let sandbox: Sandbox | null = null;
  try {
    sandbox = await startSandbox(given, {
      directory,
      seed: 1,
      ports: null,
      say,
      signal: new AbortController().signal,
    });
    const { env, simulator } = sandbox;
    if (simulator === null) throw new Error('the sandbox brings a simulator');
    const config = loadConfig(env);
    await migrate({ connectionString: config.databaseUrl });
    const target = temporalTarget(env);
    const worker = await startWorker(env, config, target, pino({ level: 'error' }));
    const client = await connectClient(target);
    const pool = createPool({ connectionString: config.databaseUrl, applicationName: 'bench' });
    const bench = { simulator, pool, client, taskQueue: config.taskQueue };
    try {
      const seconds = Number(values.seconds);
      const calm = await measureLatency(bench, Number(values.calm), seconds);
      const load = await measureThroughput(bench, Number(values.load), seconds);
      process.stdout.write(`${JSON.stringify({ seconds, calm, load }, null, 2)}\n`);
    } finally {
      await pool.end();
      await client.connection.close();
      await worker.stop();
    }
  } finally {
    await sandbox?.stop();
    removeCluster(join(directory, 'postgres'));
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Single changes at a calm rate, of objects of their own, each visible at once. */
async function measureLatency(bench: Bench, perSecond: number, seconds: number) {
  const account = 'calm';
  bench.simulator.setVisibility({ p50: 0.4, p99: 2, max: 3 });
  await startAccount(bench.client, bench.taskQueue, account, { backfill: false });
  await sleep(5_000);
  const since = bench.simulator.now();
  for (let made = 0; made < perSecond * seconds; made += 1) {
    bench.simulator.create('customer', { email: `calm${made}@bench.example` });
    await sleep(1000 / perSecond);
  }
  await sleep(8_000);
  const latencies = await latenciesOf(bench, account, since);
  await bench.client.workflow.getHandle(account).terminate('measured');
  return {
    perSecond,
    changes: latencies.length,
    medianSeconds: at(latencies, 0.5),
    p99Seconds: at(latencies, 0.99),
  };
}

/** More changes than the lane can take, each of an entity of its own, and how many are committed each second. */
async function measureThroughput(bench: Bench, perSecond: number, seconds: number) {
  const account = 'load';
  bench.simulator.setVisibility({ kind: 'none' });
  await startAccount(bench.client, bench.taskQueue, account, { backfill: false });
  await sleep(5_000);
  const since = bench.simulator.now();
  const begin = Date.now();
  for (let made = 0; Date.now() - begin < seconds * 1000; ) {
    const due = ((Date.now() - begin) / 1000) * perSecond;
    for (; made < due; made += 1) bench.simulator.create('customer', { email: `load${made}@bench.example` });
    await sleep(50);
  }
  const end = Date.now() / 1000;
  await sleep(1_000);
  const made = bench.simulator.events().filter((event) => event.changedAt >= since).length;
  const settled = (await readOutcomes(bench.pool, account)).flatMap(({ settledAt }) =>
    settledAt !== null && settledAt <= end ? [settledAt] : [],
  );
  const history = await bench.client.workflow.getHandle(account).describe();
  await bench.client.workflow.getHandle(account).terminate('measured');
  return {
    offeredPerSecond: made / seconds,
    appliedPerSecond: settled.length / seconds,
    historyLength: history.historyLength,
  };
}

async function latenciesOf({ pool, simulator }: Bench, account: string, since: number): Promise<number[]> {
  const settled = new Map((await readOutcomes(pool, account)).map((entry) => [entry.id, entry.settledAt]));
  return simulator
    .events()
    .filter((event) => event.changedAt >= since)
    .map((event) => {
      const at = settled.get(event.id);
      return at == null ? Number.POSITIVE_INFINITY : at - event.visibleAt;
    })
    .sort((a, b) => a - b);
}

function at(sorted: readonly number[], share: number): number {
  return Number(
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(3),
  );
}

await main();
