import { mkdirSync, realpathSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { Connection } from '@temporalio/client';
import { assertPortFree, PortInUseError } from './ports.js';
import { claimServer } from './server-claim.js';
import { ServerStartError, startServerProcess } from './server-process.js';

const NAME = 'Temporal';
const READY_TIMEOUT_MS = 60_000;
const SIGNALS = [
  { signal: 'SIGTERM', waitMs: 10_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;

/** `IndexedValueType` of Temporal's API. */
const ATTRIBUTE_TYPES = {
  Text: 1,
  Keyword: 2,
  Int: 3,
  Double: 4,
  Bool: 5,
  Datetime: 6,
  KeywordList: 7,
} as const;

/** A search attribute as the CLI writes it: `StripeAccount=Keyword`. */
export type SearchAttribute = `${string}=${keyof typeof ATTRIBUTE_TYPES}`;

export const SEARCH_ATTRIBUTES: readonly SearchAttribute[] = [
  'StripeAccount=Keyword',
  'StripeObject=Keyword',
];

export interface TemporalServerOptions {
  /** Temporal's CLI; see `obtainTemporalBinary`. */
  readonly binary: string;
  /** SQLite, created when missing. The log and the claim lie beside it. */
  readonly databaseFile: string;
  /** Of 127.0.0.1, for gRPC. */
  readonly port: number;
  /** Of 127.0.0.1, for the web UI. Undefined: no UI. */
  readonly uiPort?: number | undefined;
  /** Default `default`. */
  readonly namespace?: string;
  /** Default `SEARCH_ATTRIBUTES`. */
  readonly searchAttributes?: readonly SearchAttribute[];
  readonly log?: (line: string) => void;
}

export interface TemporalServer {
  /** For `TEMPORAL_ADDRESS`. */
  readonly address: string;
  readonly uiUrl: string | undefined;
  readonly logFile: string;
  readonly pid: number;
  /** Resolves when the server has ended, on `stop` or otherwise, with how. */
  readonly exited: Promise<string>;
  /** Resolves when the process is gone; safe to call again. */
  stop(): Promise<void>;
}

function serverArguments(options: TemporalServerOptions, databaseFile: string, namespace: string): string[] {
  return [
    'server',
    'start-dev',
    ...['--ip', '127.0.0.1', '--port', String(options.port)],
    ...(options.uiPort === undefined ? ['--headless'] : ['--ui-port', String(options.uiPort)]),
    ...['--namespace', namespace, '--db-filename', databaseFile, '--log-level', 'warn'],
    // Two to three times the throughput of the defaults, and a kill loses nothing that was acknowledged.
    ...['--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'],
    ...(options.searchAttributes ?? SEARCH_ATTRIBUTES).flatMap((attribute) => [
      '--search-attribute',
      attribute,
    ]),
  ];
}

/** The environment without Temporal's own variables: those are for clients, and a bad profile would end the server. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}

/**
 * Whether the server serves the namespace. Adds the search attributes that it lacks: its own flag works on a new
 * database file only, and an attribute that was added later is passed over in silence.
 */
async function answers(
  address: string,
  namespace: string,
  attributes: readonly SearchAttribute[],
): Promise<boolean> {
  let connection: Connection;
  try {
    connection = await Connection.connect({ address, connectTimeout: 1_000 });
  } catch {
    return false;
  }
  try {
    await connection.workflowService.describeNamespace({ namespace });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = attributes
      .map((attribute) => attribute.split('=') as [string, keyof typeof ATTRIBUTE_TYPES])
      .filter(([name]) => customAttributes[name] === undefined);
    if (missing.length === 0) return true;
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map(([name, type]) => [name, ATTRIBUTE_TYPES[type]])),
    });
    // Not ready before it lists them: a workflow that uses one at once would be refused.
    return false;
  } catch {
    return false;
  } finally {
    await connection.close();
  }
}

/**
 * Starts Temporal's dev server on a database file that is kept, and resolves when it answers with its namespace
 * and search attributes in place.
 *
 * The server does not get the terminal's Ctrl-C, and ends when this process ends, whichever way that comes.
 * @throws PortInUseError; an error with the end of its log when it does not come up.
 */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const {
    port,
    uiPort,
    namespace = 'default',
    searchAttributes = SEARCH_ATTRIBUTES,
    log = () => undefined,
  } = options;
  mkdirSync(dirname(options.databaseFile), { recursive: true });
  const directory = realpathSync(dirname(options.databaseFile));
  const databaseFile = join(directory, basename(options.databaseFile));
  const stem = join(directory, basename(databaseFile, extname(databaseFile)));
  const logFile = `${stem}.log`;
  const address = `127.0.0.1:${port}`;
  const claim = await claimServer(`${stem}.server.json`, NAME, log);
  try {
    await assertPortFree(port, NAME);
    if (uiPort !== undefined) await assertPortFree(uiPort, 'Temporal UI');
    const server = await startServerProcess({
      name: NAME,
      command: options.binary,
      args: serverArguments(options, databaseFile, namespace),
      env: serverEnvironment(),
      cwd: directory,
      logFile,
      signals: SIGNALS,
      claim,
      ready: () => answers(address, namespace, searchAttributes),
      readyTimeoutMs: READY_TIMEOUT_MS,
    });
    return {
      address,
      uiUrl: uiPort === undefined ? undefined : `http://127.0.0.1:${uiPort}`,
      logFile,
      pid: server.pid,
      exited: server.exited,
      stop: async () => {
        await server.stop();
        claim.release();
      },
    };
  } catch (error) {
    claim.release();
    const raced =
      error instanceof ServerStartError
        ? /port (\d+): .*address already in use/.exec(error.lines)?.[1]
        : undefined;
    throw raced === undefined ? error : new PortInUseError(Number(raced), NAME);
  }
}
