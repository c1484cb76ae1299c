import { afterAll, beforeAll, expect, it } from 'vitest';
import { entityWorkflowId } from '../../src/domain/ids.js';
import { createSync, type Sync } from '../support/sync.js';

let sync: Sync;
beforeAll(async () => {
  sync = await createSync({ visibility: { kind: 'none' } });
});
afterAll(() => sync.close());

const IDS = [
  `o'brien "100%" a/b/../c`,
  'ünïcödé 😀',
  '__proto__',
  'x'.repeat(255),
  '日'.repeat(255),
  '😀'.repeat(255),
  `long ${'y'.repeat(2_000)}`,
];

it('takes changes of objects whose ids are long, or hold slashes, quotes, spaces and any letters', async () => {
  await sync.work();
  await sync.start();
  const since = await sync.opened();
  for (const id of IDS) sync.simulator.create('coupon', { id });
  await sync.rested(since);
  const { rows } = await sync.database.pool.query<{ id: string }>(
    'select id from stripe.coupons where account = $1',
    [sync.account],
  );
  expect(IDS.filter((id) => !rows.some((row) => row.id === id))).toEqual([]);
  for (const id of IDS)
    expect(
      (await sync.client.workflow.getHandle(entityWorkflowId(sync.account, 'coupon', id)).describe()).status
        .name,
    ).toBe('COMPLETED');
});
