/** The way to Temporal, from its own environment variables and profiles. */
import { Client, Connection, type ConnectionOptions } from '@temporalio/client';
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import { UserError } from '../domain/failures.js';

export interface TemporalTarget {
  readonly address: string;
  readonly namespace: string;
  readonly options: ClientConnectConfig['connectionOptions'];
}

const DEFAULT_ADDRESS = 'localhost:7233';
const LOOPBACK = /^(localhost|127(?:\.\d+){3}|\[::1\])(:\d+)?$/;
const CONNECT_TIMEOUT_MS = 10_000;

/** Whether the environment or a profile names a Temporal server. */
export function isTemporalConfigured(env: NodeJS.ProcessEnv): boolean {
  return configOf(env).connectionOptions.address !== undefined;
}

/** The server that the environment or a profile names; the one on this machine's usual port otherwise. */
export function temporalTarget(env: NodeJS.ProcessEnv): TemporalTarget {
  const { connectionOptions, namespace } = configOf(env);
  const address = connectionOptions.address ?? DEFAULT_ADDRESS;
  // A key alone implies TLS, which a server on this machine does not speak: the sandbox's, beside a key for elsewhere.
  const isImplied = connectionOptions.tls === true && LOOPBACK.test(address);
  const options = { ...connectionOptions, ...(isImplied ? { tls: false } : {}), address };
  return { address, namespace: namespace ?? 'default', options };
}

function configOf(env: NodeJS.ProcessEnv): ClientConnectConfig {
  const overrideEnvVars = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  try {
    return loadClientConnectConfig({ overrideEnvVars });
  } catch (error) {
    throw new UserError(
      `Temporal's configuration cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** Connects a client. The connection is proven before it is returned. */
export async function connectClient(target: TemporalTarget): Promise<Client> {
  try {
    const connection = await Connection.connect({
      ...(target.options as ConnectionOptions),
      connectTimeout: CONNECT_TIMEOUT_MS,
    });
    return new Client({ connection, namespace: target.namespace });
  } catch (error) {
    throw unreachable(target, error);
  }
}

/**
 * Connects a worker, whose connection is the core's own.
 * @throws UserError after 10 seconds at most, however long the core would go on trying
 */
export async function connectWorker(target: TemporalTarget): Promise<NativeConnection> {
  const connecting = NativeConnection.connect(target.options);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const reason = new Error(`no connection within ${CONNECT_TIMEOUT_MS / 1000} s`);
    timer = setTimeout(reject, CONNECT_TIMEOUT_MS, reason);
  });
  try {
    return await Promise.race([connecting, late]);
  } catch (error) {
    // One that comes after all is nobody's.
    connecting.then((connection) => connection.close()).catch(() => undefined);
    throw unreachable(target, error);
  } finally {
    clearTimeout(timer);
  }
}

function unreachable(target: TemporalTarget, error: unknown): UserError {
  const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  return new UserError(
    `Temporal does not answer at ${target.address} (${reason.slice(0, 200)}). ` +
      'Start it there, or name another one with TEMPORAL_ADDRESS (and TEMPORAL_NAMESPACE, TEMPORAL_API_KEY) or TEMPORAL_PROFILE.',
  );
}
