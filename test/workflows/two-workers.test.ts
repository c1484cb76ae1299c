import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { countOutcomes } from '../../src/postgres/account-counts.js';
import { readAccount } from '../../src/postgres/account-row.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

const CLI = fileURLToPath(new URL('../../bin/stripe-sync.js', import.meta.url));
/** What activities have to end, and a bit for what comes after them. */
const GRACE_SECONDS = 13;

let sync: Sync | null = null;
let workers: ChildProcess[] = [];
afterEach(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  workers = [];
  await sync?.close();
  sync = null;
});

async function startWorker({ environment }: Sync): Promise<ChildProcess> {
  const worker = spawn(process.execPath, [CLI, 'worker'], {
    env: environment,
    cwd: mkdtempSync(join(tmpdir(), 'stripe-sync-worker-')),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  workers.push(worker);
  let log = '';
  await new Promise<void>((resolve, reject) => {
    worker.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      if (log.includes('the worker runs')) resolve();
    });
    worker.once('exit', (code) => reject(new Error(`the worker ended with ${code}: ${log}`)));
  });
  return worker;
}

async function stop(worker: ChildProcess): Promise<{ code: number | null; seconds: number }> {
  const begun = performance.now();
  const ended = once(worker, 'exit');
  worker.kill('SIGTERM');
  const [code] = await ended;
  return { code: code as number | null, seconds: (performance.now() - begun) / 1000 };
}

describe('of two workers on one task queue', () => {
  it('each is stopped in the middle of backfill and traffic, within its grace, and nothing is missed or doubled', async () => {
    sync = await createSync({ seed: 47 });
    const { simulator, database, account } = sync;
    simulator.createMany('customer', 1_500);
    simulator.createMany('invoice', 300);
    simulator.setFaults({ latency: { fixedMs: 30, jitterMs: 40 } });
    let [first, second] = await Promise.all([startWorker(sync), startWorker(sync)]);
    await sync.start();
    // What happens before the account is opened is the backfill's, and never in the ledger.
    await eventually(async () =>
      (await readAccount(database.pool, account)) === null ? 'it is not opened yet' : null,
    );
    const since = Math.floor(simulator.now());
    simulator.startTraffic({ changesPerSecond: 4 });
    for (const pause of [2_000, 3_500]) {
      await sleep(pause);
      const stopped = await stop(first);
      expect(stopped.code).toBe(0);
      expect(stopped.seconds).toBeLessThan(GRACE_SECONDS);
      // The other one does it alone for a while; the next to go is that one.
      await sleep(2_000);
      [first, second] = [second, await startWorker(sync)];
    }
    await sleep(3_000);
    simulator.stopTraffic();
    await eventually(async () => {
      const { pending } = await countOutcomes(database.pool, account);
      return pending === 0 ? null : `${pending} events are pending`;
    }, 200);
    await sync.rested(since);
    const comparison = await sync.compared();

    expect(comparison.differences).toEqual([]);
    expect(comparison.equal).toBeGreaterThan(1_800);
    const { rows } = await database.pool.query<{ outcome: string; attempts: number }>(
      `select outcome, max(attempts) as attempts from stripe_sync.events
       where account = $1 and outcome <> 'ignored' group by outcome`,
      [account],
    );
    // An outcome is given in the transaction that has the effect, so more than one would be an effect twice.
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter((row) => row.attempts !== 1 || row.outcome === 'parked')).toEqual([]);
    for (const worker of [first, second]) expect((await stop(worker)).code).toBe(0);
  }, 420_000);
});
