import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FailuresReport } from '../../src/cli/failures.js';
import { freePort } from '../../src/sandbox/ports.js';
import { eventually } from '../support/sync.js';
import { expectDone, expectFailure } from './cli-process.js';
import { createWorld, type World } from './world.js';

let world: World;
let withoutTemporal: { TEMPORAL_ADDRESS: string };

beforeAll(async () => {
  world = await createWorld();
  withoutTemporal = { TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}` };
});
afterAll(() => world?.close());

/** An account that was stopped a while ago. */
async function stoppedAccount(): Promise<string> {
  const alias = world.alias();
  await world.database.pool.query(
    `insert into stripe_sync.accounts (account, cursor_created, began_at) values ($1, now(), now())`,
    [alias],
  );
  return alias;
}

interface Entry {
  readonly id: string;
  readonly outcome?: string | null;
  readonly error?: string | null;
  readonly attempts?: number;
  /** Seconds ago. */
  readonly age?: number;
  readonly customer?: string;
  readonly name?: string;
}

/** Updates of customers in the ledger, parked unless they say otherwise. */
async function insert(account: string, entries: readonly Entry[]): Promise<void> {
  for (const { id, outcome = 'parked', error = 'PostgreSQL: refused', attempts = 5, ...rest } of entries) {
    const { age = 3600, customer = 'cus_1', name = 'from the event' } = rest;
    const object = { id: customer, object: 'customer', name };
    const event = { id, object: 'event', type: 'customer.updated', data: { object } };
    await world.database.pool.query(
      `insert into stripe_sync.events
         (account, id, type, created, object, object_id, api_version, event, source, seen_at, claimed_by, claimed_at,
          applied_at, attempts, error, outcome)
       values ($1, $2, 'customer.updated', date_trunc('second', now() - $3 * interval '1 second'), 'customer', $4, $9,
         $5, 'poll', now(), 'an earlier fetch', now(), case when $8::text is not null then now() end, $6, $7, $8)`,
      [
        account,
        id,
        age,
        customer,
        JSON.stringify(event),
        attempts,
        error,
        outcome,
        world.simulator.apiVersion,
      ],
    );
  }
}

async function hold(account: string, id: string, deleted: boolean): Promise<void> {
  await world.database.pool.query(
    `insert into stripe.customers (account, id, data, as_of, as_of_until, deleted, source)
     values ($1, $2, $3, now(), now(), $4, 'read:later')`,
    [account, id, JSON.stringify({ id, object: 'customer', name: 'as it is now' }), deleted],
  );
}

async function ledger(account: string) {
  const { rows } = await world.database.pool.query<{
    id: string;
    outcome: string | null;
    error: string | null;
    attempts: number;
    claimed: boolean;
  }>(
    `select id, outcome, error, attempts, claimed_by is not null as claimed
     from stripe_sync.events where account = $1 order by id`,
    [account],
  );
  return rows;
}

const parkedOnes = async (account: string) =>
  (await ledger(account)).filter(({ outcome }) => outcome === 'parked').map(({ id }) => id);

async function reportOf(account: string): Promise<FailuresReport> {
  const result = await world.run(['failures', account, '--json']);
  expectDone(result);
  return JSON.parse(result.stdout) as FailuresReport;
}

describe('failures', () => {
  it('says so where nothing is parked, and needs neither a worker nor Temporal', async () => {
    const alias = await stoppedAccount();
    await insert(alias, [
      { id: 'evt_applied', outcome: 'applied', error: null },
      { id: 'evt_ignored', outcome: 'ignored', error: 'the event carries no object' },
      { id: 'evt_new', outcome: null, error: null, attempts: 0 },
    ]);
    const result = await world.run(['failures', alias], withoutTemporal);
    expect(result).toMatchObject({ code: 0, stderr: '', stdout: `${alias}: no parked changes\n` });
    const none = { count: 0, reasons: [], changes: [] };
    expect(await reportOf(alias)).toEqual({ account: alias, parked: none, retrying: none });
  });

  it('fails where nobody knows the account, and so does retry', async () => {
    const alias = world.alias();
    expectFailure(await world.run(['failures', alias]), new RegExp(`There is no account ${alias}`));
    expectFailure(await world.run(['retry', alias]), new RegExp(`There is no account ${alias}`));
  });

  it('shows each parked change on a line of its own, newest first, and how often each error came', async () => {
    const alias = await stoppedAccount();
    await insert(alias, [
      {
        id: 'evt_b',
        age: 200,
        customer: 'cus_NffrFeUfNV2Hib',
        error: 'PostgreSQL: no room for cus_NffrFeUfNV2Hib',
      },
      { id: 'evt_c', age: 100, customer: 'cus_2', error: 'PostgreSQL: no\nroom\u001b[31m for "cus_2"' },
      {
        id: 'evt_a',
        age: 300,
        customer: 'cus_PgafF9KU2x1Ybc',
        error: 'PostgreSQL: no room for cus_PgafF9KU2x1Ybc',
      },
    ]);
    const result = await world.run(['failures', alias]);
    expectDone(result);
    const lines = result.stdout.trimEnd().split('\n');
    expect(lines[0]).toBe(`${alias}: 3 changes parked, they could not be applied`);
    expect(lines.slice(2, 4)).toEqual([
      '  2 ×  PostgreSQL: no room for …',
      '  1 ×  PostgreSQL: no room [31m for "cus_2"',
    ]);
    const header = lines.findIndex((line) => line.startsWith('  EVENT'));
    const rows = lines.slice(header + 1, header + 4);
    expect(rows.map((line) => line.trim().split(/ +/)[0])).toEqual(['evt_c', 'evt_b', 'evt_a']);
    for (const name of ['TYPE', 'OBJECT', 'ID', 'CREATED', 'ATTEMPTS', 'PARKED', 'ERROR']) {
      const column = (lines[header] ?? '').indexOf(`  ${name}`);
      for (const row of rows) expect(row.slice(column, column + 3), row).toMatch(/^ {2}\S/);
    }
    expect(rows[0]).toMatch(
      /customer\.updated +customer +cus_2 +20\d\d-.* UTC +5 +20\d\d-.* UTC +PostgreSQL: no room/,
    );
    expect(lines.at(-1)).toContain(`stripe-sync retry ${alias}`);
    expect(result.stdout).not.toMatch(/\p{Cc}(?<!\n)/u);
  });

  it('shows fifty at most, and all of them to programs', async () => {
    const alias = await stoppedAccount();
    await insert(
      alias,
      Array.from({ length: 63 }, (_, index) => ({ id: `evt_${index}`, age: 1_000 - index })),
    );
    const { stdout } = await world.run(['failures', alias]);
    expect(stdout.match(/^ {2}evt_/gm)).toHaveLength(50);
    expect(stdout).toMatch(/^ {2}63 × {2}PostgreSQL: refused$/m);
    expect(stdout).toMatch(/^ {2}and 13 more \(--json\)$/m);
    const { parked } = await reportOf(alias);
    expect(parked.changes.map(({ id }) => id)).toEqual(
      Array.from({ length: 63 }, (_, index) => `evt_${62 - index}`),
    );
    expect(parked.changes[0]).toEqual({
      id: 'evt_62',
      type: 'customer.updated',
      object: 'customer',
      objectId: 'cus_1',
      created: expect.any(Number),
      attempts: 5,
      parkedAt: expect.any(Number),
      error: 'PostgreSQL: refused',
    });
  });

  it('shows what has failed and is tried again apart from what was given up', async () => {
    const alias = await stoppedAccount();
    await insert(alias, [
      { id: 'evt_a', outcome: null, error: 'PostgreSQL: not yet', attempts: 2 },
      { id: 'evt_b', outcome: null, error: null, attempts: 0 },
    ]);
    const { stdout } = await world.run(['failures', alias]);
    expect(stdout).toMatch(/no parked changes\n\n1 change has failed and will be tried again/);
    expect(stdout).toMatch(/evt_a .* 2 +- +PostgreSQL: not yet/);
    expect(stdout).not.toContain('evt_b');
    const report = await reportOf(alias);
    expect(report.retrying).toMatchObject({
      count: 1,
      changes: [{ id: 'evt_a', parkedAt: null, attempts: 2 }],
    });
    expect(report.parked.count).toBe(0);
  });
});

describe('retry of an account that does not run', () => {
  it('takes all that are parked, and nothing else, for the next start', async () => {
    const alias = await stoppedAccount();
    await insert(alias, [
      { id: 'evt_a' },
      { id: 'evt_b' },
      { id: 'evt_c', outcome: 'stale', error: null, attempts: 1 },
      { id: 'evt_d', outcome: 'ignored', error: 'the event carries no object', attempts: 0 },
    ]);
    const result = await world.run(['retry', alias]);
    expectDone(result);
    expect(result.stdout).toBe(
      `${alias} takes 2 changes again with its next start: stripe-sync start ${alias}\n`,
    );
    expect(await ledger(alias)).toEqual([
      { id: 'evt_a', outcome: null, error: null, attempts: 0, claimed: false },
      { id: 'evt_b', outcome: null, error: null, attempts: 0, claimed: false },
      { id: 'evt_c', outcome: 'stale', error: null, attempts: 1, claimed: true },
      { id: 'evt_d', outcome: 'ignored', error: 'the event carries no object', attempts: 0, claimed: true },
    ]);
    expect((await world.run(['retry', alias])).stdout).toBe(`${alias}: no parked changes\n`);
  });

  it('takes only those that are named', async () => {
    const alias = await stoppedAccount();
    await insert(alias, [{ id: 'evt_a' }, { id: 'evt_b' }, { id: 'evt_c' }]);
    const result = await world.run(['retry', alias, 'evt_c', 'evt_a', 'evt_c']);
    expectDone(result);
    expect(result.stdout).toContain('takes 2 changes again');
    expect(await parkedOnes(alias)).toEqual(['evt_b']);
  });

  it('takes none where one that is named is unknown, of another account, or not parked, and says which', async () => {
    const alias = await stoppedAccount();
    const other = await stoppedAccount();
    await insert(other, [{ id: 'evt_other' }]);
    await insert(alias, [
      { id: 'evt_a' },
      { id: 'evt_b', outcome: 'applied', error: null },
      { id: 'evt_c', outcome: null, error: null },
    ]);
    const before = await ledger(alias);
    const result = await world.run(['retry', alias, 'evt_a', 'evt_b', 'evt_c', 'evt_nowhere', 'evt_other']);
    expectFailure(
      result,
      /Nothing was taken again: evt_b is not parked but applied, evt_c is pending already/,
    );
    expect(result.stderr).toContain('evt_nowhere is unknown, evt_other is unknown');
    expect(result.stderr).not.toContain('evt_a');
    expect(await ledger(alias)).toEqual(before);
    expect(await parkedOnes(other)).toEqual(['evt_other']);
  });

  it('does not wait for what nobody takes', async () => {
    const alias = await stoppedAccount();
    await insert(alias, [{ id: 'evt_a' }]);
    expectFailure(await world.run(['retry', alias, '--wait']), /does not run.*stripe-sync start/);
    expect(await parkedOnes(alias)).toEqual(['evt_a']);
  });
});

describe('retry of an account that runs', () => {
  let alias: string;
  beforeAll(async () => {
    await world.work();
    alias = world.alias();
    expectDone(await world.run(['start', alias, '--no-backfill', '--poll-interval', '5m']));
    await eventually(async () => {
      const { rowCount } = await world.database.pool.query(
        'select from stripe_sync.accounts where account = $1 and fetch_id is not null',
        [alias],
      );
      return rowCount === 1 ? null : 'it is not opened yet';
    });
  });

  it('wakes it, and tells what became of the changes: what has moved on since is stale, a tombstone too', async () => {
    await hold(alias, 'cus_moved', false);
    await hold(alias, 'cus_gone', true);
    await insert(alias, [
      { id: 'evt_plain', customer: 'cus_plain' },
      { id: 'evt_moved', customer: 'cus_moved' },
      { id: 'evt_gone', customer: 'cus_gone' },
    ]);
    const result = await world.run(['retry', alias, '--wait']);
    expectDone(result);
    // A look at the list every five minutes would have been far too late.
    expect(result.seconds).toBeLessThan(60);
    expect(result.stdout).toContain(`${alias} takes 3 changes again.`);
    expect(result.stdout).toContain('1 applied, 2 stale (a newer state was there already)');
    expect(await ledger(alias)).toMatchObject([
      { id: 'evt_gone', outcome: 'stale', error: null, attempts: 1 },
      { id: 'evt_moved', outcome: 'stale', error: null, attempts: 1 },
      { id: 'evt_plain', outcome: 'applied', error: null, attempts: 1 },
    ]);
    const { rows } = await world.database.pool.query<{ id: string; name: string; deleted: boolean }>(
      `select id, data->>'name' as name, deleted from stripe.customers where account = $1 order by id`,
      [alias],
    );
    expect(rows).toEqual([
      { id: 'cus_gone', name: 'as it is now', deleted: true },
      { id: 'cus_moved', name: 'as it is now', deleted: false },
      { id: 'cus_plain', name: 'from the event', deleted: false },
    ]);
  });

  it('fails where one is parked again, and names it with its error', async () => {
    await world.database.pool.query(
      `alter table stripe.customers add constraint no_poison check (data->>'name' <> 'poison')`,
    );
    await insert(alias, [
      { id: 'evt_poison', customer: 'cus_poison', name: 'poison' },
      { id: 'evt_well', customer: 'cus_well' },
    ]);
    const result = await world.run(['retry', alias, '--wait']);
    await world.database.pool.query('alter table stripe.customers drop constraint no_poison');
    expectFailure(result, /1 of 2 changes could not be applied again.*stripe-sync failures/);
    expect(result.stdout).toContain('1 applied, 1 parked again');
    expect(result.stdout).toMatch(/^ {2}evt_poison {2}.*no_poison/m);
    expect(await parkedOnes(alias)).toEqual(['evt_poison']);
    expect((await reportOf(alias)).parked.changes).toMatchObject([
      { id: 'evt_poison', error: expect.stringContaining('no_poison') },
    ]);
    expectDone(await world.run(['retry', alias, 'evt_poison', '--wait']));
    expect((await reportOf(alias)).parked.count).toBe(0);
  }, 120_000);

  it('says that a paused one has to go on first, and does not wait for it', async () => {
    expectDone(await world.run(['pause', alias]));
    await insert(alias, [{ id: 'evt_paused', customer: 'cus_paused' }]);
    expectFailure(await world.run(['retry', alias, '--wait']), /is paused.*stripe-sync resume/);
    expect(await parkedOnes(alias)).toEqual(['evt_paused']);
    const result = await world.run(['retry', alias]);
    expectDone(result);
    expect(result.stdout).toBe(
      `${alias} takes 1 change again once it goes on: stripe-sync resume ${alias}\n`,
    );
    expectDone(await world.run(['resume', alias]));
    await eventually(async () => {
      const entry = (await ledger(alias)).find(({ id }) => id === 'evt_paused');
      return entry?.outcome === 'applied' ? null : `it is ${entry?.outcome}`;
    });
  });
});
