import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readLastAudit } from '../../src/postgres/read-audits.js';
import { createActivityRoom } from '../support/activity-room.js';
import { change, mirror, runAudit, saidOf } from '../support/audit-loop.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const DELETE = 'delete from TABLE where account = $1 and id = $2';
const ALTER = `update TABLE set data = data || $3::jsonb where account = $1 and id = $2`;
const ADD = `insert into TABLE (account, id, data, as_of, as_of_until, source)
  values ($1, $2, $3, to_timestamp($4), to_timestamp($4), 'hand')`;

describe('an audit of the tables', () => {
  it('finds nothing where every row equals its object', async () => {
    const room = await createActivityRoom(database);
    room.simulator.createMany('customer', 230);
    room.simulator.createMany('product', 3);
    await mirror(room, ['customer', 'product']);
    const result = await runAudit(room, database, { types: ['customer', 'product'] });
    expect(saidOf(result)).toEqual({});
    expect(result.types).toMatchObject([
      { object: 'customer', compared: 230, missing: 0, stale: 0, extra: 0, extraChecked: true },
      { object: 'product', compared: 3 },
    ]);
    expect(result.totals).toMatchObject({ compared: 233, missing: 0, stale: 0, extra: 0, unverified: 0 });
    // Nothing looked different, so nothing was read by itself.
    expect(room.simulator.stats().requests.retrieve).toBe(0);
  });

  it('names exactly the rows that were deleted, altered and added by hand, and heals them', async () => {
    const room = await createActivityRoom(database);
    const [gone = '', altered = '', buried = ''] = room.simulator.createMany('customer', 120);
    const [product = ''] = room.simulator.createMany('product', 4);
    await mirror(room, ['customer', 'product']);
    const before = room.now();
    await change(database, room, 'customer', DELETE, [gone]);
    await change(database, room, 'customer', ALTER, [altered, { email: 'x@example.com', extra_key: 1 }]);
    await change(
      database,
      room,
      'customer',
      'update TABLE set deleted = true where account = $1 and id = $2',
      [buried],
    );
    await change(database, room, 'customer', ADD, [
      'cus_byhand',
      { id: 'cus_byhand', object: 'customer' },
      before - 500,
    ]);
    // Just now: the listing begins in the same second, perhaps.
    await change(database, room, 'customer', ADD, [
      'cus_justnow',
      { id: 'cus_justnow', object: 'customer' },
      before + 1,
    ]);
    // A row that holds no object at all.
    await change(database, room, 'product', "update TABLE set data = '[]' where account = $1 and id = $2", [
      product,
    ]);

    const found = await runAudit(room, database, { types: ['customer', 'product'] });
    expect(saidOf(found).customer).toEqual([
      'extra cus_byhand',
      'extra cus_justnow',
      `missing ${gone}`,
      ...[altered, buried]
        .toSorted()
        .map((id) => `stale ${id}${id === altered ? ' (email, extra_key)' : ''}`),
    ]);
    expect(saidOf(found).product).toHaveLength(1);
    expect(found.types).toMatchObject([
      { missing: 1, stale: 2, extra: 2, healed: 0, unverified: 0 },
      { missing: 0, stale: 1, extra: 0 },
    ]);
    const note = found.types[0]?.examples.find(({ id }) => id === buried)?.note;
    expect(note).toMatch(/tombstone, and Stripe has the object/);

    await change(database, room, 'product', "update TABLE set data = '{}' where account = $1 and id = $2", [
      product,
    ]);
    const healed = await runAudit(room, database, { types: ['customer', 'product'], heal: true });
    expect(healed.totals).toMatchObject({ missing: 1, stale: 3, extra: 2, healed: 6 });
    expect(new Set(healed.types.flatMap((type) => type.examples.map(({ state }) => state)))).toEqual(
      new Set(['healed']),
    );
    const after = await runAudit(room, database, { types: ['customer', 'product'] });
    expect(saidOf(after)).toEqual({});
    const rows = await room.rows('customer');
    expect(rows.filter((row) => row.deleted).map(({ id }) => id)).toEqual(['cus_byhand', 'cus_justnow']);
    expect(rows.find(({ id }) => id === altered)?.data).toEqual(
      room.simulator.get('customer', altered)?.data,
    );
    expect(await readLastAudit(database.pool, room.account)).toMatchObject({
      number: 3,
      differences: { missing: 0, stale: 0, extra: 0, events: 0 },
    });
  });

  it('finds a deletion and an update whose events never came, and heals both', async () => {
    const room = await createActivityRoom(database);
    const [deleted = '', updated = ''] = room.simulator.createMany('customer', 5);
    const [coupon = ''] = room.simulator.createMany('coupon', 2);
    await mirror(room, ['customer', 'coupon']);
    room.simulator.remove('customer', deleted, { event: false });
    room.simulator.remove('coupon', coupon, { event: false });
    room.simulator.update('customer', updated, { description: 'in silence' }, { event: false });
    const types = ['customer', 'coupon'];
    expect(saidOf(await runAudit(room, database, { types, heal: true }))).toEqual({
      customer: [`extra ${deleted} healed`, `stale ${updated} (description) healed`],
      coupon: [`extra ${coupon} healed`],
    });
    expect((await room.rows('coupon')).map(({ id, deleted }) => deleted === (id === coupon))).toEqual([
      true,
      true,
    ]);
    expect((await room.rows('customer')).find(({ id }) => id === deleted)?.deleted).toBe(true);
    expect((await room.rows('customer')).find(({ id }) => id === updated)?.data.description).toBe(
      'in silence',
    );
    expect(saidOf(await runAudit(room, database, { types }))).toEqual({});
  });

  it('takes what lists leave out for no extra: inline prices, canceled subscriptions, cut lists', async () => {
    const room = await createActivityRoom(database);
    room.simulator.createMany('price', 3);
    const inline = room.simulator.create('price', { active: false }, { event: false, listed: false });
    const subscription = room.simulator.create('subscription', {}, { event: false });
    room.simulator.remove('subscription', String(subscription.id), { event: false });
    const invoice = room.simulator.create('invoice', {}, { event: false, items: 25 });
    const types = ['price', 'subscription', 'invoice'];
    await mirror(room, types);
    expect(saidOf(await runAudit(room, database, { types }))).toEqual({});
    expect(room.simulator.stats().requests.retrieve).toBeGreaterThanOrEqual(2);

    await change(database, room, 'price', ALTER, [String(inline.id), { nickname: 'by hand' }]);
    const found = await runAudit(room, database, { types });
    expect(saidOf(found)).toEqual({ price: [`stale ${inline.id} (nickname)`] });

    // The page shows the very same ten lines, which are not the invoice's.
    const cut = JSON.stringify(room.simulator.get('invoice', String(invoice.id))?.data);
    await change(
      database,
      room,
      'invoice',
      'update TABLE set data = $3::jsonb where account = $1 and id = $2',
      [String(invoice.id), cut],
    );
    const again = await runAudit(room, database, { types: ['invoice'] });
    expect(saidOf(again)).toEqual({ invoice: [`stale ${invoice.id} (lines)`] });
  });

  it('says of a row that is ahead of Stripe’s clock that it could not be healed, and why', async () => {
    const room = await createActivityRoom(database);
    const [ahead = '', open = ''] = room.simulator.createMany('customer', 3);
    await mirror(room, ['customer']);
    const future = room.now() + 86_400;
    const alter = `update TABLE set data = data || '{"name":"x"}', as_of_until = to_timestamp($3)`;
    await change(
      database,
      room,
      'customer',
      `${alter}, as_of = to_timestamp($3) where account = $1 and id = $2`,
      [ahead, future],
    );
    await change(database, room, 'customer', `${alter} where account = $1 and id = $2`, [open, future]);
    await change(database, room, 'customer', ADD, ['cus_ahead', { id: 'cus_ahead' }, future]);
    const result = await runAudit(room, database, { types: ['customer'], heal: true });
    expect(result.totals).toMatchObject({ stale: 2, extra: 1, healed: 0, unverified: 0 });
    const stale = result.types[0]?.examples.filter(({ kind }) => kind === 'stale') ?? [];
    expect(stale.map(({ id }) => id)).toEqual([ahead, open].toSorted());
    for (const { state, note } of result.types[0]?.examples ?? []) {
      expect(state).toBe('unhealed');
      expect(note).toMatch(/ahead of Stripe's clock.*by hand/);
    }
  });

  it('explains what changes while it runs, and what the rows have taken in meanwhile', async () => {
    const room = await createActivityRoom(database);
    const [late = '', deleted = '', created = ''] = room.simulator.createMany('customer', 6);
    await mirror(room, ['customer']);
    await change(database, room, 'customer', DELETE, [created]);
    room.simulator.update('customer', late, { name: 'later' }, { event: false });
    room.simulator.remove('customer', deleted, { event: false });
    let kept = 0;
    const result = await runAudit(room, database, {
      types: ['customer'],
      beforeVerify: async ({ number }) => {
        const { rowCount } = await database.pool.query(
          'select from stripe_sync.audit_differences where account = $1 and number = $2',
          [room.account, number],
        );
        kept = rowCount ?? 0;
        for (const objectId of [late, deleted, created]) {
          const key = { account: room.account, object: 'customer', objectId };
          await room.run('settleEntity', { ...key, ids: [], after: room.now() - 5, apiVersion: null });
        }
      },
    });
    expect(kept).toBe(3);
    expect(saidOf(result)).toEqual({});
  });

  it('reads no more than the bound one by one, counts the rest, and calls nothing of it clean', async () => {
    const room = await createActivityRoom(database);
    room.simulator.createMany('customer', 150);
    room.simulator.createMany('product', 3);
    const result = await runAudit(room, database, { types: ['customer', 'product'], bound: 20 });
    expect(result.types).toMatchObject([
      { object: 'customer', compared: 150, missing: 0, unverified: 150 },
      { object: 'product', compared: 3, missing: 3, unverified: 0 },
    ]);
    expect(result.types[0]?.examples).toHaveLength(20);
    expect(room.simulator.stats().requests.retrieve).toBe(3);
  });
});
