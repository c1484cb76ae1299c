import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import type { Client } from '@temporalio/client';
import { UserError } from '../domain/failures.js';
import { connectClient, isTemporalConfigured, temporalTarget } from '../temporal/connection.js';
import { SANDBOX_DIRECTORY } from './sandbox-file.js';

/**
 * A client whose connection is proven.
 * @throws UserError after 10 seconds at most; at once where nobody listens on this machine
 */
export async function openClient(env: NodeJS.ProcessEnv): Promise<Client> {
  const target = temporalTarget(env);
  if (await isRefusedHere(target.address)) {
    throw new UserError(
      `Temporal does not answer at ${target.address}: nothing listens there. ${remedy(env)}`,
    );
  }
  return connectClient(target);
}

/** Runs `body` with a client of Temporal, which is closed afterwards. */
export async function withTemporal<T>(
  env: NodeJS.ProcessEnv,
  body: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await openClient(env);
  try {
    return await body(client);
  } finally {
    await client.connection.close();
  }
}

function remedy(env: NodeJS.ProcessEnv): string {
  if (!isTemporalConfigured(env) && existsSync(SANDBOX_DIRECTORY)) {
    return 'The sandbox of this folder is stopped: start it with stripe-sync dev, or name a server with TEMPORAL_ADDRESS.';
  }
  return 'Start it there, or name another one with TEMPORAL_ADDRESS or TEMPORAL_PROFILE.';
}

const LOOPBACK = /^(localhost|127(?:\.\d+){3}|\[::1\]):(\d+)$/;
const PROBE_TIMEOUT_MS = 2_000;

/** gRPC goes on trying until its deadline; on this machine a refusal says at once that there is no server. */
function isRefusedHere(address: string): Promise<boolean> {
  const [, host, port] = LOOPBACK.exec(address) ?? [];
  if (host === undefined || Number(port) > 65_535) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect({
      host: host.replace(/[[\]]/g, ''),
      port: Number(port),
      timeout: PROBE_TIMEOUT_MS,
    });
    const end = (refused: boolean) => {
      socket.destroy();
      resolve(refused);
    };
    socket.once('connect', () => end(false));
    socket.once('timeout', () => end(false));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED'));
  });
}
