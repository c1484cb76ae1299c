/** The sandbox: each part is brought along, or gives way to the one that the environment names. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../config.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../sandbox/embedded-postgres.js';
import { freePort, PortInUseError } from '../sandbox/ports.js';
import { createSimulator, type Simulator } from '../sandbox/simulator/index.js';
import { obtainTemporalBinary } from '../sandbox/temporal-binary.js';
import { startTemporalServer } from '../sandbox/temporal-server.js';
import { isTemporalConfigured } from '../temporal/connection.js';
import { forPeople } from './failure-text.js';
import { assertPortsFree, portProblem, type SandboxPorts } from './sandbox-ports.js';
import { createUndoStack } from './undo-stack.js';

export interface SandboxOptions {
  /** Keeps all that the sandbox owns. */
  readonly directory: string;
  /** Undefined: the one of an earlier start, or else 1. */
  readonly seed: number | undefined;
  /** Ports to listen on; free ones where null. */
  readonly ports: SandboxPorts | null;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Sandbox {
  /** The environment for worker and commands: what was given, and the parts that the sandbox brings. */
  readonly env: NodeJS.ProcessEnv;
  /** What the sandbox brings, of that. */
  readonly brought: Readonly<Record<string, string>>;
  readonly simulator: Simulator | null;
  readonly temporalUi: string | null;
  /** Opens a prompt on the database; holds no password. */
  readonly psql: string;
  /** Resolves with words when one of the servers ended without being told to. */
  readonly lost: Promise<string>;
  /** Stops the servers that it started, last one first. */
  stop(): Promise<void>;
}

/** Which parts the environment leaves to the sandbox. */
function missingParts(given: NodeJS.ProcessEnv) {
  return {
    postgres: loadConfig(given, { sandbox: true }).databaseUrl === undefined,
    temporal: !isTemporalConfigured(given),
    stripe: !Object.keys(given).some((name) => /^STRIPE_API_KEY(_|$)/.test(name) && given[name]?.trim()),
  };
}

/**
 * Starts the parts that the environment does not name. What was started is stopped again where one fails.
 * @throws UserError where a port is taken, or a server says why it cannot run here
 */
export async function startSandbox(given: NodeJS.ProcessEnv, options: SandboxOptions): Promise<Sandbox> {
  const { directory, ports, say, signal } = options;
  const missing = missingParts(given);
  const undo = createUndoStack();
  const brought: Record<string, string> = {};
  const losses: Promise<string>[] = [];
  let simulator: Simulator | null = null;
  let temporalUi: string | null = null;
  let psql = 'psql "$DATABASE_URL"';
  let stopping = false;
  const stop = () => {
    stopping = true;
    return undo.run();
  };
  const never = new Promise<string>(() => undefined);
  const watch = (what: string, logFile: string, exited: Promise<string>) => {
    losses.push(exited.then((how) => (stopping ? never : `${what} ended (${how}). Its log: ${logFile}`)));
  };

  try {
    if (ports !== null) await assertPortsFree(ports, missing);
    mkdirSync(directory, { recursive: true });
    if (missing.postgres) {
      const port = ports?.postgres ?? (await freePort());
      const postgres = await startEmbeddedPostgres({
        directory: join(directory, 'postgres'),
        port,
        log: say,
      });
      undo.add(postgres.stop);
      watch('PostgreSQL', postgres.logFile, postgres.exited);
      brought.DATABASE_URL = postgres.url;
      psql = psqlWithout(directory, postgres);
      say(line('PostgreSQL', `127.0.0.1:${port}`));
    }
    signal.throwIfAborted();

    if (missing.temporal) {
      const binary = await obtainTemporalBinary({ log: say, terminal: process.stderr, signal });
      const port = ports?.temporal ?? (await freePort());
      const uiPort = ports?.ui ?? (await freePort());
      const databaseFile = join(directory, 'temporal', 'temporal.db');
      const temporal = await startTemporalServer({ binary, databaseFile, port, uiPort, log: say });
      undo.add(temporal.stop);
      watch('The Temporal server', temporal.logFile, temporal.exited);
      brought.TEMPORAL_ADDRESS = temporal.address;
      brought.TEMPORAL_NAMESPACE = 'default';
      temporalUi = temporal.uiUrl ?? null;
      say(line('Temporal', temporal.address));
    }
    signal.throwIfAborted();

    if (missing.stripe) {
      const { seed } = options;
      const stripe = await createSimulator({
        ...(seed === undefined ? {} : { seed }),
        port: ports?.stripe ?? 0,
        directory: join(directory, 'stripe'),
      });
      undo.add(() => stripe.close());
      simulator = stripe;
      brought.STRIPE_API_BASE = stripe.url;
      brought.STRIPE_API_KEY = stripe.apiKey;
      say(line('Stripe simulator', stripe.url));
    }
  } catch (error) {
    await stop();
    throw error instanceof PortInUseError ? portProblem(error) : forPeople(error);
  }
  const lost = Promise.race([...losses, never]);
  return { env: { ...given, ...brought }, brought, simulator, temporalUi, psql, lost, stop };
}

function line(part: string, place: string): string {
  return `  ${part.padEnd(16)}  ${place}`;
}

/** A psql command whose password lies in a file that this user alone can read. */
function psqlWithout(directory: string, { url, port }: EmbeddedPostgres): string {
  const { username, password, pathname } = new URL(url);
  const file = join(directory, 'pgpass');
  writeFileSync(file, `127.0.0.1:${port}:*:${username}:${password}\n`, { mode: 0o600 });
  return `psql "host=127.0.0.1 port=${port} dbname=${pathname.slice(1)} user=${username} passfile=${file}"`;
}
