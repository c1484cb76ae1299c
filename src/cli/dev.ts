import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { Command } from 'commander';
import type { Pool } from 'pg';
import { loadConfig } from '../config.js';
import { UserError } from '../domain/failures.js';
import { migrate } from '../postgres/migrate.js';
import { createPool } from '../postgres/pool.js';
import { removeCluster } from '../sandbox/postgres-cluster.js';
import { connectClient, temporalTarget } from '../temporal/connection.js';
import { registerSearchAttributes } from '../temporal/search-attributes.js';
import { reportAccount } from './account-report.js';
import { parseWhole } from './duration.js';
import { createLogger } from './logger.js';
import { isRight, runReportText, settleAndReport } from './run-report.js';
import { type Sandbox, startSandbox } from './sandbox.js';
import { readSandbox, removeSandbox, SANDBOX_DIRECTORY, writeSandbox } from './sandbox-file.js';
import { shutdownRequested } from './shutdown.js';
import { isRunning, startAccount } from './start.js';
import { statusText } from './status-text.js';
import { type RunningWorker, startWorker } from './worker-process.js';

interface DevOptions {
  readonly for?: number;
  readonly seed: number;
  readonly rate: number;
  readonly postgresPort: number;
  readonly temporalPort: number;
  readonly uiPort: number;
  readonly stripePort: number;
}

const ACCOUNT = 'demo';

export function devCommand(): Command {
  return new Command('dev')
    .description(
      'the whole sandbox: PostgreSQL, Temporal, a Stripe simulator with live traffic, a worker and an account',
    )
    .option(
      '--for <seconds>',
      'end by itself, compare the tables with the truth, and exit 1 on a difference',
      parseWhole(1),
    )
    .option('--seed <number>', "of the simulator's chance", parseWhole(0), 1)
    .option('--rate <changes>', 'changes a second that the simulator makes', Number, 2)
    .option('--postgres-port <port>', 'of the embedded PostgreSQL', parseWhole(1), 54_320)
    .option('--temporal-port <port>', 'of the Temporal server', parseWhole(1), 7233)
    .option('--ui-port <port>', "of Temporal's web UI", parseWhole(1), 8233)
    .option('--stripe-port <port>', 'of the Stripe simulator', parseWhole(1), 12_111)
    .action((options: DevOptions) => runDev(options));
}

/** All that runs while the sandbox does, in the order in which it was started. */
interface Running {
  readonly sandbox: Sandbox;
  readonly client: Client;
  readonly pool: Pool;
  readonly worker: RunningWorker;
}

async function runDev(options: DevOptions): Promise<void> {
  const bounded = options.for !== undefined;
  const directory = bounded ? boundedDirectory() : SANDBOX_DIRECTORY;
  const other = bounded ? null : readSandbox(directory);
  if (other !== null && other.pid !== process.pid) {
    throw new UserError(
      `A sandbox runs here already (process ${other.pid}). Stop it with Ctrl-C where it runs.`,
    );
  }
  const stopped = new AbortController();
  const asked = shutdownRequested().then((signal) => {
    stopped.abort(new UserError(`Stopped by ${signal}.`));
    return signal;
  });
  const cleanups: (() => Promise<void> | void)[] = [];
  try {
    if (bounded) cleanups.push(() => removeRun(directory));
    const running = await start(options, directory, stopped.signal, cleanups);
    if (bounded) await runBounded(options, running, asked);
    else await runUntilAsked(running, directory, asked, cleanups);
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
    say('Everything is stopped.');
  }
}

/** A run of its own, so that what an earlier one left plays no part. */
function boundedDirectory(): string {
  mkdirSync(SANDBOX_DIRECTORY, { recursive: true });
  return mkdtempSync(join(SANDBOX_DIRECTORY, 'run-'));
}

function removeRun(directory: string): void {
  removeCluster(join(directory, 'postgres'));
  rmSync(directory, { recursive: true, force: true });
}

async function start(
  options: DevOptions,
  directory: string,
  signal: AbortSignal,
  cleanups: (() => Promise<void> | void)[],
): Promise<Running> {
  const ports =
    options.for !== undefined
      ? null
      : {
          postgres: options.postgresPort,
          temporal: options.temporalPort,
          ui: options.uiPort,
          stripe: options.stripePort,
        };
  const sandbox = await startSandbox(process.env, { directory, seed: options.seed, ports, say, signal });
  cleanups.push(() => sandbox.stop());
  const { databaseUrl } = loadConfig(sandbox.env);
  await migrate({ connectionString: databaseUrl });
  signal.throwIfAborted();

  const target = temporalTarget(sandbox.env);
  const client = await connectClient(target);
  cleanups.push(() => client.connection.close());
  await registerSearchAttributes(client);
  const config = {
    ...loadConfig(sandbox.env),
    ...(process.env.STRIPE_SYNC_LOG_LEVEL ? {} : { logLevel: 'warn' as const }),
  };
  const worker = await startWorker(sandbox.env, config, target, createLogger(config.logLevel));
  cleanups.push(() => worker.stop());
  const pool = createPool({ connectionString: databaseUrl, applicationName: 'stripe-sync dev', max: 4 });
  cleanups.push(() => pool.end());
  signal.throwIfAborted();
  return { sandbox, client, pool, worker };
}

async function runUntilAsked(
  running: Running,
  directory: string,
  asked: Promise<NodeJS.Signals>,
  cleanups: (() => Promise<void> | void)[],
): Promise<void> {
  const { sandbox, client, pool } = running;
  writeSandbox(directory, sandbox.brought);
  cleanups.push(() => removeSandbox(directory));
  const { taskQueue } = loadConfig(sandbox.env);
  if (await isRunning(client, ACCOUNT)) say(`The account ${ACCOUNT} goes on where it stopped.`);
  else await startAccount(client, taskQueue, ACCOUNT, {});
  sandbox.simulator?.startTraffic({ changesPerSecond: 2 });
  cleanups.push(() => sandbox.simulator?.stopTraffic());
  say(howToLookIn(sandbox));

  const end = Promise.race([asked.then(() => null), failure(running)]);
  for (;;) {
    const lost = await Promise.race([end, sleep(STATUS_EVERY_MS, undefined)]);
    if (lost === null) break;
    if (lost !== undefined) throw new UserError(lost);
    const report = await reportAccount(client, pool, ACCOUNT).catch(() => null);
    if (report !== null) say(statusText(report));
  }
  say('Stopping: what runs is given time to end …');
}

const STATUS_EVERY_MS = 30_000;

async function runBounded(
  options: DevOptions,
  running: Running,
  asked: Promise<NodeJS.Signals>,
): Promise<void> {
  const { sandbox, client, pool } = running;
  const { simulator } = sandbox;
  const account =
    Object.keys(sandbox.brought).length >= 3 ? ACCOUNT : `${ACCOUNT}-${Date.now().toString(36)}`;
  const { taskQueue } = loadConfig(sandbox.env);
  const since = simulator === null ? 0 : Math.floor(simulator.now());
  simulator?.startTraffic({ changesPerSecond: options.rate });
  await startAccount(client, taskQueue, account, {});
  say(`The account ${account} runs for ${options.for} s (seed ${options.seed}).`);
  const ended = await Promise.race([
    sleep((options.for ?? 0) * 1000, 'over' as const),
    asked,
    failure(running).then((lost) => {
      throw new UserError(lost);
    }),
  ]);
  simulator?.stopTraffic();
  if (ended !== 'over') throw new UserError('The run was stopped before its time; nothing was compared.');
  if (simulator === null) {
    say(statusText(await reportAccount(client, pool, account)));
    say('There is no truth to compare with: Stripe is not the simulator.');
    return;
  }
  say(
    'Traffic has stopped. The last changes come to rest, and what changes without an event is listed once more …',
  );
  const report = await settleAndReport(client, pool, simulator, account, since);
  process.stdout.write(`${runReportText(report)}\n`);
  if (!isRight(report)) process.exitCode = 1;
}

/** In words, what ended that should not have. */
function failure({ sandbox, worker }: Running): Promise<string> {
  return Promise.race([
    sandbox.lost,
    worker.ended.then(
      () => new Promise<string>(() => undefined),
      (error: unknown) => `The worker failed: ${error instanceof Error ? error.message : String(error)}`,
    ),
  ]);
}

function howToLookIn({ temporalUi, psql, env }: Sandbox): string {
  return [
    '',
    `The account "${ACCOUNT}" is syncing. Look in:`,
    `  Temporal UI   ${temporalUi ?? `of the server at ${temporalTarget(env).address}`}`,
    `  PostgreSQL    ${psql}`,
    `                select id, email, created from stripe.customers order by created desc limit 10;`,
    `  status        npx stripe-sync status ${ACCOUNT} --watch`,
    `  control       npx stripe-sync pause ${ACCOUNT}   (resume, resync, stop)`,
    'Ctrl-C stops everything; the next start goes on where it stopped.',
    '',
  ].join('\n');
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
