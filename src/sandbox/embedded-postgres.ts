import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';
import { assertPortFree, PortInUseError } from './ports.js';
import { locatePostgres, type PostgresBinaries } from './postgres-binaries.js';
import {
  clearStalePid,
  ensureCluster,
  placeCluster,
  postgresEnvironment,
  readOrCreatePassword,
  removeCluster,
  SUPERUSER,
} from './postgres-cluster.js';
import { type Claim, claimServer } from './server-claim.js';
import { type ServerProcess, ServerStartError, startServerProcess } from './server-process.js';
import { type ServerUser, serverUser } from './server-user.js';

const NAME = 'PostgreSQL';
const DATABASE = 'stripe_sync';
const READY_TIMEOUT_MS = 60_000;
/** Fast shutdown; then immediate, which a durable cluster recovers from; then the hard way. */
const SIGNALS = [
  { signal: 'SIGINT', waitMs: 20_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;

export interface EmbeddedPostgresOptions {
  /** Keeps the cluster (`data`), its password and its log; created when missing, resumed when not. */
  readonly directory: string;
  /** Of 127.0.0.1; nothing else is listened on, no Unix socket either. */
  readonly port: number;
  /** False trades what a power cut would leave of the data for speed: for tests. Default true. */
  readonly durable?: boolean;
  readonly log?: (line: string) => void;
}

export interface EmbeddedPostgres {
  /** With user, password and the database `stripe_sync`, for `DATABASE_URL`. The user is the superuser. */
  readonly url: string;
  readonly port: number;
  /** For people: opens a prompt on the database. */
  readonly psqlCommand: string;
  readonly logFile: string;
  readonly pid: number;
  /** Resolves when the server has ended, on `stop` or otherwise, with how. */
  readonly exited: Promise<string>;
  /** Fast shutdown: open transactions are rolled back. Resolves when the process is gone; safe to call again. */
  stop(): Promise<void>;
  /** Stops, and removes the directory and all data, wherever that lies: for a sandbox that is thrown away. */
  remove(): Promise<void>;
}

interface Place {
  readonly dataDirectory: string;
  readonly binaries: PostgresBinaries;
  readonly user: ServerUser | undefined;
  readonly password: string;
}

function serverArguments(dataDirectory: string, port: number, durable: boolean): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(!durable && { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  return [
    '-D',
    dataDirectory,
    '-p',
    String(port),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}

/** Logs in and asks the server for its data directory: another one can have taken the port. False: not yet. */
async function answers(port: number, { dataDirectory, password }: Place): Promise<boolean> {
  const client = new Client({
    host: '127.0.0.1',
    port,
    user: SUPERUSER,
    password,
    database: 'postgres',
    connectionTimeoutMillis: 2_000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory');
    if (rows[0]?.data_directory !== realpathSync(dataDirectory)) throw new PortInUseError(port, NAME);
    const existing = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE]);
    if (existing.rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
    return true;
  } catch (error) {
    // 57P03: it starts up or recovers. Another error than the server's own: no connection yet.
    if (error instanceof PortInUseError) throw error;
    if (!(error instanceof DatabaseError) || error.code === '57P03') return false;
    if (error.code?.startsWith('28') !== true) throw error;
    throw new Error(
      `PostgreSQL on port ${port} refuses the password of ${dataDirectory}: it was changed. ` +
        'Set it back to the one in the file `password` beside it, or remove both to start anew.',
      { cause: error },
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function startCluster(
  options: EmbeddedPostgresOptions,
  place: Place,
  claim: Claim,
  logFile: string,
): Promise<ServerProcess> {
  const { dataDirectory, binaries, user } = place;
  // After kill -9 of a server its children still hold the shared memory for a moment.
  for (const deadline = Date.now() + 20_000; ; await sleep(500)) {
    clearStalePid(dataDirectory);
    await assertPortFree(options.port, NAME);
    try {
      return await startServerProcess({
        name: NAME,
        command: binaries.postgres,
        args: serverArguments(dataDirectory, options.port, options.durable ?? true),
        env: postgresEnvironment(),
        cwd: join(dataDirectory, '..'),
        user: user && { uid: user.uid, gid: user.gid },
        logFile,
        signals: SIGNALS,
        claim,
        ready: () => answers(options.port, place),
        readyTimeoutMs: READY_TIMEOUT_MS,
      });
    } catch (error) {
      if (!(error instanceof ServerStartError)) throw error;
      if (/could not bind|Address already in use/.test(error.lines))
        throw new PortInUseError(options.port, NAME);
      if (!/pre-existing shared memory block/.test(error.lines) || Date.now() > deadline) throw error;
    }
  }
}

/**
 * Starts the PostgreSQL that npm brought along, on a cluster that is kept: made at the first start, resumed at
 * each later one, recovered after a kill. Works as root too (design.md, section 7).
 *
 * The server does not get the terminal's Ctrl-C, and ends when this process ends, whichever way that comes.
 * @throws PortInUseError; an error that says why PostgreSQL cannot run here, or who has the directory.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { port, log = () => undefined } = options;
  mkdirSync(options.directory, { recursive: true });
  const directory = realpathSync(options.directory);
  const logFile = join(directory, 'postgres.log');
  const claim = await claimServer(join(directory, 'server.json'), NAME, log);
  try {
    const user = serverUser(join(directory, 'data'));
    const binaries = locatePostgres(user, log);
    const dataDirectory = placeCluster(directory, user, log);
    const password = readOrCreatePassword(directory, dataDirectory);
    const place = { dataDirectory, binaries, user, password };
    await ensureCluster({ ...place, durable: options.durable ?? true, log });
    const server = await startCluster(options, place, claim, logFile);
    const url = `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${DATABASE}`;
    const stop = async (): Promise<void> => {
      await server.stop();
      claim.release();
    };
    return {
      url,
      port,
      psqlCommand: `psql ${url}`,
      logFile,
      pid: server.pid,
      exited: server.exited,
      stop,
      remove: async () => {
        await stop();
        removeCluster(directory);
      },
    };
  } catch (error) {
    claim.release();
    throw error;
  }
}
