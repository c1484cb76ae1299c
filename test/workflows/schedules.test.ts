import { randomBytes } from 'node:crypto';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_SCHEDULES, type ScheduleName, scheduleId } from '../../src/temporal/schedule-plans.js';
import { ensureSchedules, removeSchedules } from '../../src/temporal/schedules.js';
import type { ResyncRequest } from '../../workflows/messages.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

const DAY = 86_400;
const TYPES = ['customer', 'shipping_rate', 'balance_transaction', 'product', 'product_feature', 'balance'];

let sync: Sync;
/** A customer whose edit has no event, although it should. */
let quiet: string;
beforeAll(async () => {
  sync = await createSync({ visibility: { kind: 'none' } });
  await sync.work();
});
afterAll(async () => {
  if (sync === undefined) return;
  await removeSchedules(sync.client, sync.account);
  await sync.close();
});

async function schedule(account: string, types: readonly string[] | null = TYPES): Promise<void> {
  await ensureSchedules(sync.client, {
    account,
    taskQueue: sync.taskQueue,
    types,
    settings: { ...DEFAULT_SCHEDULES, auditSeconds: 7 * DAY },
    searchAttributes: true,
  });
}

/** Lets a schedule come now, and returns what its workflow did. */
async function fire(account: string, name: ScheduleName): Promise<unknown> {
  const handle = sync.client.schedule.getHandle(scheduleId(account, name));
  const past = (await handle.describe()).info.recentActions.length;
  await handle.trigger('SKIP');
  let started: { workflowId: string; firstExecutionRunId: string } | undefined;
  await eventually(async () => {
    const { recentActions } = (await handle.describe()).info;
    started = recentActions[past]?.action.workflow;
    return started === undefined ? `${name} was not started` : null;
  });
  if (started === undefined) throw new Error('it was waited for');
  expect(started.workflowId).toMatch(new RegExp(`^${account}/${name}-`));
  return sync.client.workflow.getHandle(started.workflowId, started.firstExecutionRunId).result();
}

/** The resyncs that the account was signalled, oldest first. */
async function resyncs(): Promise<ResyncRequest[]> {
  const { events = [] } = await sync.handle().fetchHistory();
  return (events ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signal }) => {
    if (signal?.signalName !== 'resync') return [];
    const [payload] = signal.input?.payloads ?? [];
    return [defaultPayloadConverter.fromPayload(payload as Payload) as ResyncRequest];
  });
}

async function rowOf(table: string, id: string): Promise<Record<string, unknown> | null> {
  const { rows } = await sync.database.pool.query<{ data: Record<string, unknown> }>(
    `select data from stripe.${table} where account = $1 and id = $2 and not deleted`,
    [sync.account, id],
  );
  return rows[0]?.data ?? null;
}

describe('a refresh that a schedule starts', () => {
  let rate: string;

  beforeAll(async () => {
    rate = String(sync.simulator.create('shipping_rate', { display_name: 'Ground' }).id);
    quiet = String(sync.simulator.create('customer', { email: 'quiet@edit.example' }).id);
    sync.simulator.create('balance_transaction', { status: 'available' });
    sync.simulator.create('product');
    await sync.start({ backfill: { types: TYPES } });
    await sync.rested();
    await eventually(async () => {
      const { backfill } = await sync.status();
      return backfill?.state === 'done' ? null : `the backfill is ${backfill?.state}`;
    });
    await schedule(sync.account);
  });

  it('asks the account for what changes without an event, and for the newest part where that will do', async () => {
    const result = await fire(sync.account, 'refresh');
    const types = ['shipping_rate', 'balance_transaction', 'balance', 'product_feature'];
    expect(result).toEqual({ outcome: 'asked for', types: types.length, inPart: 2 });
    const [asked] = (await resyncs()).slice(-1);
    expect(asked?.types?.toSorted()).toEqual(types.toSorted());
    expect(asked?.reason).toBe('refresh');
    expect(Object.keys(asked?.sinceOf ?? {}).sort()).toEqual(['balance_transaction', 'product_feature']);
    const now = sync.simulator.now();
    for (const since of Object.values(asked?.sinceOf ?? {})) {
      expect(since).toBeLessThan(now - 60);
      expect(since).toBeGreaterThan(now - 900);
    }
  });

  it('brings edits that Stripe tells nobody of into the tables', async () => {
    sync.simulator.update('shipping_rate', rate, { display_name: 'Air' }, { event: false });
    const fresh = String(sync.simulator.create('balance_transaction', { amount: 4711 }, { event: false }).id);
    sync.simulator.update('customer', quiet, { email: 'never@told.example' }, { event: false });
    await fire(sync.account, 'refresh');
    await eventually(async () => {
      const name = (await rowOf('shipping_rates', rate))?.display_name;
      const amount = (await rowOf('balance_transactions', fresh))?.amount;
      return name === 'Air' && amount === 4711 ? null : `the rate is ${name}, the transaction ${amount}`;
    });
    // Its edits have events, so it is not listed: what nobody told is for an audit to find.
    expect((await rowOf('customers', quiet))?.email).toBe('quiet@edit.example');
  });

  it('ends with a word where the account does not run', async () => {
    const account = `stopped-${randomBytes(4).toString('hex')}`;
    await schedule(account, null);
    try {
      expect(await fire(account, 'refresh')).toMatchObject({
        outcome: 'the account does not run',
        inPart: 0,
      });
    } finally {
      await removeSchedules(sync.client, account);
    }
  });

  it('has nothing to ask for where events tell everything', async () => {
    const account = `told-${randomBytes(4).toString('hex')}`;
    await schedule(account, ['customer']);
    try {
      expect(await fire(account, 'refresh')).toEqual({ outcome: 'nothing to list', types: 0, inPart: 0 });
    } finally {
      await removeSchedules(sync.client, account);
    }
  });
});

describe('an audit that a schedule starts', () => {
  it('finds the edit that nobody told, and leaves it as it is unless it is to heal', async () => {
    await eventually(async () =>
      (await sync.status()).backfill?.state === 'done' ? null : 'a listing runs',
    );
    await fire(sync.account, 'audit');
    const { rows } = await sync.database.pool.query<{ state: string; heal: boolean; result: unknown }>(
      'select state, heal, result from stripe_sync.audits where account = $1',
      [sync.account],
    );
    expect(rows).toMatchObject([{ state: 'done', heal: false }]);
    expect(JSON.stringify(rows[0]?.result)).toContain(quiet);
    expect((await rowOf('customers', quiet))?.email).toBe('quiet@edit.example');
  });
});

describe('a pruning that a schedule starts', () => {
  it('deletes what is past its age, and leaves the rest', async () => {
    const { account } = sync;
    const { pool } = sync.database;
    await pool.query(
      `insert into stripe_sync.events
         (account, id, type, created, object, object_id, event, source, seen_at, outcome, applied_at)
       select $1, 'evt_old_' || n, 'customer.updated', at, 'customer', 'cus_old', '{}', 'poll', at, 'applied', at
       from generate_series(1, 7) n, lateral (select now() - interval '40 days' as at) t`,
      [account],
    );
    const before = await pool.query('select id from stripe_sync.events where account = $1', [account]);
    expect(await fire(account, 'prune')).toMatchObject({ events: 7 });
    const after = await pool.query('select id from stripe_sync.events where account = $1', [account]);
    expect(after.rows.length).toBe(before.rows.length - 7);
    expect(after.rows.length).toBeGreaterThan(0);
  });
});
