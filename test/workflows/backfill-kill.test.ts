import { afterEach, expect, it } from 'vitest';
import { readLastBackfill } from '../../src/postgres/backfills.js';
import { readListings } from '../../src/postgres/listings.js';
import { DEFAULT_SETTINGS } from '../../workflows/settings.js';
import { createSync, eventually, type Sync } from '../support/sync.js';
import { createWorkerProcesses } from '../support/worker-processes.js';

/** bench/backfill-kills.ts does more of them. */
const KILLS = 5;
const CUSTOMERS = 30_000;
const DAY = 86_400;

let sync: Sync | null = null;
const workers = createWorkerProcesses();
afterEach(async () => {
  await workers.killAll();
  await sync?.close();
  sync = null;
});

/** Pages whose rows and positions are committed. */
async function pagesOf({ database, account }: Sync): Promise<number> {
  const last = await readLastBackfill(database.pool, account);
  if (last === null) return 0;
  const listings = await readListings(database.pool, account, last.number);
  return listings.reduce((sum, { requests }) => sum + requests, 0);
}

it(`a backfill whose worker is killed ${KILLS} times ends equal, and lists few pages twice`, async () => {
  sync = await createSync({ faults: { latency: { fixedMs: 100 } } });
  const room = sync;
  const now = Math.floor(room.simulator.now());
  room.simulator.createMany('customer', CUSTOMERS, { from: now - 900 * DAY, to: now - DAY });
  let worker = await workers.start(room);
  await room.start({ backfill: { types: ['customer'] } });
  room.simulator.startTraffic({ changesPerSecond: 2 });
  let pages = 0;
  for (let killed = 0; killed < KILLS; killed += 1) {
    const upTo = pages + 5 + Math.floor(Math.random() * 40);
    await eventually(async () => ((await pagesOf(room)) >= upTo ? null : `fewer than ${upTo} pages`), 90);
    pages = await pagesOf(room);
    await worker.end('SIGKILL');
    worker = await workers.start(room);
  }
  await eventually(async () => {
    const last = await readLastBackfill(room.database.pool, room.account);
    return last?.outcome === 'done' ? null : `the backfill is ${last?.outcome ?? 'under way'}`;
  }, 120);
  room.simulator.stopTraffic();
  const taken = await pagesOf(room);
  const asked = room.simulator.stats().requests.list;
  await room.rested();
  const comparison = await room.compared();
  const twice = asked - taken;
  console.info(`${taken} pages, ${twice} of them asked for twice (${((100 * twice) / taken).toFixed(1)} %)`);
  expect(comparison.differences).toEqual([]);
  expect(comparison.equal).toBeGreaterThan(CUSTOMERS * 0.95);
  expect(pages).toBeLessThan(taken);
  // What was under way when the worker died, and nothing else: a page for each walker.
  expect(twice).toBeLessThanOrEqual(KILLS * DEFAULT_SETTINGS.backfill.walkers);
}, 400_000);
