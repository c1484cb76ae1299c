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
const CONNECT_TIMEOUT_MS = 10_000;

/** Whether the environment or a profile names a Temporal server. */
export function isTemporalConfigured(env: NodeJS.ProcessEnv): boolean {
  return configOf(env).connectionOptions.address !== undefined;
}

/** The server that the environment or a profile names; the one on this machine's usual port otherwise. */
export function temporalTarget(env: NodeJS.ProcessEnv): TemporalTarget {
  const { connectionOptions, namespace } = configOf(env);
  const address = connectionOptions.address ?? DEFAULT_ADDRESS;
  return { address, namespace: namespace ?? 'default', options: { ...connectionOptions, address } };
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

/** Connects a worker, whose connection is the core's own. */
export async function connectWorker(target: TemporalTarget): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect(target.options);
  } catch (error) {
    throw unreachable(target, error);
  }
}

function unreachable(target: TemporalTarget, error: unknown): UserError {
  const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  return new UserError(
    `Temporal does not answer at ${target.address} (${reason.slice(0, 200)}). ` +
      'Start it there, or name another one with TEMPORAL_ADDRESS (and TEMPORAL_NAMESPACE, TEMPORAL_API_KEY) or TEMPORAL_PROFILE.',
  );
}
