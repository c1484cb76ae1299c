import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { reportAccount } from '../../src/cli/account-report.js';
import { statusText } from '../../src/cli/status-text.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

let sync: Sync | null = null;
afterEach(async () => {
  await sync?.close();
  sync = null;
});

async function begin(...args: Parameters<typeof createSync>): Promise<Sync> {
  sync = await createSync(...args);
  return sync;
}

async function emailOf({ database, account }: Sync, id: string): Promise<string | null> {
  const { rows } = await database.pool.query<{ email: string | null }>(
    'select email from stripe.customers where account = $1 and id = $2',
    [account, id],
  );
  return rows[0]?.email ?? null;
}

function customerId(state: { readonly id?: unknown }): string {
  return String(state.id);
}

describe('an account', () => {
  it('ends equal to Stripe after live traffic with bursts, late events and deletions', async () => {
    const it = await begin({ seed: 11 });
    it.simulator.createMany('customer', 250);
    it.simulator.createMany('product', 20);
    it.simulator.startTraffic({ changesPerSecond: 4 });
    await it.work();
    await it.start();
    const since = await it.opened();
    await sleep(20_000);
    it.simulator.stopTraffic();
    await it.rested(since);
    const comparison = await it.compared();
    expect(comparison.differences).toEqual([]);
    expect(comparison.equal).toBeGreaterThan(280);
    expect(it.simulator.events().length).toBeGreaterThan(50);
  });

  it('pauses and resumes on signals without a payload, and takes then what came in between', async () => {
    const it = await begin();
    await it.work();
    await it.start();
    await eventually(async () =>
      (await it.status()).backfill?.state === 'done' ? null : 'the backfill runs',
    );
    await it.handle().signal('pause');
    await eventually(async () => ((await it.status()).state === 'paused' ? null : 'not paused'));
    const created = it.simulator.create('customer', { email: 'while@paused.example' });
    await sleep(4_000);
    expect(await emailOf(it, customerId(created))).toBeNull();
    await it.handle().signal('resume');
    await eventually(async () =>
      (await emailOf(it, customerId(created))) === 'while@paused.example'
        ? null
        : 'the customer is not there',
    );
  });

  it('finds by its rescan what surfaces long after the lag, counts it, and widens the lag', async () => {
    const it = await begin({ visibility: { kind: 'none' } });
    await it.work();
    await it.start({ rescan: { everySeconds: 5, windowSeconds: 300 }, poll: { waitSeconds: 3 } });
    const late = it.simulator.create(
      'customer',
      { email: 'late@surfacing.example' },
      { visibleAfterSeconds: 14 },
    );
    for (let step = 0; step < 8; step += 1) {
      it.simulator.create('customer', { email: `steady${step}@flow.example` });
      await sleep(1_500);
    }
    await eventually(async () =>
      (await emailOf(it, customerId(late))) === 'late@surfacing.example'
        ? null
        : 'the late customer is missing',
    );
    await eventually(async () => ((await it.status()).leaks > 0 ? null : 'no leak is counted'));
    expect((await it.status()).lagSeconds).toBeGreaterThan(14);
  });

  it('goes on by time where its cursor aged out, says that there is a gap, and resyncs by itself', async () => {
    const it = await begin({ visibility: { kind: 'none' } });
    it.simulator.create('customer', { email: 'first@one.example' });
    await sleep(7_000);
    await it.work();
    await it.start();
    await eventually(async () =>
      (await it.status()).backfill?.state === 'done' ? null : 'the backfill runs',
    );
    await eventually(async () => ((await it.status()).cursor === null ? 'no cursor yet' : null));
    await it.handle().signal('pause');
    await eventually(async () => ((await it.status()).state === 'paused' ? null : 'not paused'));
    const lost = it.simulator.create('customer', { email: 'lost@gap.example' });
    it.simulator.advanceClock(40 * 86_400);
    await it.handle().signal('resume');
    await eventually(async () => ((await it.status()).gap === null ? 'no gap is told' : null));
    await eventually(async () => {
      const { backfill } = await it.status();
      return backfill !== null && backfill.number > 1 && backfill.state === 'done'
        ? null
        : 'no second backfill';
    });
    const { backfill, gap, stripeNow } = await it.status();
    expect(backfill?.reason).toContain('gap');
    expect(gap).toMatchObject({ backfill: backfill?.number, filled: true });
    // Since when nobody had read the list, when that was noticed, and what is gone.
    expect((gap?.noticedAt ?? 0) - (gap?.lastReadAt ?? 0)).toBeGreaterThan(39 * 86_400);
    expect(Math.abs((gap?.noticedAt ?? 0) - (stripeNow ?? 0))).toBeLessThan(60);
    expect((gap?.to ?? 0) - (gap?.from ?? 0)).toBeGreaterThan(9 * 86_400);
    const report = await reportAccount(it.client, it.database.pool, it.account);
    expect(statusText(report)).toMatch(
      /gap +events between .* and .* were not read \(noticed .*\): the list had last been read .*30 days only; backfill 2 has filled the tables again/,
    );
    expect(await emailOf(it, customerId(lost))).toBe('lost@gap.example');
    expect((await it.compared()).differences).toEqual([]);
  });

  it('stops on a signal, and a later start goes on from where it stopped', async () => {
    const it = await begin({ visibility: { kind: 'none' } });
    await it.work();
    await it.start();
    const before = it.simulator.create('customer', { email: 'before@stop.example' });
    await eventually(async () => ((await emailOf(it, customerId(before))) === null ? 'not there yet' : null));
    await it.handle().signal('stop');
    await it.handle().result();
    const between = it.simulator.create('customer', { email: 'between@runs.example' });
    await it.start({ backfill: { enabled: false } });
    await eventually(async () =>
      (await emailOf(it, customerId(between))) === 'between@runs.example'
        ? null
        : 'the event in between is missing',
    );
  });

  it('ends at once when it is cancelled in the Temporal UI, under traffic and in the middle of its backfill', async () => {
    const it = await begin({ seed: 5 });
    it.simulator.createMany('customer', 2_000);
    it.simulator.setFaults({ latency: { fixedMs: 100 } });
    it.simulator.startTraffic({ changesPerSecond: 10 });
    await it.work();
    await it.start();
    await eventually(async () => ((await it.status()).backfill?.types.length ? null : 'no backfill yet'));
    const number = (await it.status()).backfill?.number;
    await it.handle().cancel();
    await it.client.workflow.getHandle(`${it.account}/backfill/${number}`).cancel();
    await eventually(async () => {
      const states = [it.account, `${it.account}/backfill/${number}`].map(async (id) => {
        return (await it.client.workflow.getHandle(id).describe()).status.name;
      });
      const names = (await Promise.all(states)).join(', ');
      return names === 'CANCELLED, CANCELLED' ? null : names;
    });
  });

  it('goes on with all other entities while the reads of one kind fail', async () => {
    const it = await begin({ visibility: { kind: 'none' } });
    await it.work();
    await it.start({ backfill: { enabled: false }, maxInFlight: 8, slowAfterSeconds: 2 });
    await eventually(async () => ((await it.status()).caughtUp ? null : 'not caught up'));
    it.simulator.addFault({ kind: 'server_error', probability: 1, path: '/v1/coupons/' });
    const second = Math.floor(it.simulator.now());
    for (let made = 0; made < 20; made += 1) {
      const coupon = it.simulator.create('coupon', { name: `one ${made}` }, { created: second });
      it.simulator.update('coupon', String(coupon.id), { name: `two ${made}` }, { created: second });
    }
    await eventually(async () => ((await it.status()).inFlight >= 8 ? null : 'the coupons do not wait yet'));
    const created = it.simulator.create('customer', { email: 'others@go.example' });
    await eventually(async () => ((await emailOf(it, customerId(created))) === null ? 'held up' : null));
    it.simulator.setFaults({});
    await it.rested(second);
    expect((await it.compared()).differences).toEqual([]);
  });

  it('polls at once when it is woken, and is not kept from it by a flood of wakes', async () => {
    const it = await begin({ visibility: { kind: 'none' } });
    await it.work();
    await it.start({ backfill: { enabled: false }, poll: { everySeconds: 50 } });
    await eventually(async () => ((await it.status()).caughtUp ? null : 'not caught up'));
    const created = it.simulator.create('customer', { email: 'woken@early.example' });
    for (let wakes = 0; wakes < 40; wakes += 1) {
      await it.handle().signal('wake');
      await sleep(50);
    }
    await eventually(
      async () => ((await emailOf(it, customerId(created))) === null ? 'not polled' : null),
      10,
    );
  });

  it('stops when it is told to, also where its runs follow one another quickly', async () => {
    const it = await begin({ seed: 8 });
    it.simulator.startTraffic({ changesPerSecond: 8 });
    await it.work();
    await it.start({ backfill: { enabled: false }, childStartsPerRun: 3 });
    await sleep(6_000);
    await it.handle().signal('stop');
    await eventually(async () => {
      const { status } = await it.handle().describe();
      return status.name === 'COMPLETED' ? null : status.name;
    });
  });

  it('waits out a Stripe that fails, a revoked key and answers that are no JSON, and says so', async () => {
    const it = await begin({ visibility: { kind: 'none' } });
    await it.work();
    await it.start({ backfill: { enabled: false } });
    await eventually(async () => ((await it.status()).caughtUp ? null : 'not caught up'));
    it.simulator.revokeKey();
    await eventually(async () => ((await it.status()).trouble === null ? 'no trouble is told' : null), 90);
    expect((await it.status()).trouble).not.toContain(it.simulator.apiKey);
    it.simulator.restoreKey();
    it.simulator.setFaults({ rules: [{ kind: 'not_json', probability: 0.5 }] });
    const created = it.simulator.create('customer', { email: 'after@trouble.example' });
    await eventually(async () =>
      (await emailOf(it, customerId(created))) === 'after@trouble.example' ? null : 'the customer is missing',
    );
    it.simulator.setFaults({});
    await eventually(async () => ((await it.status()).trouble === null ? null : 'the trouble is still told'));
    expect((await it.status()).counters.failedPasses).toBeGreaterThan(2);
  });
});
