import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { createSync, type Sync } from '../support/sync.js';
import { createWorkerProcesses } from '../support/worker-processes.js';

let sync: Sync | null = null;
const workers = createWorkerProcesses();
afterEach(async () => {
  await workers.killAll();
  await sync?.close();
  sync = null;
});

describe('a worker that is killed', () => {
  it('in the middle of backfill and traffic, again and again, leaves nothing missed, doubled or stepped back', async () => {
    sync = await createSync({ seed: 31 });
    const { simulator, database, account } = sync;
    simulator.createMany('customer', 1_500);
    simulator.createMany('invoice', 300);
    simulator.setFaults({ latency: { fixedMs: 30, jitterMs: 40 } });
    simulator.startTraffic({ changesPerSecond: 4 });

    let worker = await workers.start(sync);
    await sync.start();
    const since = sync.opened();
    for (const pause of [1_500, 3_000, 2_200, 4_500]) {
      await sleep(pause);
      await worker.end('SIGKILL');
      await sleep(500);
      worker = await workers.start(sync);
    }
    await sleep(5_000);
    simulator.stopTraffic();
    await sync.rested(await since);
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
