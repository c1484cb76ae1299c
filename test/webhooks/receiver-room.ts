import { request } from 'node:http';
import { type Receiver, type ReceiverOptions, startReceiver } from '../../src/webhooks/receiver.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { nowSeconds, SECRET, signed } from './signing.js';

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Room {
  readonly database: TestDatabase;
  readonly receiver: Receiver;
  /** What the receiver has logged. */
  readonly lines: { readonly fields: Record<string, unknown>; readonly message: string }[];
  /** An account that was started, of a name of its own. */
  start(): Promise<string>;
  deliver(alias: string, body: string | Buffer, header?: string | null): Promise<Reply>;
  send(method: string, path: string): Promise<Reply>;
  /** The ids of the account's ledger rows. */
  rows(account: string): Promise<string[]>;
  countRows(): Promise<number>;
  /** Another receiver on the same database, or elsewhere. */
  receive(options: Partial<ReceiverOptions>): Promise<Receiver>;
  close(): Promise<void>;
}

export async function createRoom(options: Partial<ReceiverOptions> = {}): Promise<Room> {
  const database = await createMigratedDatabase();
  const lines: Room['lines'] = [];
  const receivers: Receiver[] = [];
  const note = (fields: Record<string, unknown>, message: string) => void lines.push({ fields, message });
  const receive = async (over: Partial<ReceiverOptions>) => {
    const receiver = await startReceiver({
      connectionString: database.url,
      host: '127.0.0.1',
      port: 0,
      secretsOf: () => [SECRET],
      log: { info: note, warn: note },
      ...options,
      ...over,
    });
    receivers.push(receiver);
    return receiver;
  };
  const receiver = await receive({});
  let accounts = 0;
  return {
    database,
    receiver,
    lines,
    receive,
    async start() {
      accounts += 1;
      const account = `shop-${accounts}`;
      await database.pool.query(
        'insert into stripe_sync.accounts (account, cursor_created) values ($1, now())',
        [account],
      );
      return account;
    },
    deliver: (alias, body, header = signed(body)) => deliverTo(receiver.port, alias, body, header),
    send: (method, path) => exchange(receiver.port, method, path, {}, null),
    async rows(account) {
      const { rows } = await database.pool.query<{ id: string }>(
        'select id from stripe_sync.events where account = $1 order by id',
        [account],
      );
      return rows.map(({ id }) => id);
    },
    async countRows() {
      const { rows } = await database.pool.query<{ n: string }>(
        'select count(*) as n from stripe_sync.events',
      );
      return Number(rows[0]?.n);
    },
    async close() {
      await Promise.all(receivers.map((each) => each.close()));
      await database.drop();
    },
  };
}

/** @param header null for a delivery without a signature */
export function deliverTo(
  port: number,
  alias: string,
  body: string | Buffer,
  header: string | null = signed(body),
): Promise<Reply> {
  const headers = {
    'content-type': 'application/json',
    ...(header === null ? {} : { 'stripe-signature': header }),
  };
  return exchange(port, 'POST', `/webhooks/${alias}`, headers, body);
}

function exchange(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: string | Buffer | null,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    const sent = request({ host: '127.0.0.1', port, method, path, headers }, (response) => {
      isAnswered = true;
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          text: Buffer.concat(chunks).toString('utf8'),
          headers: response.headers,
        }),
      );
    });
    // A server that has answered need not read the rest.
    sent.on('error', (error) => {
      if (!isAnswered) reject(error);
    });
    sent.end(body ?? undefined);
  });
}

let made = 0;

/** The text of a customer's update with an id of its own. */
export function eventText(over: Record<string, unknown> = {}): string {
  made += 1;
  return JSON.stringify({
    id: `evt_${made}`,
    object: 'event',
    api_version: '2026-10-28.endive',
    created: nowSeconds(),
    data: { object: { id: `cus_${made}`, object: 'customer', email: `a${made}@shop.example` } },
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type: 'customer.updated',
    ...over,
  });
}

export const idOf = (text: string): string => (JSON.parse(text) as { id: string }).id;
