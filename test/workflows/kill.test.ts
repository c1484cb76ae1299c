import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { createSync, type Sync } from '../support/sync.js';

const CLI = fileURLToPath(new URL('../../bin/stripe-sync.js', import.meta.url));

let sync: Sync | null = null;
let workers: ChildProcess[] = [];
afterEach(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  workers = [];
  await sync?.close();
  sync = null;
});

/** A worker as users run it, in a process of its own and away from any sandbox of this folder. */
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

async function kill(worker: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGKILL');
  await ended;
}

describe('a worker that is killed', () => {
  it('in the middle of backfill and traffic, again and again, leaves nothing missed, doubled or stepped back', async () => {
    sync = await createSync({ seed: 31 });
    const { simulator, database, account } = sync;
    simulator.createMany('customer', 1_500);
    simulator.createMany('invoice', 300);
    simulator.setFaults({ latency: { fixedMs: 30, jitterMs: 40 } });
    const since = Math.floor(simulator.now());
    simulator.startTraffic({ changesPerSecond: 4 });

    let worker = await startWorker(sync);
    await sync.start();
    for (const pause of [1_500, 3_000, 2_200, 4_500]) {
      await sleep(pause);
      await kill(worker);
      await sleep(500);
      worker = await startWorker(sync);
    }
    await sleep(5_000);
    simulator.stopTraffic();
    await sync.rested(since);
    const comparison = await sync.compared();

    expect(comparison.differences).toEqual([]);
    expect(comparison.equal).toBeGreaterThan(1_800);
    const { rows } = await database.pool.query<{ outcome: string; attempts: number; events: string }>(
      `select outcome, max(attempts) as attempts, count(*) as events from stripe_sync.events
       where account = $1 and outcome <> 'ignored' group by outcome`,
      [account],
    );
    // An outcome is given in the transaction that has the effect, so more than one would be an effect twice.
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter((row) => row.attempts !== 1 || row.outcome === 'parked')).toEqual([]);
  }, 240_000);
});
