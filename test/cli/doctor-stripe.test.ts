import { readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { CheckReport } from '../../src/cli/doctor/check.js';
import { clockOffset } from '../../src/cli/doctor/clock-offset.js';
import type { KnownAccount } from '../../src/cli/doctor/known-account.js';
import { checkStripe } from '../../src/cli/doctor/stripe-checks.js';
import { createSimulator, type Simulator } from '../../src/sandbox/simulator/index.js';
import { objectNamed, syncedObjects } from '../../src/stripe/catalog.js';
import { backfillTypes, listingOf } from '../../src/stripe/listings.js';
import { named, names } from './reports.js';

let simulator: Simulator;

beforeAll(async () => {
  simulator = await createSimulator({ visibility: { kind: 'none' } });
  simulator.create('customer');
});
afterAll(() => simulator?.close());

const NOT_STARTED: KnownAccount = { told: true, row: null };

async function reportsFor(
  over: Readonly<Record<string, string | undefined>> = {},
  known: KnownAccount = NOT_STARTED,
): Promise<CheckReport[]> {
  const env = { STRIPE_API_BASE: simulator.url, STRIPE_API_KEY: simulator.apiKey, ...over };
  const reports = await checkStripe(
    { env, account: 'acme', machineNow: Date.now, progress: () => undefined },
    Promise.resolve(known),
  );
  for (const report of reports) {
    const text = JSON.stringify(report);
    for (const [name, value = ''] of Object.entries(env)) {
      if (name !== 'STRIPE_API_BASE' && value.length > 4) expect(text).not.toContain(value);
    }
    expect(report.group).toBe('Stripe');
    expect(report.remedy === undefined).toBe(report.result === 'ok');
  }
  return reports;
}

describe('a key that may read everything', () => {
  it('passes all, in this order, but for being a secret one', async () => {
    const reports = await reportsFor();
    expect(names(reports)).toEqual([
      'reachable',
      'key',
      'events',
      'account',
      'API version',
      'types',
      'clock',
      'webhook secret',
    ]);
    expect(named(reports, 'key')).toMatchObject({
      result: 'warn',
      found: expect.stringMatching(/^STRIPE_API_KEY: a secret key of test mode/),
      remedy: expect.stringContaining('rak_event_read'),
    });
    expect(reports.filter(({ result, check }) => result !== 'ok' && check !== 'key')).toEqual([]);
    expect(named(reports, 'reachable').found).toMatch(/^answered in \d+ ms$/);
  });

  it('has each list and each singleton asked once, for one object', async () => {
    const before = simulator.stats().requests;
    const reports = await reportsFor();
    const after = simulator.stats().requests;
    const asked = backfillTypes().filter((object) => ['list', 'singleton'].includes(listingOf(object).how));
    expect(asked.length).toBeGreaterThan(80);
    expect(named(reports, 'types').found).toMatch(new RegExp(` of ${asked.length} types may be read`));
    expect(after.events - before.events).toBe(1);
    const sum = ({ list, retrieve, other }: typeof after) => list + retrieve + other;
    // The account besides.
    expect(sum(after) - sum(before)).toBe(asked.length + 1);
  });
});

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
    expect(keyFinding('STRIPE_API_KEY', key)).toMatchObject({ result, found: `STRIPE_API_KEY: ${found}` });
  });
});

describe('Stripe itself', () => {
  it('that nobody reaches fails', async () => {
    const server = http.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const reports = await reportsFor({ STRIPE_API_BASE: `http://127.0.0.1:${port}` });
    expect(reports[0]).toMatchObject({
      check: 'reachable',
      result: 'fail',
      found: expect.stringContaining('ECONNREFUSED'),
      remedy: expect.stringContaining('STRIPE_API_BASE'),
    });
    expect(names(reports)).toEqual(['reachable', 'key', 'webhook secret']);
  });

  it('that accepts connections and never answers fails within its deadline', async () => {
    const server = http.createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const begun = performance.now();
      const reports = await reportsFor({
        STRIPE_API_BASE: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      });
      expect(performance.now() - begun).toBeLessThan(11_000);
      expect(named(reports, 'reachable')).toMatchObject({ result: 'fail' });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('whose base URL cannot be used fails without a request', async () => {
    const reports = await reportsFor({ STRIPE_API_BASE: 'http://example.com' });
    expect(reports[0]).toMatchObject({
      check: 'key',
      result: 'fail',
      found: expect.stringContaining('STRIPE_API_BASE'),
    });
  });

  it('that fails for one type is told, with the type, and the others are counted', async () => {
    simulator.setFaults({ rules: [{ kind: 'server_error', path: '/v1/coupons', probability: 1 }] });
    try {
      const types = named(await reportsFor(), 'types');
      expect(types).toMatchObject({
        result: 'warn',
        found: expect.stringMatching(/1 did not answer, such as coupon: Stripe has a problem/),
      });
    } finally {
      simulator.setFaults({});
    }
  });

  it('that has no such types for this account has them counted, and that is no warning', async () => {
    const refusals: Readonly<Record<string, [status: number, message: string]>> = {
      '/v1/climate/orders': [404, 'Unrecognized request URL (GET: /v1/climate/orders).'],
      '/v1/issuing/cards': [400, 'Your account is not set up to use Issuing.'],
      '/v1/tax/settings': [404, 'No such settings'],
    };
    const url = await serverThatAnswers((path) => {
      const [status, message] = refusals[path] ?? [200, ''];
      if (status === 200) return [200, { object: 'list', data: [], has_more: false }];
      return [status, { error: { type: 'invalid_request_error', message } }];
    });
    const reports = await reportsFor({ STRIPE_API_BASE: url });
    expect(named(reports, 'types')).toMatchObject({
      result: 'ok',
      found: expect.stringMatching(/ 3 are no part of this account/),
    });
    // A list has no id.
    expect(named(reports, 'account')).toMatchObject({
      result: 'warn',
      found: expect.stringMatching(/not tell/),
    });
  });

  it('in whose place a proxy answers fails', async () => {
    const url = await serverThatAnswers(() => [200, 'please log in']);
    const reports = await reportsFor({ STRIPE_API_BASE: url });
    expect(names(reports)).toEqual(['reachable', 'key', 'webhook secret']);
    expect(reports[0]).toMatchObject({ result: 'fail', remedy: expect.stringMatching(/proxy/) });
  });

  it('that limits the rate meanwhile is asked again', async () => {
    simulator.setFaults({ rules: [{ kind: 'rate_limit', path: '/v1/c', next: 3, reason: 'endpoint-rate' }] });
    try {
      expect(named(await reportsFor(), 'types').result).toBe('ok');
    } finally {
      simulator.setFaults({});
    }
  });
});

/** A server in Stripe's place, closed with the test. */
async function serverThatAnswers(answer: (path: string) => [status: number, body: unknown]): Promise<string> {
  const server = http.createServer((request, response) => {
    const [status, body] = answer((request.url ?? '').replace(/\?.*/, ''));
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('the account of the key', () => {
  const known = (
    keyAccount: string | null,
    apiVersion: string | null = null,
    stripeAccount: string | null = null,
  ): KnownAccount => ({
    told: true,
    row: { keyAccount, apiVersion, stripeAccount, keyAlias: null },
  });

  it.each([
    {
      title: 'is that of the tables',
      row: () => known(simulator.account),
      result: 'ok',
      found: /, the one that the tables hold$/,
    },
    {
      title: 'is another one than that of the tables',
      row: () => known('acct_1Another'),
      result: 'fail',
      found: /the tables of acme hold acct_1Another/,
    },
    { title: 'was never noted', row: () => known(null), result: 'ok', found: /never noted/ },
    { title: 'was never started', row: () => NOT_STARTED, result: 'ok', found: /acme was never started/ },
    {
      title: 'cannot be compared',
      row: (): KnownAccount => ({ told: false }),
      result: 'ok',
      found: /PostgreSQL does not tell/,
    },
  ])('$title', async ({ row, result, found }) => {
    const account = named(await reportsFor({}, row()), 'account');
    expect(account).toMatchObject({ result, found: expect.stringMatching(found) });
    expect(account.found).toContain(simulator.account);
  });

  it('may be that of a platform, and every request names the connected one', async () => {
    const connected = named(await reportsFor({}, known(null, null, simulator.account)), 'account');
    expect(connected).toMatchObject({
      result: 'ok',
      found: `${simulator.account}, a connected account, read with the key of its platform`,
    });
    const reports = await reportsFor({}, known(null, null, 'acct_1Another'));
    expect(names(reports)).toEqual(['reachable', 'key', 'webhook secret']);
    expect(named(reports, 'key')).toMatchObject({
      result: 'fail',
      found: expect.stringContaining('no access to the connected account'),
    });
  });

  it('has an API version that the stored one equals, or does not', async () => {
    const same = named(await reportsFor({}, known(null, simulator.apiVersion)), 'API version');
    expect(same).toMatchObject({ result: 'ok', found: expect.stringContaining(simulator.apiVersion) });
    const older = named(await reportsFor({}, known(null, '2024-06-20')), 'API version');
    expect(older).toMatchObject({
      result: 'warn',
      found: expect.stringMatching(/2024-06-20 is stored, so each change costs a read/),
      remedy: expect.stringContaining('stripe-sync start acme --fresh'),
    });
  });
});

describe('the clock', () => {
  it.each([
    [0, 'ok', /less than 5 s/],
    [3, 'ok', /less than 5 s/],
    [-90, 'warn', /^this machine is (89|90|91) s ahead of Stripe$/],
    [400, 'warn', /^this machine is (399|400|401) s behind Stripe$/],
  ])('of Stripe, %d s ahead, is told', async (skew, result, found) => {
    simulator.setSkew(skew);
    try {
      expect(named(await reportsFor(), 'clock')).toMatchObject({
        result,
        found: expect.stringMatching(found),
      });
    } finally {
      simulator.setSkew(0);
    }
  });

  it('goes by most answers: one from a machine whose clock is wrong does not count', () => {
    const told = (seconds: number) => ({ seconds, receivedMs: 1_000_000, tookMs: 100 });
    expect(clockOffset([told(1_000), told(5_000), told(999)], 1)).toBeCloseTo(0.55);
    expect(clockOffset([], 1)).toBeNull();
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
