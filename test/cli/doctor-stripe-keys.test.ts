import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSimulator, type Simulator } from '../../src/sandbox/simulator/index.js';
import { objectNamed, syncedObjects } from '../../src/stripe/catalog.js';
import { backfillTypes } from '../../src/stripe/listings.js';
import { named, names } from './reports.js';
import { stripeReports } from './stripe-reports.js';

let simulator: Simulator;

beforeAll(async () => {
  simulator = await createSimulator({ visibility: { kind: 'none' } });
  simulator.create('customer');
});
afterAll(() => simulator?.close());

const reportsFor = (over: Readonly<Record<string, string | undefined>>) => stripeReports(simulator, over);

describe('a restricted key', () => {
  const permissionsOf = (leaving: readonly string[]) =>
    [
      ...new Set([...backfillTypes(), 'event'].flatMap((object) => objectNamed(object)?.rakPermission ?? [])),
    ].filter((permission) => !leaving.includes(permission));

  it('with all permissions passes', async () => {
    const reports = await reportsFor({
      STRIPE_API_KEY_ACME: simulator.createRestrictedKey(permissionsOf([])),
    });
    expect(reports.filter(({ result }) => result !== 'ok')).toEqual([]);
    expect(named(reports, 'key').found).toBe('STRIPE_API_KEY_ACME: a restricted key of test mode');
  });

  it('that lacks permissions is told each of them by name, with its types, as a warning', async () => {
    const key = simulator.createRestrictedKey(permissionsOf(['rak_charge_read', 'rak_plan_read']));
    const reports = await reportsFor({ STRIPE_API_KEY: key });
    expect(
      reports
        .filter(({ result }) => result !== 'ok')
        .map(({ check, result, found }) => [check, result, found]),
    ).toEqual([
      ['types', 'warn', expect.stringMatching(/^\d+ of \d+ types may be read, 4 want a permission/)],
      ['rak_charge_read', 'warn', 'missing for charge, refund'],
      ['rak_plan_read', 'warn', 'missing for plan, price'],
    ]);
    expect(named(reports, 'rak_plan_read').remedy).toContain('Read');
  });

  it('that may not read events fails, and everything else is told all the same', async () => {
    const key = simulator.createRestrictedKey(permissionsOf(['rak_event_read']));
    const reports = await reportsFor({ STRIPE_API_KEY: key });
    expect(reports.filter(({ result }) => result !== 'ok')).toEqual([
      {
        group: 'Stripe',
        check: 'events',
        result: 'fail',
        found: expect.stringContaining('rak_event_read'),
        remedy: expect.stringContaining('Set rak_event_read to Read'),
      },
    ]);
    expect(named(reports, 'API version').found).toContain('no event tells');
  });
});

it('every permission that the catalog names is in the documentation, with its types', () => {
  const text = readFileSync(new URL('../../docs/doctor.md', import.meta.url), 'utf8');
  const types = new Map<string, string[]>();
  for (const { object, rakPermission } of [...syncedObjects(), objectNamed('event')].flatMap(
    (entry) => entry ?? [],
  )) {
    if (rakPermission !== undefined) types.set(rakPermission, [...(types.get(rakPermission) ?? []), object]);
  }
  const rows = [...types]
    .sort()
    .map(([permission, objects]) => `| \`${permission}\` | ${objects.join(', ')} |`);
  expect(text.split('\n').filter((line) => line.startsWith('| `rak_') && !line.includes('…'))).toEqual(rows);
});

describe('the key', () => {
  it.each([
    {
      title: 'is missing',
      key: undefined,
      result: 'warn',
      found: /no key.*the worker's/,
      remedy: /set STRIPE_API_KEY_ACME or STRIPE_API_KEY/,
    },
    {
      title: 'is publishable',
      key: 'pk_test_hunter2hunter2',
      result: 'fail',
      found: /publishable/,
      remedy: /restricted key/,
    },
    {
      title: 'is none',
      key: 'hunter2hunter2',
      result: 'fail',
      found: /not a Stripe API key/,
      remedy: /rk_ or sk_/,
    },
  ])('$title: that alone is told, and Stripe is not asked', async ({ key, result, found, remedy }) => {
    const before = simulator.stats().requests;
    const reports = await reportsFor({ STRIPE_API_KEY: key });
    expect(names(reports)).toEqual(['key', 'webhook secret']);
    expect(reports[0]).toMatchObject({
      result,
      found: expect.stringMatching(found),
      remedy: expect.stringMatching(remedy),
    });
    expect(simulator.stats().requests).toEqual(before);
  });

  it('is not accepted: Stripe is reachable, and the key fails', async () => {
    const reports = await reportsFor({ STRIPE_API_KEY: 'sk_live_hunter2hunter2' });
    expect(names(reports)).toEqual(['reachable', 'key', 'webhook secret']);
    expect(reports[0]?.result).toBe('ok');
    expect(reports[1]).toMatchObject({ result: 'fail', found: expect.stringContaining('does not accept') });
  });

  it.each([
    ['rk_live_A1b2', 'ok', 'a restricted key of live mode'],
    ['rk_test_A1b2', 'ok', 'a restricted key of test mode'],
    ['sk_live_A1b2', 'warn', 'a secret key of live mode, which may do everything'],
    ['sk_A1b2C3d4', 'warn', 'a secret key of unknown mode, which may do everything'],
  ])('%s is told by its prefix', async (key, result, found) => {
    const { keyFinding } = await import('../../src/cli/doctor/stripe-environment.js');
    for (const known of [{ told: false }, { told: true, row: null }] as const) {
      expect(keyFinding('STRIPE_API_KEY', key, 'acme', known)).toMatchObject({
        result,
        found: `STRIPE_API_KEY: ${found}`,
      });
    }
  });

  it('of the other mode than what the tables hold fails, and is asked with all the same', async () => {
    const row = { keyAccount: null, stripeAccount: null, keyAlias: null, apiVersion: null };
    const reports = async (livemode: boolean | null) =>
      named(await stripeReports(simulator, {}, { told: true, row: { ...row, livemode } }), 'key');
    expect(await reports(true)).toMatchObject({
      result: 'fail',
      found: expect.stringMatching(/is of test mode, and the tables of \w+ hold what live mode has/),
      remedy: expect.stringMatching(/a key of live mode, or start test mode under another alias/),
    });
    for (const livemode of [false, null]) expect((await reports(livemode)).result).not.toBe('fail');
  });
});

describe('the webhook secret', () => {
  it.each([
    {
      set: {},
      result: 'ok',
      found: /^none in this environment \(STRIPE_WEBHOOK_SECRET_ACME, STRIPE_WEBHOOK_SECRET\)/,
    },
    {
      set: { STRIPE_WEBHOOK_SECRET: 'whsec_A1b2C3d4, whsec_E5f6' },
      result: 'ok',
      found: /^STRIPE_WEBHOOK_SECRET is set$/,
    },
    {
      set: { STRIPE_WEBHOOK_SECRET: 'whsec_A1b2C3d4', STRIPE_WEBHOOK_SECRET_ACME: 'hunter2hunter2' },
      result: 'warn',
      found: /^STRIPE_WEBHOOK_SECRET_ACME is set, and is no/,
    },
    { set: { STRIPE_WEBHOOK_SECRET: ' ' }, result: 'ok', found: /^none/ },
    {
      set: { STRIPE_WEBHOOK_SECRET: ' whsec_A1b2C3d4,, whsec_E5f6,\n' },
      result: 'ok',
      found: /^STRIPE_WEBHOOK_SECRET is set$/,
    },
    {
      set: { STRIPE_WEBHOOK_SECRET: ',' },
      result: 'warn',
      found: /^STRIPE_WEBHOOK_SECRET is set, and is no/,
    },
  ])('as in $set', async ({ set, result, found }) => {
    const report = named(await reportsFor({ STRIPE_API_KEY: undefined, ...set }), 'webhook secret');
    expect(report).toMatchObject({ result, found: expect.stringMatching(found) });
  });
});
