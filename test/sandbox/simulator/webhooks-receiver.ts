/** A receiver of webhooks for tests: a plain HTTP server that keeps what comes, byte by byte. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished } from 'vitest';
import type { JsonObject } from '../../../src/sandbox/simulator/index.js';

export interface Received {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly signature: string;
  readonly raw: Buffer;
  readonly event: JsonObject & { readonly id: string; readonly type: string };
  /** Milliseconds of the machine's clock. */
  readonly at: number;
}

/** A status, or what a receiver does in place of an answer. */
export type Reply = number | 'cut' | 'cut_body' | 'hang';

export interface Receiver {
  readonly url: string;
  readonly received: readonly Received[];
  /** The most deliveries that were being answered at the same moment. */
  mostAtOnce(): number;
  connections(): Promise<number>;
  /** Waits until so many have come; fails when they do not. */
  until(count: number, seconds?: number): Promise<readonly Received[]>;
}

export async function receiverFor(
  reply: (received: Received, count: number) => Reply | Promise<Reply> = () => 200,
): Promise<Receiver> {
  const received: Received[] = [];
  let atOnce = 0;
  let mostAtOnce = 0;
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    atOnce += 1;
    mostAtOnce = Math.max(mostAtOnce, atOnce);
    response.on('close', () => {
      atOnce -= 1;
    });
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', async () => {
      const raw = Buffer.concat(parts);
      const one: Received = {
        method: request.method ?? '',
        headers: request.headers,
        signature: String(request.headers['stripe-signature']),
        raw,
        event: JSON.parse(raw.toString('utf8')) as Received['event'],
        at: Date.now(),
      };
      received.push(one);
      const answer = await reply(one, received.length);
      if (answer === 'hang') return;
      if (answer === 'cut') {
        response.destroy();
      } else if (answer === 'cut_body') {
        response.writeHead(200, { 'Content-Length': 100 });
        response.write('half', () => response.destroy());
      } else {
        response.writeHead(answer, answer === 302 ? { Location: '/elsewhere' } : {});
        response.end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`,
    received,
    mostAtOnce: () => mostAtOnce,
    connections: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
      ),
    async until(count, seconds = 20) {
      await expect
        .poll(() => received.length, { timeout: seconds * 1000, interval: 10 })
        .toBeGreaterThanOrEqual(count);
      return received;
    },
  };
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The parts of a `Stripe-Signature` header by scheme. */
export function schemes(signature: string): Record<string, string[]> {
  const parts: Record<string, string[]> = {};
  for (const part of signature.split(',')) {
    const [scheme = '', value = ''] = part.split('=');
    parts[scheme] = [...(parts[scheme] ?? []), value];
  }
  return parts;
}
