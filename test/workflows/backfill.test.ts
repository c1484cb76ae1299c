import { afterEach, describe, expect, it } from 'vitest';
import { readLastBackfill } from '../../src/postgres/backfills.js';
import { readListings } from '../../src/postgres/listings.js';
import { syncedObjects, tableOf } from '../../src/stripe/catalog.js';
import { listingOf } from '../../src/stripe/listings.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

const DAY = 86_400;

let sync: Sync | null = null;
afterEach(async () => {
  await sync?.close();
  sync = null;
});

async function ended(room: Sync, number: number): Promise<void> {
  await eventually(async () => {
    const { backfill } = await room.status();
    if (backfill === null || backfill.number < number) return `backfill ${number} has not begun`;
    return backfill.state === 'running' ? 'it runs' : null;
  }, 90);
}

async function rows(room: Sync, object: string) {
  const { rows: found } = await room.database.pool.query<{ id: string; deleted: boolean; source: string }>(
    `select id, deleted, source from stripe.${tableOf(object)} where account = $1 order by id`,
    [room.account],
  );
  return found;
}

describe('a backfill', () => {
  it('lists all types but those that Stripe refuses or never answers, and says why of each', async () => {
    sync = await createSync();
    const room = sync;
    for (const path of ['/v1/coupons', '/v1/tax_rates', '/v1/topups'])
      room.simulator.addFault({
        kind: 'server_error',
        probability: 1,
        path,
        status: path === '/v1/coupons' ? 500 : path === '/v1/topups' ? 404 : 403,
      });
    room.simulator.createMany('customer', 101);
    room.simulator.createMany('product', 100);
    await room.work();
    await room.start({ backfill: { attempts: 1 } });
    await ended(room, 1);
    const { backfill } = await room.status();
    const types = new Map((backfill?.types ?? []).map((type) => [type.object, type]));
    expect(backfill?.state).toBe('failed');
    expect(types.get('coupon')?.skipped).toMatch(/500/);
    expect(types.get('tax_rate')?.skipped).toMatch(/403/);
    expect(types.get('topup')?.skipped).toMatch(/404/);
    expect(types.get('customer')).toEqual({ object: 'customer', rows: 101, done: true });
    expect(types.get('product')).toEqual({ object: 'product', rows: 100, done: true });
    const listed = syncedObjects().filter(({ object }) =>
      ['list', 'parents', 'singleton'].includes(listingOf(object).how),
    );
    expect([...types.keys()].toSorted()).toEqual(listed.map(({ object }) => object).toSorted());
    expect([...types.values()].every((type) => type.done)).toBe(true);
    const last = await readLastBackfill(room.database.pool, room.account);
    expect(last).toMatchObject({ outcome: 'failed', reason: 'the first one' });
    const listings = await readListings(room.database.pool, room.account, last?.number ?? 0);
    expect(listings.find(({ object }) => object === 'coupon')?.state).toBe('failed');
  }, 120_000);

  it('finds a deletion whose event never came, and an edit that raised none', async () => {
    sync = await createSync();
    const room = sync;
    const [gone = '', kept = ''] = room.simulator.createMany('customer', 2);
    await room.work();
    await room.start();
    await ended(room, 1);
    expect((await rows(room, 'customer')).map((row) => row.deleted)).toEqual([false, false]);
    room.simulator.remove('customer', gone, { event: false });
    room.simulator.update('customer', kept, { name: 'edited in silence' }, { event: false });
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await room.handle().signal('resync', { types: ['customers'] });
    await ended(room, 2);
    const { backfill } = await room.status();
    expect(backfill).toMatchObject({ state: 'done', reason: 'asked for' });
    expect(backfill?.types).toEqual([{ object: 'customer', rows: 1, done: true }]);
    const found = new Map((await rows(room, 'customer')).map((row) => [row.id, row]));
    expect(found.get(gone)?.deleted).toBe(true);
    expect(found.get(kept)).toMatchObject({ deleted: false, source: 'backfill:2' });
  }, 120_000);

  it('waits for the one that runs, and those that wait become one', async () => {
    sync = await createSync({ faults: { latency: { fixedMs: 150 } } });
    const room = sync;
    const now = Math.floor(room.simulator.now());
    room.simulator.createMany('customer', 5_000, { from: now - 200 * DAY, to: now - DAY });
    await room.work();
    await room.start({ backfill: { types: ['customer'], walkers: 2 } });
    await eventually(async () =>
      (await room.status()).backfill?.state === 'running' ? null : 'it has not begun',
    );
    await room.handle().signal('resync', { types: ['product'], reason: 'refresh' });
    await room.handle().signal('resync', { types: ['coupons'], since: now - DAY });
    expect((await room.status()).backfill?.number).toBe(1);
    await ended(room, 2);
    const { backfill } = await room.status();
    expect(backfill).toMatchObject({ number: 2, state: 'done', reason: 'refresh' });
    expect(backfill?.types.map(({ object }) => object).toSorted()).toEqual(['coupon', 'product']);
    expect((await rows(room, 'customer')).length).toBe(5_000);
  }, 120_000);

  it('that is large has a child for the type, which goes on over slices; it ends at once with its account', async () => {
    sync = await createSync({ faults: { latency: { fixedMs: 400 } } });
    const room = sync;
    const now = Math.floor(room.simulator.now());
    room.simulator.createMany('customer', 8_000, { from: now - 200 * DAY, to: now - DAY });
    await room.work();
    await room.start({ backfill: { types: ['customer'], walkers: 2, sliceSeconds: 1 } });
    const child = room.client.workflow.getHandle(`${room.account}/backfill/1/customer`);
    await eventually(async () => {
      const last = await readLastBackfill(room.database.pool, room.account);
      const [listing] =
        last === null ? [] : await readListings(room.database.pool, room.account, last.number);
      return (listing?.rows ?? 0) > 2_000 ? null : `${listing?.rows} rows`;
    }, 60);
    expect((await child.describe()).status.name).toBe('RUNNING');
    await room.handle().signal('stop');
    await eventually(async () => {
      const { status } = await child.describe();
      return status.name === 'RUNNING' ? 'the child runs' : null;
    });
    const whole = room.client.workflow.getHandle(`${room.account}/backfill/1`);
    await eventually(async () =>
      (await whole.describe()).status.name === 'RUNNING' ? 'the backfill runs' : null,
    );
  }, 120_000);
});
