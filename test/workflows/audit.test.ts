import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { afterEach, describe, expect, it } from 'vitest';
import type { AuditSummary } from '../../activities/finish-audit.js';
import type { AuditResult } from '../../src/domain/audit-result.js';
import { readAudit } from '../../src/postgres/read-audits.js';
import { tableOf } from '../../src/stripe/catalog.js';
import type { AuditInput } from '../../workflows/audit.js';
import { readable } from '../support/histories.js';
import { createSync, eventually, type Sync } from '../support/sync.js';
import { createWorkerProcesses } from '../support/worker-processes.js';

let sync: Sync | null = null;
const workers = createWorkerProcesses();
afterEach(async () => {
  await workers.killAll();
  await sync?.close();
  sync = null;
});

let audits = 0;

async function start(of: Sync, input: Omit<AuditInput, 'account'>): Promise<WorkflowHandle> {
  audits += 1;
  return of.client.workflow.start('audit', {
    workflowId: `${of.account}/audit/${audits}`,
    taskQueue: of.taskQueue,
    args: [{ account: of.account, ...input } satisfies AuditInput],
  });
}

async function resultOf(of: Sync, handle: WorkflowHandle): Promise<AuditResult> {
  const { number } = (await handle.result()) as AuditSummary;
  const audit = await readAudit(of.database.pool, of.account, number);
  if (audit?.result == null) throw new Error('the audit left no result');
  return audit.result;
}

const differencesOf = (result: AuditResult) => [
  ...result.types.flatMap(({ object, examples }) =>
    examples.map(({ kind, id, keys, state }) => `${object} ${kind} ${id} ${keys.join()} ${state}`),
  ),
  ...result.events.examples.map(({ kind, id, note }) => `event ${kind} ${id} ${note}`),
];

async function mirror({ simulator, database, account }: Sync, object: string): Promise<void> {
  const at = Math.floor(simulator.now()) - 60;
  const rows = [...(simulator.truth().get(object) ?? [])].map(([id, { data }]) => ({ id, data }));
  await database.pool.query(
    `insert into stripe.${tableOf(object)} (account, id, data, as_of, as_of_until, source)
     select $1, e->>'id', e->'data', to_timestamp($3), to_timestamp($3), 'backfill:1'
     from jsonb_array_elements($2::jsonb) as e`,
    [account, JSON.stringify(rows), at],
  );
}

/** Whose every change is told by an event, and that live traffic makes. */
const ANNOUNCED = [
  'customer',
  'subscription',
  'invoice',
  'product',
  'price',
  'coupon',
  'promotion_code',
  'refund',
];

describe('the audit of an account that is being changed', () => {
  it('finds no difference that live traffic explains', async () => {
    sync = await createSync({ seed: 77 });
    const { simulator } = sync;
    await sync.work();
    await sync.start({ backfill: { enabled: false } });
    await eventually(async () => ((await sync?.status())?.anchor === 0 ? 'the account opens' : null));
    await sleep(1_000);
    simulator.startTraffic({ changesPerSecond: 8 });
    await sleep(10_000);
    for (let round = 0; round < 2; round += 1) {
      const made = simulator.stats().changes;
      const result = await resultOf(sync, await start(sync, { types: ANNOUNCED }));
      expect(simulator.stats().changes - made).toBeGreaterThan(20);
      expect(differencesOf(result)).toEqual([]);
      expect(result.totals.compared).toBeGreaterThan(15);
      expect(result.events.listed).toBeGreaterThan(50);
      expect(result.totals).toMatchObject({ unverified: 0, notCompared: 0 });
    }
    simulator.stopTraffic();
  }, 240_000);
});

describe('an audit', () => {
  it('goes on after its worker was killed in the middle, and names exactly what differs', async () => {
    sync = await createSync({ seed: 5 });
    const { simulator, database, account } = sync;
    const ids = simulator.createMany('customer', 1_500);
    await mirror(sync, 'customer');
    const lost = [ids[3], ids[700], ids[1_400]].toSorted();
    await database.pool.query('delete from stripe.customers where account = $1 and id = any($2)', [
      account,
      lost,
    ]);
    simulator.setFaults({ latency: { fixedMs: 250 } });
    const worker = await workers.start(sync);
    const handle = await start(sync, { types: ['customer'], lagSeconds: 1 });
    const pages = () => simulator.stats().requests.list;
    await eventually(async () => (pages() >= 5 ? null : 'the listing begins'));
    await worker.end('SIGKILL');
    await workers.start(sync);
    const result = await resultOf(sync, handle);
    expect(differencesOf(result)).toEqual(lost.map((id) => `customer missing ${id}  differs`));
    expect(result.types).toMatchObject([{ compared: 1_500, missing: 3, extraChecked: true }]);
    // 15 pages, and what the killed attempt had listed since its last heartbeat.
    expect(pages()).toBeLessThan(28);
    const { rows } = await database.pool.query(
      'select from stripe_sync.audit_differences where account = $1',
      [account],
    );
    expect(rows).toEqual([]);
  }, 120_000);

  it('names a type whose list fails for ever, and compares the others', async () => {
    sync = await createSync({ seed: 6 });
    const { simulator } = sync;
    simulator.createMany('customer', 3);
    await mirror(sync, 'customer');
    await sync.work();
    simulator.setFaults({ rules: [{ kind: 'server_error', probability: 1, path: '/v1/products' }] });
    const handle = await start(sync, { types: ['product', 'customer'], attempts: 2, lagSeconds: 1 });
    const result = await resultOf(sync, handle);
    expect(result.types).toMatchObject([
      { object: 'product', compared: 0, matters: true, notCompared: expect.stringMatching(/500/) },
      { object: 'customer', compared: 3, matters: false, notCompared: null },
    ]);
    expect(result.totals).toMatchObject({ notCompared: 1, missing: 0 });
  }, 60_000);

  it('says why it failed, where it cannot even begin', async () => {
    sync = await createSync({ seed: 7 });
    await sync.work();
    sync.simulator.revokeKey();
    const handle = await start(sync, { types: ['customer'] });
    await expect(handle.result()).rejects.toMatchObject({
      cause: { cause: { message: expect.stringMatching(/does not accept the API key/) } },
    });
  }, 60_000);

  it('ends when it is cancelled, and leaves nothing behind but that', async () => {
    sync = await createSync({ seed: 8 });
    const { simulator, database, account } = sync;
    simulator.createMany('customer', 500);
    simulator.setFaults({ latency: { fixedMs: 500 } });
    await sync.work();
    const handle = await start(sync, { types: ['customer'], lagSeconds: 1 });
    await eventually(async () => (simulator.stats().requests.list >= 2 ? null : 'the listing begins'));
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    const { rows } = await database.pool.query(
      `select state, result, (select count(*)::int from stripe_sync.audit_pages p where p.account = a.account) as pages
       from stripe_sync.audits a where account = $1`,
      [account],
    );
    expect(rows).toEqual([{ state: 'cancelled', result: null, pages: 0 }]);
  }, 60_000);

  it('tells Temporal nothing of what is in an object', async () => {
    sync = await createSync({ seed: 9 });
    const { simulator, database, account } = sync;
    const [id = ''] = simulator.createMany('customer', 3, { fields: { email: 'secret@stripe.example' } });
    await mirror(sync, 'customer');
    await database.pool.query(
      `update stripe.customers set data = data || '{"email":"secret@row.example"}' where account = $1 and id = $2`,
      [account, id],
    );
    await sync.work();
    const handle = await start(sync, { types: ['customer'], lagSeconds: 1, heal: true });
    const result = await resultOf(sync, handle);
    expect(differencesOf(result)).toEqual([`customer stale ${id} email healed`]);
    const history = readable(await handle.fetchHistory());
    expect(history).toContain('"compared":3');
    expect(history + JSON.stringify(result)).not.toContain('secret@');
  }, 60_000);
});
