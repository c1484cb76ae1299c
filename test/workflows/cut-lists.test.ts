import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSync, type Sync } from '../support/sync.js';

let sync: Sync;
beforeAll(async () => {
  sync = await createSync({ visibility: { kind: 'none' }, embeddedItems: 1 });
});
afterAll(() => sync.close());

it('makes every table equal to Stripe though Stripe cuts the list of nearly every object', async () => {
  sync.simulator.createMany('subscription', 40, { items: 3 });
  sync.simulator.createMany('invoice', 130, { items: 3 });
  await sync.work();
  await sync.start();
  sync.simulator.startTraffic({ changesPerSecond: 10 });
  await sleep(6_000);
  sync.simulator.stopTraffic();
  await sync.rested();
  const { equal, differences } = await sync.compared();
  expect(differences).toEqual([]);
  expect(equal).toBeGreaterThan(170);
}, 120_000);
