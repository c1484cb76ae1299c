/** Everything that a figure is measured in: each part in a process of its own, on this machine. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import type { Pool } from 'pg';
import { startSandbox } from '../src/cli/sandbox.js';
import { createUndoStack, type UndoStack } from '../src/cli/undo-stack.js';
import { loadConfig } from '../src/config.js';
import { migrate } from '../src/postgres/migrate.js';
import { createPool } from '../src/postgres/pool.js';
import { removeCluster } from '../src/sandbox/postgres-cluster.js';
import { identify } from '../src/sandbox/process-identity.js';
import type { Control, RequestStats, Stats } from '../src/sandbox/simulator/index.js';
import { guardProcess } from '../src/sandbox/watchdog.js';
import { DEFAULT_RATES } from '../src/stripe/request-rates.js';
import { connectClient, temporalTarget } from '../src/temporal/connection.js';

/** Of the compiled program: `dist/bench/` lies two folders below the package. */
const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const PROGRAM = join(ROOT, 'bin', 'stripe-sync.js');

export interface SimulatorWanted {
  readonly seed: number;
  /** How many objects there are to begin with, by type. */
  readonly objects: Readonly<Record<string, number>>;
  readonly latencyMs: number;
  /** Requests a second that each endpoint answers; null for as many as it can. */
  readonly perEndpoint: number | null;
}

export interface SimulatorStarted {
  readonly url: string;
  readonly apiKey: string;
  /** Its clock when it was ready, in seconds. */
  readonly now: number;
  readonly seedSeconds: number;
}

export interface SimulatorProcess extends SimulatorStarted {
  readonly pid: number;
  stats(): Promise<Stats>;
  requestStats(): Promise<RequestStats>;
  control(order: Control): Promise<void>;
  /** One object per line of the answer. */
  lines<T>(path: 'truth' | 'events'): Promise<T[]>;
}

export interface WorkerProcess {
  readonly pid: number;
  /** The most memory that it has had so far, in MiB; null where the machine does not tell. */
  peakMemory(): number | null;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface World {
  readonly simulator: SimulatorProcess;
  readonly pool: Pool;
  readonly client: Client;
  readonly taskQueue: string;
  readonly signal: AbortSignal;
  /** What workers and commands need to reach the parts. */
  readonly env: NodeJS.ProcessEnv;
  /** Ends something of the figure's own before the parts that it uses, whatever happens. */
  readonly undo: UndoStack;
  /**
   * Starts a worker as users do, and waits until it runs; `nodeOptions` are for the Node.js that runs it, `variables`
   * come on top of its environment, `options` are the command's.
   */
  startWorker(
    nodeOptions?: readonly string[],
    variables?: NodeJS.ProcessEnv,
    options?: readonly string[],
  ): Promise<WorkerProcess>;
}

export interface WorldOptions extends SimulatorWanted {
  /** When everything has to be over, in milliseconds. */
  readonly withinMs: number;
  readonly say: (line: string) => void;
}

/** Builds a world, runs `work` in it, and leaves nothing of it; ends early when time is up or somebody interrupts. */
export async function inWorld<T>(options: WorldOptions, work: (world: World) => Promise<T>): Promise<T> {
  const { say } = options;
  const undo = createUndoStack();
  const stop = new AbortController();
  const end = (why: string) => stop.abort(new Error(why));
  const timer = setTimeout(end, options.withinMs, `It was not over within ${options.withinMs / 1000} s.`);
  const interrupt = (name: NodeJS.Signals) => end(`${name} ended it.`);
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const aborted = new Promise<never>((_, reject) => {
    stop.signal.addEventListener('abort', () => reject(stop.signal.reason as Error), { once: true });
  });
  aborted.catch(() => undefined);
  const built = build(options, undo, stop.signal);
  try {
    return await Promise.race([aborted, built.then(work)]);
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    // What is still being started has to be known before it can be stopped.
    await built.catch(() => undefined);
    await undo.run();
    say('Everything is stopped.');
  }
}

async function build(options: WorldOptions, undo: UndoStack, signal: AbortSignal): Promise<World> {
  const { say } = options;
  const directory = mkdtempSync(join(tmpdir(), 'stripe-sync-backfill-'));
  // As root, PostgreSQL runs as another user, who has to get in.
  chmodSync(directory, 0o755);
  undo.add(() => {
    removeCluster(join(directory, 'postgres'));
    rmSync(directory, { recursive: true, force: true });
  });
  const simulator = await startSimulatorProcess(options, undo);
  say(`The simulator has its objects after ${simulator.seedSeconds.toFixed(1)} s.`);
  const { PATH, HOME, XDG_CACHE_HOME } = process.env;
  const given = {
    PATH,
    HOME,
    XDG_CACHE_HOME,
    STRIPE_API_BASE: simulator.url,
    STRIPE_API_KEY: simulator.apiKey,
  };
  const sandbox = await startSandbox(given, { directory, seed: undefined, ports: null, say, signal });
  undo.add(() => sandbox.stop());
  // Loopback is asked as fast as it answers unless it is told: a limit is kept the way that Stripe's own is.
  const rates =
    options.perEndpoint === null
      ? {}
      : {
          STRIPE_SYNC_REQUESTS_PER_SECOND: String(Math.min(DEFAULT_RATES.endpoint, options.perEndpoint)),
          STRIPE_SYNC_REQUESTS_PER_SECOND_TOTAL: String(DEFAULT_RATES.totalLive),
        };
  const env = { ...sandbox.env, ...rates };
  const config = loadConfig(env);
  await migrate({ connectionString: config.databaseUrl });
  const pool = createPool({
    connectionString: config.databaseUrl,
    applicationName: 'bench',
    statementTimeoutMs: 0,
  });
  undo.add(() => pool.end());
  const client = await connectClient(temporalTarget(env));
  undo.add(() => client.connection.close());
  return {
    simulator,
    pool,
    client,
    taskQueue: config.taskQueue,
    signal,
    env,
    undo,
    startWorker: (nodeOptions = [], variables = {}, command = []) =>
      startWorkerProcess({ ...env, ...variables }, directory, undo, nodeOptions, command),
  };
}

async function startSimulatorProcess(wanted: SimulatorWanted, undo: UndoStack): Promise<SimulatorProcess> {
  const { seed, objects, latencyMs, perEndpoint } = wanted;
  const argument = JSON.stringify({ seed, objects, latencyMs, perEndpoint } satisfies SimulatorWanted);
  const path = fileURLToPath(new URL('./backfill-simulator.js', import.meta.url));
  const child = fork(path, [argument], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  undo.add(() => ended(child, 'SIGTERM'));
  const started = await new Promise<SimulatorStarted>((resolve, reject) => {
    child.once('message', (message) => resolve(message as SimulatorStarted));
    child.once('exit', (code) => reject(new Error(`The simulator ended with ${code}.`)));
  });
  const side = (name: string) => `${started.url}/_simulator/${name}`;
  return {
    ...started,
    pid: child.pid as number,
    stats: async () => (await (await fetch(side('stats'))).json()) as Stats,
    requestStats: async () => (await (await fetch(side('request-stats'))).json()) as RequestStats,
    async control(order) {
      const response = await fetch(side('control'), { method: 'POST', body: JSON.stringify(order) });
      if (!response.ok) throw new Error(`The simulator refused: ${await response.text()}`);
    },
    async lines<T>(name: 'truth' | 'events') {
      const found: T[] = [];
      let rest = '';
      const { body } = await fetch(side(name));
      for await (const chunk of (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) found.push(JSON.parse(line) as T);
      }
      return found;
    },
  };
}

async function startWorkerProcess(
  env: NodeJS.ProcessEnv,
  directory: string,
  undo: UndoStack,
  nodeOptions: readonly string[],
  options: readonly string[],
): Promise<WorkerProcess> {
  const child = spawn(process.execPath, [...nodeOptions, PROGRAM, 'worker', ...options], {
    cwd: directory,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  const signals = [{ signal: 'SIGKILL', waitMs: 2_000 }] as const;
  const release =
    identity === undefined ? async () => undefined : guardProcess({ ...identity, signals, group: false });
  const end = async (signal: NodeJS.Signals) => {
    await ended(child, signal);
    await release();
  };
  undo.add(() => end('SIGKILL'));
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-20_000);
      if (log.includes('the worker runs')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`The worker ended with ${code}: ${log}`)));
  });
  return {
    pid: child.pid as number,
    peakMemory: () => peakMemory(child.pid as number),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

function peakMemory(pid: number): number | null {
  const path = `/proc/${pid}/status`;
  const kilobytes = existsSync(path) ? /VmHWM:\s+(\d+) kB/.exec(readFileSync(path, 'utf8'))?.[1] : undefined;
  return kilobytes === undefined ? null : Number(kilobytes) / 1024;
}

/** Looks until it sees something; the signal of the world bounds it. */
export async function until<T>(
  signal: AbortSignal,
  everyMs: number,
  look: () => Promise<T | null>,
): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const seen = await look();
    if (seen !== null) return seen;
    await sleep(everyMs, undefined, { signal });
  }
}
