import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clockOffset } from '../../src/cli/doctor/clock-offset.js';
import type { KnownAccount } from '../../src/cli/doctor/known-account.js';
import { createSimulator, type Simulator } from '../../src/sandbox/simulator/index.js';
import { backfillTypes, listingOf } from '../../src/stripe/listings.js';
import { answeringServer, json } from '../stripe/answering-server.js';
import { named, names } from './reports.js';
import { NOT_STARTED, stripeReports } from './stripe-reports.js';

let simulator: Simulator;

beforeAll(async () => {
  simulator = await createSimulator({ visibility: { kind: 'none' } });
  simulator.create('customer');
});
afterAll(() => simulator?.close());

const reportsFor = (over: Readonly<Record<string, string>> = {}, known?: KnownAccount) =>
  stripeReports(simulator, over, known);

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
  const { url } = await answeringServer((request, response) => {
    const [status, body] = answer((request.url ?? '').replace(/\?.*/, ''));
    json(response, status, JSON.stringify(body));
  });
  return url;
}

describe('the account of the key', () => {
  const known = (
    keyAccount: string | null,
    apiVersion: string | null = null,
    stripeAccount: string | null = null,
  ): KnownAccount => ({
    told: true,
    row: { keyAccount, apiVersion, stripeAccount, keyAlias: null, livemode: null },
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
