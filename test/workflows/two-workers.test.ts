import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { countOutcomes } from '../../src/postgres/account-counts.js';
import { createSync, eventually, type Sync } from '../support/sync.js';
import { createWorkerProcesses } from '../support/worker-processes.js';

/** What activities have to end, and a bit for what comes after them. */
const GRACE_SECONDS = 13;

let sync: Sync | null = null;
const workers = createWorkerProcesses();
afterEach(async () => {
  await workers.killAll();
  await sync?.close();
  sync = null;
});

describe('of two workers on one task queue', () => {
  it('each is stopped in the middle of backfill and traffic, within its grace, and nothing is missed or doubled', async () => {
    sync = await createSync({ seed: 47 });
    const { simulator, database, account } = sync;
    simulator.createMany('customer', 1_500);
    simulator.createMany('invoice', 300);
    simulator.setFaults({ latency: { fixedMs: 30, jitterMs: 40 } });
    let [first, second] = await Promise.all([workers.start(sync), workers.start(sync)]);
    await sync.start();
    const since = await sync.opened();
    simulator.startTraffic({ changesPerSecond: 4 });
    for (const pause of [2_000, 3_500]) {
      await sleep(pause);
      const asked = performance.now();
      const stopped = await first.end('SIGTERM');
      expect(stopped.code).toBe(0);
      expect((performance.now() - asked) / 1000).toBeLessThan(GRACE_SECONDS);
      // The other one does it alone for a while; the next to go is that one.
      await sleep(2_000);
      [first, second] = [second, await workers.start(sync)];
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
    for (const worker of [first, second]) expect((await worker.end('SIGTERM')).code).toBe(0);
  }, 420_000);
});
