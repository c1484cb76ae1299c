/**
 * How many signed webhook deliveries a second one process takes over HTTP, each answered once it is committed in the
 * inbox. PostgreSQL (which waits for the disk at each commit), the receiver and the sender share this machine, each in
 * processes of its own.
 *
 *   npm run build && node dist/bench/webhooks.js [--seconds 20] [--connections 64] [--bytes 1500] [--group 1,100]
 *
 * Bytes: of an event's filling, beside its 400 others. Group: how many events may share an insert, one run for each.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import type { Pool } from 'pg';
import { migrate } from '../src/postgres/migrate.js';
import { createPool } from '../src/postgres/pool.js';
import { startEmbeddedPostgres } from '../src/sandbox/embedded-postgres.js';
import { freePort } from '../src/sandbox/ports.js';
import { startReceiver } from '../src/webhooks/receiver.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    connections: { type: 'string', default: '64' },
    bytes: { type: 'string', default: '1500' },
    group: { type: 'string', default: '1,100' },
  },
});

const SECRET = 'whsec_bench';
const SENDER = fileURLToPath(new URL('webhooks-sender.js', import.meta.url));

interface Sent {
  readonly seconds: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'stripe-sync-bench-'));
  // As root, PostgreSQL runs as another user, who has to get in.
  chmodSync(directory, 0o755);
  const postgres = await startEmbeddedPostgres({
    directory: join(directory, 'postgres'),
    port: await freePort(),
    log: (line) => void process.stderr.write(`${line}\n`),
  });
  try {
    await migrate({ connectionString: postgres.url });
    const pool = createPool({ connectionString: postgres.url, applicationName: 'bench' });
    const runs = [];
    try {
      for (const group of values.group.split(',').map(Number)) {
        await measure(postgres.url, pool, group, 3);
        runs.push(await measure(postgres.url, pool, group, Number(values.seconds)));
      }
    } finally {
      await pool.end();
    }
    process.stdout.write(`${JSON.stringify(runs, null, 2)}\n`);
  } finally {
    await postgres.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(connectionString: string, pool: Pool, groupSize: number, seconds: number) {
  const account = `bench-${groupSize}-${seconds}`;
  await pool.query('insert into stripe_sync.accounts (account, cursor_created) values ($1, now())', [
    account,
  ]);
  const quiet = { info: () => undefined, warn: () => undefined };
  const receiver = await startReceiver({
    connectionString,
    host: '127.0.0.1',
    port: 0,
    secretsOf: () => [SECRET],
    log: quiet,
    groupSize,
  });
  const before = process.cpuUsage();
  try {
    const options = {
      ...{ port: receiver.port, account, secret: SECRET, seconds },
      ...{ connections: values.connections, bytes: values.bytes },
    };
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    const { stdout } = await promisify(execFile)(process.execPath, [SENDER, ...args]);
    const sent = JSON.parse(stdout) as Sent;
    const { user, system } = process.cpuUsage(before);
    const { rows } = await pool.query<{ n: number }>(
      'select count(*)::int as n from stripe_sync.events where account = $1',
      [account],
    );
    const stored = rows[0]?.n ?? 0;
    return {
      groupSize,
      perSecond: Math.round(stored / sent.seconds),
      stored,
      answers: sent.statuses,
      medianMs: sent.medianMs,
      p99Ms: sent.p99Ms,
      maxMs: sent.maxMs,
      receiverProcessorShare: Number(((user + system) / 1e6 / sent.seconds).toFixed(2)),
    };
  } finally {
    await receiver.close();
  }
}

await main();
