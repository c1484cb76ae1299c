/**
 * The other side of bench/webhooks.ts, in a process of its own: signed deliveries over a few connections, the next of a
 * connection once the one before is answered. Prints one line of JSON.
 */
import { createHmac } from 'node:crypto';
import { Agent, request } from 'node:http';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    account: { type: 'string' },
    secret: { type: 'string' },
    seconds: { type: 'string' },
    connections: { type: 'string' },
    bytes: { type: 'string' },
  },
});
const { port, account, secret = '', seconds, connections, bytes } = values;
const agent = new Agent({ keepAlive: true, maxSockets: Number(connections) });
const filling = 'x'.repeat(Math.min(500, Number(bytes)));

function eventOf(id: string, at: number): string {
  const metadata: Record<string, string> = {};
  for (let left = Number(bytes), key = 0; left > 0; left -= 500, key += 1) {
    metadata[`key${key}`] = filling.slice(0, left);
  }
  const object = { id: `cus_${id}`, object: 'customer', created: at, email: `${id}@bench.example`, metadata };
  return JSON.stringify({
    id: `evt_${id}`,
    object: 'event',
    api_version: '2026-10-28.endive',
    created: at,
    data: { object, previous_attributes: { email: null } },
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type: 'customer.updated',
  });
}

function deliver(id: string): Promise<number> {
  const at = Math.floor(Date.now() / 1000);
  const body = eventOf(id, at);
  const signature = createHmac('sha256', secret).update(`${at}.${body}`).digest('hex');
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'stripe-signature': `t=${at},v1=${signature}`,
  };
  return new Promise((resolve, reject) => {
    const options = { agent, host: '127.0.0.1', port, method: 'POST', path: `/webhooks/${account}`, headers };
    const sent = request(options, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const statuses: Record<string, number> = {};
const tookMs: number[] = [];
const begin = performance.now();
const end = begin + Number(seconds) * 1000;
await Promise.all(
  Array.from({ length: Number(connections) }, async (_, connection) => {
    for (let sent = 0; performance.now() < end; sent += 1) {
      const from = performance.now();
      const status = await deliver(`${account}_${connection}_${sent}`);
      statuses[status] = (statuses[status] ?? 0) + 1;
      tookMs.push(performance.now() - from);
    }
  }),
);
tookMs.sort((a, b) => a - b);
const at = (share: number) => Number((tookMs[Math.floor(tookMs.length * share)] ?? Number.NaN).toFixed(1));
const elapsed = (performance.now() - begin) / 1000;
process.stdout.write(
  `${JSON.stringify({ seconds: elapsed, statuses, medianMs: at(0.5), p99Ms: at(0.99), maxMs: at(0.9999) })}\n`,
);
agent.destroy();
