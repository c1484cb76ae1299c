/** A webhook handler as one writes it first: check the signature, upsert the event's object, answer. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Pool } from 'pg';
import Stripe from 'stripe';

const UPSERT = `
  insert into public.naive as r (account, id, data, as_of, as_of_until, source)
  values ($1, $2, $3, to_timestamp($4), to_timestamp($4), $5)
  on conflict (account, id) do update set data = excluded.data, as_of = excluded.as_of
  where r.as_of < excluded.as_of`;

export interface NaiveHandler {
  readonly port: number;
  close(): Promise<void>;
}

/** Its table is `public.naive`, shaped like that of customers. */
export async function startNaiveHandler(pool: Pool, account: string, secret: string): Promise<NaiveHandler> {
  const stripe = new Stripe('sk_test_naive');
  const handle = async (request: IncomingMessage) => {
    const signature = request.headers['stripe-signature'] ?? '';
    const event = stripe.webhooks.constructEvent(await bodyOf(request), signature, secret);
    const object = event.data.object as unknown as { readonly id: string };
    await pool.query(UPSERT, [account, object.id, JSON.stringify(object), event.created, event.id]);
  };
  const server = createServer((request, response) => {
    handle(request).then(
      () => response.writeHead(200).end(),
      () => response.writeHead(400).end(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}
