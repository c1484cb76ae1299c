import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AccountReport } from '../../src/cli/account-report.js';
import type { AuditReport } from '../../src/cli/audit.js';
import { writeAccount } from '../../src/postgres/account-row.js';
import { tableOf } from '../../src/stripe/catalog.js';
import { expectFailure } from './cli-process.js';
import { createWorld, type World } from './world.js';

let world: World;
let alias: string;
let customers: string[];

beforeAll(async () => {
  world = await createWorld();
  customers = world.simulator.createMany('customer', 130);
  world.simulator.createMany('product', 5);
  // An account that was stopped: its copy and its rows are there, and no workflow.
  alias = world.alias();
  const now = Math.floor(world.simulator.now());
  await writeAccount(world.database.pool, alias, { cursor: null, anchor: now - 60, apiVersion: null });
  await world.database.pool.query('update stripe_sync.accounts set lag_seconds = 1 where account = $1', [
    alias,
  ]);
  for (const object of ['customer', 'product']) {
    for (const [id, { data }] of world.simulator.truth().get(object) ?? []) {
      await world.database.pool.query(
        `insert into stripe.${tableOf(object)} (account, id, data, as_of, as_of_until, source)
         values ($1, $2, $3, to_timestamp($4), to_timestamp($4), 'backfill:1')`,
        [alias, id, JSON.stringify(data), now - 60],
      );
    }
  }
});
afterAll(() => world?.close());

const types = ['--types', 'customers,product'];

async function auditOf(...args: string[]) {
  const result = await world.run(['audit', alias, ...types, ...args, '--json']);
  return { ...result, report: JSON.parse(result.stdout) as AuditReport };
}

describe('an audit', () => {
  it('needs a worker, and says so', async () => {
    expectFailure(await world.run(['audit', alias]), /No worker polls.*stripe-sync worker/);
    expectFailure(await world.run(['audit', 'nobody']), /no account nobody.*stripe-sync start/);
  });

  it('of a type that nothing lists, or of no type, is wrong usage', async () => {
    const line = await world.run(['audit', alias, '--types', 'line_item']);
    expect(line.stderr).toMatch(/line_item has no list of its own: compare the invoice/);
    expect(line.code).toBe(2);
    expect((await world.run(['audit', alias, '--types', 'custmer'])).stderr).toMatch(/did you mean/);
    expect((await world.run(['audit', alias, '--since', '60d'])).stderr).toMatch(/from 1m to 30d/);
  });

  describe('of a stopped account, with a worker', () => {
    beforeAll(async () => {
      await world.work();
    });

    it('finds nothing where all is equal', async () => {
      const result = await world.run(['audit', alias, ...types]);
      expect(result).toMatchObject({ code: 0, stderr: '' });
      expect(result.stdout).toMatch(new RegExp(`^${alias}: audit 1, events from 20.* UTC to 20.* UTC$`, 'm'));
      expect(result.stdout).toMatch(/equal +2 of 2 types, 135 objects compared/);
      expect(result.stdout).toMatch(/Everything that was compared is equal/);
    });

    it('names what differs, heals it, and stands in the status', async () => {
      const [gone = '', altered = '', ended = ''] = customers;
      const { pool } = world.database;
      await pool.query('delete from stripe.customers where account = $1 and id = $2', [alias, gone]);
      await pool.query(
        `update stripe.customers set data = data || '{"email":"secret@value.example"}' where account = $1 and id = $2`,
        [alias, altered],
      );
      world.simulator.remove('customer', ended, { event: false });

      const text = await world.run(['audit', alias, ...types]);
      expect(text.stdout).toMatch(/customer +129 objects: 1 missing, 1 stale, 1 extra/);
      expect(text.stdout).toMatch(new RegExp(`missing +${gone}$`, 'm'));
      expect(text.stdout).toMatch(new RegExp(`stale +${altered} \\(email\\)$`, 'm'));
      expect(text.stdout).toMatch(new RegExp(`extra +${ended}$`, 'm'));
      expect(text.stdout).toMatch(/equal +1 of 2 types/);
      expect(text.stdout).not.toContain('secret@value.example');
      expectFailure(text, /3 differences remain.*audit .* --heal/);

      const { report, code, stdout } = await auditOf();
      expect(code).toBe(1);
      expect(report).toMatchObject({
        account: alias,
        number: 3,
        heal: false,
        remaining: 3,
        clean: false,
        totals: { missing: 1, stale: 1, extra: 1, events: 0, healed: 0, unverified: 0, notCompared: 0 },
      });
      expect(stdout).not.toContain('secret@value.example');

      const healed = await auditOf('--heal');
      expect(healed.report).toMatchObject({ heal: true, remaining: 0, clean: true, totals: { healed: 3 } });
      expect(healed.code).toBe(0);
      const after = await auditOf();
      expect(after.report).toMatchObject({ remaining: 0, clean: true, totals: { stale: 0, healed: 0 } });
      expect(after.code).toBe(0);

      const status = await world.run(['status', alias, '--json']);
      expect((JSON.parse(status.stdout) as AccountReport).audit).toMatchObject({
        number: 5,
        at: expect.any(Number),
        since: report.since,
        differences: { missing: 0, stale: 0, extra: 0, events: 0 },
        healed: 0,
      });
      expect((await world.run(['status', alias])).stdout).toMatch(/^ {2}audit +5 of 20.* UTC: equal$/m);
    }, 180_000);

    it('puts missing events into the ledger, and says who takes them', async () => {
      const tax = world.simulator.create('tax_rate');
      const found = await auditOf('--since', '1m');
      expect(found.report.events).toMatchObject({ listed: 1, missing: 1, healed: 0 });
      expect(found.code).toBe(1);
      const healing = await world.run(['audit', alias, ...types, '--heal']);
      expect(healing.stdout).toMatch(/events +1 event: 1 missing in the ledger/);
      expect(healing.stdout).toMatch(new RegExp(`1 event .*next start: stripe-sync start ${alias}`));
      expect(healing.code).toBe(0);
      const { rows } = await world.database.pool.query(
        'select object_id, outcome, claimed_by from stripe_sync.events where account = $1',
        [alias],
      );
      expect(rows).toEqual([{ object_id: tax.id, outcome: null, claimed_by: null }]);
    });

    it('shows how far it is, and goes on by itself after Ctrl-C', async () => {
      world.simulator.setFaults({
        rules: [{ kind: 'server_error', probability: 1, path: '/v1/products' }],
      });
      const progress = world.start(['audit', alias, ...types]);
      await progress.says(/Comparing: 1 of 2 types, 129 objects, .*: product/, 60);
      await progress.end('SIGINT').then((result) => {
        expect(result.stderr).toMatch(/The audit goes on.*stripe-sync status/);
        expect(result.code).toBe(0);
      });
      world.simulator.setFaults({});
    });
  });
});
