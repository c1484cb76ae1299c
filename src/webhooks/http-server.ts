import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../domain/failures.js';

/** From the first byte of a request to its last, in milliseconds. Stripe sends each in one go. */
const REQUEST_MS = 10_000;
/** Stripe reuses connections; one on which nothing is said is given up. */
const IDLE_MS = 15_000;
/** The backstop for a connection that hangs in any other way, longer than any answer takes. */
const SILENT_MS = 30_000;
/** Node looks for requests that take too long at this rhythm; 30 s unless told. */
const CHECK_MS = 1_000;
/** Each holds some kB at least. */
const CONNECTIONS = 1_000;

export interface HttpServer {
  readonly port: number;
  /** Lets what is under way end, at most for so many milliseconds, and cuts what is left then. */
  close(graceMs: number): Promise<void>;
}

/** @throws UserError where the port cannot be listened on */
export async function listen(host: string, port: number, handle: RequestListener): Promise<HttpServer> {
  const server = createServer(
    {
      headersTimeout: REQUEST_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: CHECK_MS,
    },
    handle,
  );
  server.timeout = SILENT_MS;
  server.maxConnections = CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenProblem(host, port, error)));
    server.listen(port, host, resolve);
  });
  // A connection that fails ends by itself, and so must not end the worker.
  server.on('error', () => undefined);
  return {
    port: (server.address() as AddressInfo).port,
    async close(graceMs) {
      const closed = new Promise((resolve) => server.close(resolve));
      const over = performance.now() + graceMs;
      let isOpen = true;
      void closed.then(() => {
        isOpen = false;
      });
      // A connection whose request was under way is idle only once that is answered.
      while (isOpen && performance.now() < over) {
        server.closeIdleConnections();
        await Promise.race([closed, sleep(50)]);
      }
      server.closeAllConnections();
      await closed;
    },
  };
}

function listenProblem(host: string, port: number, error: NodeJS.ErrnoException): UserError {
  const problem = new UserError(
    `The webhook receiver cannot listen on ${host}:${port}: ${reasonOf(error)} (${error.code ?? error.message}).`,
  );
  problem.cause = error;
  return problem;
}

function reasonOf({ code }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'something else listens there. End it, or give another port with --webhooks';
    case 'EACCES':
      return 'this user may not. Give a port from 1024 on with --webhooks, and let a proxy stand before it';
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return 'this machine has no such address. Give another one with --webhooks-host';
    default:
      return 'the system refuses. Give another --webhooks port or --webhooks-host';
  }
}
