/**
 * HTTP on loopback. Stripe's `Date` header is its clock at the moment of the answer, and clients order states by it, so
 * it is written here for each answer: the one that Node adds by itself is cached, and the machine's.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Breaks the connection off, before anything is sent or in the middle of the body. */
  readonly cut?: 'before_headers' | 'body';
}

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Listens. Rejects with the error of `listen` as it is, so that EADDRINUSE can be recognised by its code.
 */
export async function startHttpServer(
  host: string,
  port: number,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<HttpServer> {
  const server: Server = createServer({ keepAlive: true, keepAliveTimeout: 60_000 }, (request, response) => {
    response.sendDate = false;
    handle(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

export function send(response: ServerResponse, answer: Answer): void {
  if (answer.cut === 'before_headers') {
    response.destroy();
    return;
  }
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body, 'utf8') : answer.body;
  response.writeHead(answer.status, { ...answer.headers, 'Content-Length': body.length });
  if (answer.cut === 'body') {
    response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
    return;
  }
  response.end(body);
}
