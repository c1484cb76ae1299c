import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { createStripeClient, type StripeClient, type StripeClientOptions } from '../../src/stripe/client.js';

export const KEY = 'sk_test_51SecretThatMustNeverShow';

export interface AnsweringServer {
  readonly url: string;
  /** What was asked, in order. */
  readonly requests: IncomingMessage[];
  /** Connections that are open now. */
  readonly sockets: Set<Socket>;
  /** Number of connections ever made. */
  connections(): number;
}

/** A real HTTP server on this machine, closed with the test. */
export async function answeringServer(answer: RequestListener): Promise<AnsweringServer> {
  const requests: IncomingMessage[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = http.createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, requests, sockets, connections: () => connections };
}

/** A client of that server, closed with the test. */
export function clientOf(
  server: { readonly url: string },
  options: Partial<StripeClientOptions> = {},
): StripeClient {
  const client = createStripeClient({ apiKey: KEY, baseUrl: server.url, ...options });
  onTestFinished(() => client.close());
  return client;
}

export function json(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string> = {},
) {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Request-Id': 'req_A1b2C3', ...headers });
  response.end(body);
}

/** Waits, up to two seconds, until something holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; waited < 2000; waited += 5) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('it did not come to pass within two seconds');
}
