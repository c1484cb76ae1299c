import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRoom, eventText, type Room } from './receiver-room.js';
import { nowSeconds } from './signing.js';

let room: Room;

beforeAll(async () => {
  room = await createRoom();
});
afterAll(() => room?.close());

/** What a raw connection is answered. */
function raw(port: number, ...parts: readonly (string | Buffer)[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(heard));
    for (const part of parts) socket.write(part);
  });
}

describe('the size of a body', () => {
  const head = (account: string, ...more: readonly string[]) =>
    [
      `POST /webhooks/${account} HTTP/1.1`,
      'Host: x',
      `Stripe-Signature: t=${nowSeconds()},v1=${'0'.repeat(64)}`,
      ...more,
      '',
      '',
    ].join('\r\n');
  const MIB = 1024 * 1024;

  it('up to 1 MiB is taken, one byte more is not', async () => {
    const account = await room.start();
    const text = eventText();
    const fitting = text + ' '.repeat(MIB - text.length);
    expect((await room.deliver(account, fitting)).status).toBe(200);
    expect((await room.deliver(account, `${fitting} `)).status).toBe(413);
  });

  it('is refused by its length before it is sent', async () => {
    const account = await room.start();
    const answer = await raw(room.receiver.port, head(account, `Content-Length: ${MIB + 1}`));
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('is refused while it is read where no length is told', async () => {
    const account = await room.start();
    const chunk = Buffer.concat([
      Buffer.from(`${MIB.toString(16)}\r\n`),
      Buffer.alloc(MIB),
      Buffer.from('\r\n'),
    ]);
    const answer = await raw(room.receiver.port, head(account, 'Transfer-Encoding: chunked'), chunk, chunk);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(room.receiver.counts()[account]).toEqual({ 'too large': 1 });
  });

  it('that is more than was told is a request of its own, and refused', async () => {
    const account = await room.start();
    const body = eventText();
    const lying = head(account, 'Content-Length: 10');
    expect(await raw(room.receiver.port, lying, body)).toMatch(/^HTTP\/1\.1 400 /);
    expect(await room.rows(account)).toEqual([]);
  });

  it('that never comes to its end is cut after ten seconds', async () => {
    const account = await room.start();
    const begin = performance.now();
    const answer = await raw(room.receiver.port, head(account, 'Content-Length: 1000'), '{');
    expect(answer).toMatch(/^(HTTP\/1\.1 408 |$)/);
    expect(performance.now() - begin).toBeLessThan(14_000);
    expect(await room.rows(account)).toEqual([]);
  });
});
