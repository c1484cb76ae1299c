/** What ends other mirrors of Stripe. Those failures that need no workflow are in test/activities/peer-failures.test.ts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { createSync, eventually, type Sync } from '../support/sync.js';
import { createWorkerProcesses } from '../support/worker-processes.js';

let sync: Sync | null = null;
const workers = createWorkerProcesses();
afterEach(async () => {
  await workers.killAll();
  await sync?.close();
  sync = null;
});

/** Ends the idle connections of the worker, as a server does that restarts or a firewall that forgets. */
async function endIdleConnections({ database }: Sync): Promise<number> {
  const { rowCount } = await database.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name like 'stripe-sync%' and state = 'idle'`,
  );
  return rowCount ?? 0;
}

it('a worker whose idle connections PostgreSQL ends, again and again, goes on and misses nothing', async () => {
  sync = await createSync({ seed: 12, visibility: { kind: 'none' } });
  const { simulator, database, account } = sync;
  const worker = await workers.start(sync);
  await sync.start({ backfill: { enabled: false } });
  const it = sync;
  await eventually(async () => ((await it.status()).caughtUp ? null : 'not caught up'));
  let ended = 0;
  for (let round = 1; round <= 4; round += 1) {
    ended += await endIdleConnections(it);
    const { id } = simulator.create('customer', { name: `round ${round}` });
    await eventually(async () => {
      const { rowCount } = await database.pool.query(
        'select from stripe.customers where account = $1 and id = $2',
        [account, id],
      );
      return rowCount === 1 ? null : `the customer of round ${round} is missing`;
    });
    await sleep(300);
  }
  expect(ended).toBeGreaterThan(0);
  expect(worker.child.exitCode).toBeNull();
  await it.rested();
  const { rows } = await database.pool.query<{ outcome: string; attempts: number }>(
    'select distinct outcome, attempts from stripe_sync.events where account = $1',
    [account],
  );
  expect(rows).toEqual([{ outcome: 'applied', attempts: 1 }]);
}, 120_000);
