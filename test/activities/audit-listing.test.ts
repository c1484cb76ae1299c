import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditTypeInput } from '../../activities/audit-type.js';
import { type ActivityRoom, createActivityRoom, hangingRequest } from '../support/activity-room.js';
import { change, mirror, runAudit, saidOf } from '../support/audit-loop.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

async function begun(room: ActivityRoom, over: Partial<AuditTypeInput> = {}): Promise<AuditTypeInput> {
  const { account } = room;
  const plan = { account, run: `run of ${account}`, sinceSeconds: 60, types: ['customer'], heal: false };
  const { number } = await room.run('beginAudit', plan);
  return {
    account,
    number,
    object: 'customer',
    walks: true,
    apiVersion: null,
    bound: 1_000,
    from: null,
    seconds: 60,
    ...over,
  };
}

describe('the listing of an audit', () => {
  it('goes on from the heartbeat of the attempt that was killed, and forgets nothing of what that had seen', async () => {
    const hanging = hangingRequest();
    let lists = 0;
    const room = await createActivityRoom(database, {
      between: (path, get) => {
        if (path.startsWith('/v1/customers?')) lists += 1;
        return lists === 3 ? hanging.request() : get(path);
      },
    });
    const [altered = ''] = room.simulator.createMany('customer', 450);
    const newest = room.simulator.createMany('customer', 1, { from: room.now() - 5, to: room.now() - 5 })[0];
    await mirror(room, ['customer']);
    await change(database, room, 'customer', 'delete from TABLE where account = $1 and id = $2', [newest]);
    await change(
      database,
      room,
      'customer',
      `update TABLE set data = data || '{"name":"x"}' where account = $1 and id = $2`,
      [altered],
    );
    const input = await begun(room);
    const first = room.begin('auditType', input);
    while (lists < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    const left = first.heartbeats.at(-1);
    hanging.end();
    await expect(first.result).rejects.toThrow();
    const before = lists;
    const state = await room.run('auditType', input, { attempt: 2, heartbeatDetails: left });
    // Five pages in all: two were behind it.
    expect(lists - before).toBe(3);
    expect(state).toMatchObject({ done: true, compared: 451, extraChecked: true, stored: 2, overflow: 0 });
    const { rows } = await database.pool.query(
      'select id, kind from stripe_sync.audit_differences where account = $1 order by kind',
      [room.account],
    );
    expect(rows).toEqual([
      { id: newest, kind: 'missing' },
      { id: altered, kind: 'stale' },
    ]);
  });

  it('reports when its time is over and goes on from there', async () => {
    const room = await createActivityRoom(database);
    room.simulator.createMany('customer', 250);
    await mirror(room, ['customer']);
    const input = await begun(room, { seconds: 0 });
    let state = await room.run('auditType', input);
    let slices = 1;
    for (; !state.done; slices += 1) state = await room.run('auditType', { ...input, from: state });
    expect(slices).toBeGreaterThanOrEqual(3);
    expect(state).toMatchObject({ compared: 250, stored: 0, requests: 3 });
  });

  it('goes on where the object that the next page begins after was deleted meanwhile', async () => {
    const room = await createActivityRoom(database);
    room.simulator.createMany('coupon', 250);
    await mirror(room, ['coupon']);
    const input = await begun(room, { object: 'coupon', seconds: 0 });
    let state = await room.run('auditType', input);
    room.simulator.remove('coupon', state.position.startingAfter ?? '', { event: false });
    while (!state.done) state = await room.run('auditType', { ...input, from: state });
    expect(state.skipped).toBeNull();
    expect(state.compared).toBeGreaterThanOrEqual(249);
  });

  it('names a type that the key may not read, and one that this account does not have, and compares the others', async () => {
    const room = await createActivityRoom(database, {
      key: (simulator) =>
        simulator.createRestrictedKey(['rak_product_read', 'rak_coupon_read', 'rak_event_read']),
      between: (path, get) => get(path.startsWith('/v1/coupons') ? '/v1/coupons/none' : path),
    });
    room.simulator.createMany('customer', 3);
    const [product = ''] = room.simulator.createMany('product', 3);
    await mirror(room, ['customer', 'product']);
    await change(database, room, 'product', 'delete from TABLE where account = $1 and id = $2', [product]);
    const result = await runAudit(room, database, { types: ['customer', 'product', 'coupon'] });
    expect(result.types).toMatchObject([
      { object: 'customer', compared: 0, missing: 0, matters: true },
      { object: 'product', compared: 3, missing: 1, notCompared: null, matters: false },
      { object: 'coupon', compared: 0, matters: true },
    ]);
    expect(result.types[0]?.notCompared).toContain('rak_customer_read');
    expect(result.types[2]?.notCompared).toMatch(/404/);
    expect(result.totals.notCompared).toBe(2);
  });

  it('compares all types that have a list of their own, and says what it leaves out', async () => {
    const room = await createActivityRoom(database, {
      key: (simulator) => simulator.createRestrictedKey(['rak_event_read', 'rak_product_read']),
    });
    await room.hold('customer', { id: 'cus_1' }, room.now() - 60, room.now() - 60);
    await room.hold('card', { id: 'card_1' }, room.now() - 60, room.now() - 60);
    const result = await runAudit(room, database);
    expect(result.types.length).toBeGreaterThan(70);
    expect(result.types.find(({ object }) => object === 'product')).toMatchObject({ notCompared: null });
    // A type without rows that the key may not read is nothing to worry about; one with rows is.
    expect(result.types.filter(({ matters }) => matters).map(({ object }) => object)).toEqual(['customer']);
    expect(result.leftOut).toMatchObject([{ object: 'card', reason: /--types/ }]);
  });

  it('walks over the parents of a type that is asked for by its name', async () => {
    const room = await createActivityRoom(database);
    const [customer = '', other = ''] = room.simulator.createMany('customer', 20);
    const parent = (id: string) => ({ parent: { object: 'customer', id } });
    const kept = room.simulator.create('tax_id', { customer }, { event: false, ...parent(customer) });
    const lost = room.simulator.create('tax_id', { customer: other }, { event: false, ...parent(other) });
    await mirror(room, ['customer', 'tax_id']);
    await change(database, room, 'tax_id', 'delete from TABLE where account = $1 and id = $2', [lost.id]);
    const result = await runAudit(room, database, { types: ['tax_id'] });
    expect(saidOf(result)).toEqual({ tax_id: [`missing ${lost.id}`] });
    expect(kept.id).not.toBe(lost.id);
    expect(result.types[0]?.requests).toBeGreaterThanOrEqual(20);
  });

  it('compares the balance, which has no id and no list', async () => {
    const room = await createActivityRoom(database);
    const missing = await runAudit(room, database, { types: ['balance'], heal: true });
    expect(saidOf(missing)).toEqual({ balance: ['missing balance healed'] });
    expect(saidOf(await runAudit(room, database, { types: ['balance'] }))).toEqual({});
    await change(
      database,
      room,
      'balance',
      `update TABLE set data = data || '{"livemode":null}' where account = $1`,
    );
    expect(saidOf(await runAudit(room, database, { types: ['balance'] }))).toEqual({
      balance: ['stale balance (livemode)'],
    });
  });

  it('waits for Stripe’s limiters, whose refusals are no failures', async () => {
    const room = await createActivityRoom(database);
    room.simulator.createMany('customer', 150);
    await mirror(room, ['customer']);
    const input = await begun(room);
    room.simulator.addFault({ kind: 'rate_limit', next: 3, path: '/v1/customers' });
    expect(await room.run('auditType', input)).toMatchObject({ done: true, compared: 150, skipped: null });
  });

  it('names an object that PostgreSQL cannot hold, and compares the others of its page', async () => {
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
        const text = response.text.replace('"metadata":{}', `"metadata":${deep}`);
        return path.startsWith('/v1/customers?') ? { ...response, text, body: JSON.parse(text) } : response;
      },
    });
    const ids = room.simulator.createMany('customer', 3, { fields: { metadata: {} } });
    const result = await runAudit(room, database, { types: ['customer'] });
    expect(result.types).toMatchObject([{ compared: 3, missing: 2, stale: 0, extra: 0, unverified: 1 }]);
    const example = result.types[0]?.examples.find(({ state }) => state === 'unverified');
    expect(ids).toContain(example?.id);
    expect(example?.note).toMatch(/54001/);
  });
});
