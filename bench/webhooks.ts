/**
 * How many signed webhook deliveries a second one process takes over HTTP, each answered once it is committed in the
 * inbox, beside a handler as one writes it first: check the signature, upsert the event's object, answer. PostgreSQL
 * (which waits for the disk at each commit), the receiver and the sender share this machine, each in processes of its own.
 *
 *   npm run bench -- webhooks [--runs 3] [--seconds 8] [--connections 64] [--bytes 1500] [--group 100] [--json]
 *
 * Bytes: of an event's filling, beside its 400 others. Group: how many events may share an insert.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Pool } from 'pg';
import { migrate } from '../src/postgres/migrate.js';
import { createPool } from '../src/postgres/pool.js';
import { startReceiver } from '../src/webhooks/receiver.js';
import { type Figure, figure } from './figure.js';
import { inPostgres } from './in-postgres.js';
import { startNaiveHandler } from './naive-handler.js';

const SECRET = 'whsec_bench';
const SENDER = fileURLToPath(new URL('webhooks-sender.js', import.meta.url));

interface Sent {
  readonly seconds: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const WARM_UP_SECONDS = 2;

await figure(
  {
    name: 'webhooks',
    says: 'deliveries a second over HTTP, each durable before it is answered',
    options: { seconds: '8', connections: '64', bytes: '1500', group: '100' },
  },
  async (given) => {
    await inPostgres(given, (url) => measure(url, given));
  },
);

async function measure(url: string, { runs, values, say, add, note }: Figure): Promise<void> {
  await migrate({ connectionString: url });
  const pool = createPool({ connectionString: url, applicationName: 'bench' });
  const load = { connections: values.connections ?? '', bytes: values.bytes ?? '' };
  try {
    for (let run = 0; run <= runs; run += 1) {
      const seconds = run === 0 ? WARM_UP_SECONDS : Number(values.seconds);
      const ours = await receiver(url, pool, `ours-${run}`, Number(values.group), {
        ...load,
        seconds,
      });
      const naive = await naiveHandler(pool, `naive-${run}`, { ...load, seconds });
      if (run === 0) continue;
      say(`Run ${run}: ${Math.round(ours.perSecond)} a second beside ${Math.round(naive.perSecond)}.`);
      add([
        {
          ...{ what: 'deliveries', unit: '/s', value: ours.perSecond, wanted: { atLeast: 1_500 } },
          baseline: { what: 'a naive handler', value: naive.perSecond },
        },
        {
          ...{ what: 'answered within: median', unit: 'ms', value: ours.medianMs },
          baseline: { what: 'a naive handler', value: naive.medianMs },
        },
        {
          ...{ what: 'answered within: 99th percentile', unit: 'ms', value: ours.p99Ms },
          baseline: { what: 'a naive handler', value: naive.p99Ms },
        },
      ]);
    }
  } finally {
    await pool.end();
  }
  note(`${values.connections} connections, each with the next delivery once the one before is answered.`);
}

interface Load {
  readonly seconds: number;
  readonly connections: string;
  readonly bytes: string;
}

interface Taken extends Sent {
  readonly perSecond: number;
}

async function receiver(
  connectionString: string,
  pool: Pool,
  account: string,
  groupSize: number,
  load: Load,
): Promise<Taken> {
  await pool.query('insert into stripe_sync.accounts (account, cursor_created) values ($1, now())', [
    account,
  ]);
  const quiet = { info: () => undefined, warn: () => undefined };
  const running = await startReceiver({
    connectionString,
    host: '127.0.0.1',
    port: 0,
    secretsOf: () => [SECRET],
    log: quiet,
    groupSize,
  });
  try {
    const sent = await send(running.port, account, load);
    return await takenOf(sent, pool, 'stripe_sync.events', account);
  } finally {
    await running.close();
  }
}

async function naiveHandler(pool: Pool, account: string, load: Load): Promise<Taken> {
  await pool.query('create table if not exists public.naive (like stripe.customers including all)');
  const running = await startNaiveHandler(pool, account, SECRET);
  try {
    const sent = await send(running.port, account, load);
    return await takenOf(sent, pool, 'public.naive', account);
  } finally {
    await running.close();
  }
}

async function send(port: number, account: string, load: Load): Promise<Sent> {
  const options = { ...load, port, account, secret: SECRET };
  const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  const { stdout } = await promisify(execFile)(process.execPath, [SENDER, ...args]);
  return JSON.parse(stdout) as Sent;
}

/** What is stored counts, and all that was answered has to be. */
async function takenOf(sent: Sent, pool: Pool, table: string, account: string): Promise<Taken> {
  const { rows } = await pool.query<{ stored: number }>(
    `select count(*)::integer as stored from ${table} where account = $1`,
    [account],
  );
  const stored = rows[0]?.stored ?? 0;
  const answered = sent.statuses['200'] ?? 0;
  const all = Object.values(sent.statuses).reduce((sum, count) => sum + count, 0);
  if (answered !== all || stored !== all)
    throw new Error(`Of ${all} deliveries ${answered} were answered with 200 and ${stored} stored.`);
  return { ...sent, perSecond: stored / sent.seconds };
}
