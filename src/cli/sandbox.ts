/** The sandbox: each part is brought along, or gives way to the one that the environment names. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../config.js';
import { UserError } from '../domain/failures.js';
import { startEmbeddedPostgres } from '../sandbox/embedded-postgres.js';
import { freePort } from '../sandbox/ports.js';
import { createSimulator, type Simulator } from '../sandbox/simulator/index.js';
import { obtainTemporalBinary } from '../sandbox/temporal-binary.js';
import { startTemporalServer } from '../sandbox/temporal-server.js';
import { isTemporalConfigured } from '../temporal/connection.js';

export interface SandboxOptions {
  /** Keeps all that the sandbox owns. */
  readonly directory: string;
  readonly seed: number;
  /** Ports to listen on; free ones where null. */
  readonly ports: SandboxPorts | null;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface SandboxPorts {
  readonly postgres: number;
  readonly temporal: number;
  readonly ui: number;
  readonly stripe: number;
}

export interface Sandbox {
  /** The environment for worker and commands: what was given, and the parts that the sandbox brings. */
  readonly env: NodeJS.ProcessEnv;
  /** What the sandbox brings, of that. */
  readonly brought: Readonly<Record<string, string>>;
  readonly simulator: Simulator | null;
  readonly temporalUi: string | null;
  readonly psql: string;
  /** Resolves with words when one of the servers ended without being told to. */
  readonly lost: Promise<string>;
  /** Stops the servers that it started, last one first. */
  stop(): Promise<void>;
}

/** Starts the parts that the environment does not name. What was started is stopped again where one fails. */
export async function startSandbox(given: NodeJS.ProcessEnv, options: SandboxOptions): Promise<Sandbox> {
  const { directory, say, signal } = options;
  const config = loadConfig(given, { sandbox: true });
  const stops: (() => Promise<void>)[] = [];
  const brought: Record<string, string> = {};
  const losses: Promise<string>[] = [];
  let simulator: Simulator | null = null;
  let temporalUi: string | null = null;
  let psql = 'psql "$DATABASE_URL"';
  let stopping = false;
  const stop = async () => {
    stopping = true;
    for (const end of stops.splice(0).reverse()) await end();
  };
  const watch = (what: string, exited: Promise<string>) => {
    losses.push(
      exited.then((how) => (stopping ? new Promise<string>(() => undefined) : `${what} ended: ${how}`)),
    );
  };

  mkdirSync(directory, { recursive: true });
  try {
    if (config.databaseUrl === undefined) {
      const port = options.ports?.postgres ?? (await freePort());
      const postgres = await startEmbeddedPostgres({
        directory: join(directory, 'postgres'),
        port,
        log: say,
      });
      stops.push(postgres.stop);
      watch('PostgreSQL', postgres.exited);
      brought.DATABASE_URL = postgres.url;
      psql = postgres.psqlCommand;
      say(`PostgreSQL runs on port ${port}`);
    }
    signal.throwIfAborted();

    if (!isTemporalConfigured(given)) {
      const binary = await obtainTemporalBinary({ log: say, terminal: process.stderr, signal });
      const port = options.ports?.temporal ?? (await freePort());
      const uiPort = options.ports?.ui ?? (await freePort());
      const databaseFile = join(directory, 'temporal', 'temporal.db');
      const temporal = await startTemporalServer({ binary, databaseFile, port, uiPort, log: say });
      stops.push(temporal.stop);
      watch('The Temporal server', temporal.exited);
      brought.TEMPORAL_ADDRESS = temporal.address;
      temporalUi = temporal.uiUrl ?? null;
      say(`Temporal runs at ${temporal.address}`);
    }
    signal.throwIfAborted();

    if (!Object.keys(given).some((name) => name.startsWith('STRIPE_API_KEY') && given[name])) {
      simulator = await createSimulator({
        seed: options.seed,
        port: options.ports?.stripe ?? 0,
        directory: join(directory, 'stripe'),
      });
      stops.push(() => simulator?.close() ?? Promise.resolve());
      brought.STRIPE_API_BASE = simulator.url;
      brought.STRIPE_API_KEY = simulator.apiKey;
      say(`The Stripe simulator runs at ${simulator.url}`);
    }
  } catch (error) {
    await stop();
    throw portInUse(error) ?? error;
  }
  return {
    env: { ...given, ...brought },
    brought,
    simulator,
    temporalUi,
    psql,
    lost: Promise.race(losses.length > 0 ? losses : [new Promise<string>(() => undefined)]),
    stop,
  };
}

function portInUse(error: unknown): UserError | null {
  const { code, port } = error as { code?: unknown; port?: unknown };
  if (code !== 'EADDRINUSE') return null;
  return new UserError(
    `Port ${String(port ?? '')} is in use by another process. End that one, or choose other ports: ` +
      '--postgres-port, --temporal-port, --ui-port, --stripe-port.',
  );
}
