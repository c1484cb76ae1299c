import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, expect, it } from 'vitest';
import type { FailuresReport } from '../../src/cli/failures.js';
import { countOutcomes } from '../../src/postgres/account-counts.js';
import { compareTruth } from '../../src/sandbox/compare-truth.js';
import { createFolder, expectDone, run } from '../cli/cli-process.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

let sync: Sync | null = null;
const folder = createFolder();
afterEach(async () => {
  await sync?.close();
  sync = null;
});
afterAll(folder.remove);

/** Lets PostgreSQL refuse every write of these rows, until the returned function is called. */
async function poison({ database }: Sync, ids: readonly string[]): Promise<() => Promise<void>> {
  const { pool } = database;
  await pool.query(`
    create schema poison;
    create table poison.ids (id text primary key);
    create function poison.refuse() returns trigger language plpgsql as $$
      begin
        if exists (select from poison.ids where id = new.id) then
          raise exception 'row % is poisoned', new.id using errcode = '23514';
        end if;
        return new;
      end $$;`);
  await pool.query('insert into poison.ids select unnest($1::text[])', [ids]);
  for (const table of ['customers', 'products']) {
    await pool.query(
      `create trigger refuse before insert or update on stripe.${table}
       for each row execute function poison.refuse()`,
    );
  }
  return async () => {
    await pool.query('drop trigger refuse on stripe.customers; drop trigger refuse on stripe.products');
  };
}

function command({ environment }: Sync, ...args: string[]) {
  return run(args, folder.path, environment);
}

/** Which rows differ from the truth, but for what changes without an event. */
async function differing({ database, account, simulator }: Sync): Promise<string[]> {
  const announced = new Set(simulator.events().map((event) => `${event.object}/${event.objectId}`));
  const { differences } = await compareTruth(database.pool, account, simulator.truth(), announced);
  return differences.flatMap(({ object, id }) =>
    ['customer', 'product', 'price', 'coupon', 'subscription'].includes(object) ? [`${object}/${id}`] : [],
  );
}

it('changes that PostgreSQL refuses are parked, hold up nothing else, are listed, and go in with a retry', async () => {
  sync = await createSync({ seed: 5 });
  const it = sync;
  const { simulator, account } = it;
  const customers = simulator.createMany('customer', 30).slice(0, 4);
  const products = simulator.createMany('product', 10).slice(0, 2);
  await it.work();
  await it.start({ parking: { attempts: 2, firstSeconds: 0.5, mostSeconds: 1 } });
  await eventually(async () => ((await it.status()).backfill?.state === 'done' ? null : 'it backfills'));

  const cure = await poison(it, [...customers, ...products]);
  const since = Math.floor(simulator.now());
  simulator.startTraffic({ changesPerSecond: 5 });
  for (let round = 0; round < 5; round += 1) {
    for (const id of customers) simulator.update('customer', id, { metadata: { round: String(round) } });
    for (const id of products) simulator.update('product', id, { metadata: { round: String(round) } });
    await sleep(1_600);
  }
  const [gone = ''] = customers;
  simulator.remove('customer', gone);
  await sleep(2_000);
  simulator.stopTraffic();
  await it.rested(since);

  const poisoned = new Set([...customers, ...products]);
  const refused = simulator
    .events()
    .filter((event) => event.created >= since && poisoned.has(event.objectId ?? ''))
    .filter(({ object }) => ['customer', 'product'].includes(object))
    .map(({ id }) => id)
    .sort();
  expect(refused.length).toBeGreaterThanOrEqual(31);
  const listed = await command(it, 'failures', account, '--json');
  expectDone(listed);
  const report = JSON.parse(listed.stdout) as FailuresReport;
  expect(report.parked.changes.map(({ id }) => id).sort()).toEqual(refused);
  expect(report.retrying.count).toBe(0);
  for (const { error, objectId } of report.parked.changes) {
    expect(error).toMatch(/PostgreSQL/);
    expect(poisoned.has(objectId ?? '')).toBe(true);
  }
  const shown = await command(it, 'failures', account);
  expectDone(shown);
  expect(shown.stdout).toContain(`${account}: ${refused.length} changes parked`);

  // Everything else is as Stripe has it.
  await eventually(async () => {
    const wrong = (await differing(it)).filter((key) => !poisoned.has(key.split('/')[1] ?? ''));
    return wrong.length === 0 ? null : `these differ: ${wrong.join(', ')}`;
  });
  expect((await differing(it)).sort()).toEqual(
    [...customers.map((id) => `customer/${id}`), ...products.map((id) => `product/${id}`)].sort(),
  );
  const { applied } = await countOutcomes(it.database.pool, account);
  expect(applied).toBeGreaterThan(30);

  await cure();
  const retried = await command(it, 'retry', account, '--wait');
  expectDone(retried);
  expect(retried.stdout).toContain(`takes ${refused.length} changes again`);
  const comparison = await it.compared();
  expect(comparison.differences).toEqual([]);
  expect(comparison.tombstones).toBeGreaterThan(0);
  expect((await countOutcomes(it.database.pool, account)).parked).toBe(0);
  expect((await command(it, 'failures', account)).stdout).toBe(`${account}: no parked changes\n`);
}, 240_000);

it('several changes of one object that come together and are refused are all parked, and a later one that is not goes in', async () => {
  sync = await createSync({ seed: 6, visibility: { kind: 'none' } });
  const it = sync;
  const { simulator, account } = it;
  const [id = ''] = simulator.createMany('customer', 1);
  await it.work();
  await it.start({ parking: { attempts: 2, firstSeconds: 0.2, mostSeconds: 0.4 } });
  await eventually(async () => ((await it.status()).backfill?.state === 'done' ? null : 'it backfills'));
  const cure = await poison(it, [id]);
  await it.handle().signal('pause');
  for (let round = 0; round < 4; round += 1) {
    // In seconds of their own, and wholly after the read that made the row.
    await sleep(round === 0 ? 2_500 : 1_000);
    simulator.update('customer', id, { metadata: { round: String(round) } });
  }
  await it.handle().signal('resume');
  await eventually(async () => {
    const { parked, received, pending } = await countOutcomes(it.database.pool, account);
    return parked === 4 ? null : `${parked} of ${received} are parked, ${pending} are pending`;
  });
  await cure();
  await sleep(1_000);
  simulator.update('customer', id, { metadata: { round: 'last' } });
  await eventually(async () => {
    const { parked, applied } = await countOutcomes(it.database.pool, account);
    return applied === 1 && parked === 4 ? null : `${applied} are applied, ${parked} parked`;
  });
  const retried = await command(it, 'retry', account, '--wait');
  expectDone(retried);
  expect(retried.stdout).toContain('4 stale');
  expect(await differing(it)).toEqual([]);
}, 120_000);
