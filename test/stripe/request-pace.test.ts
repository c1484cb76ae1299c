import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createStripeClients } from '../../src/cli/stripe-clients.js';
import { StripeFailure } from '../../src/domain/failures.js';
import { createSimulator, type SimulatorOptions } from '../../src/sandbox/simulator/index.js';
import { createStripeClient, type FinishedRequest, type StripeClient } from '../../src/stripe/client.js';
import { pacedClient } from '../../src/stripe/paced-client.js';
import { createRequestPace, type RequestPace } from '../../src/stripe/request-pace.js';
import { paceSettings } from '../../src/stripe/request-rates.js';
import { answeringServer, json, KEY, until } from './answering-server.js';

async function failureOf(request: Promise<unknown>): Promise<StripeFailure> {
  const outcome = await request.then(
    () => 'an answer',
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(StripeFailure);
  return outcome as StripeFailure;
}

interface Paced {
  readonly client: StripeClient;
  readonly pace: RequestPace;
  readonly seen: FinishedRequest[];
}

function pacedFor(
  { url, apiKey = KEY }: { readonly url: string; readonly apiKey?: string },
  rates: { perSecond?: number; perSecondTotal?: number; deadlineMs?: number } = {},
): Paced {
  const { deadlineMs, ...perSecond } = rates;
  const seen: FinishedRequest[] = [];
  const direct = createStripeClient({
    apiKey,
    baseUrl: url,
    deadlineMs,
    onRequest: (request) => seen.push(request),
  });
  const pace = createRequestPace(paceSettings({ apiKey, baseUrl: url, ...perSecond }));
  const client = pacedClient(direct, pace);
  onTestFinished(() => {
    client.close();
    pace.close();
  });
  return { client, pace, seen };
}

const limited = (reason: string, retryAfterSeconds?: number) => ({
  'Stripe-Rate-Limited-Reason': reason,
  ...(retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }),
});
const LIMIT_ERROR = '{"error":{"type":"invalid_request_error","code":"rate_limit","message":"Too many"}}';
const LOCK_ERROR = '{"error":{"type":"invalid_request_error","code":"lock_timeout","message":"In use"}}';

async function simulatedAccount(options: SimulatorOptions) {
  const simulator = await createSimulator({ visibility: { kind: 'none' }, ...options });
  onTestFinished(() => simulator.close());
  simulator.createMany('customer', 300);
  return simulator;
}

/** Eight walkers over one list, for so long; and, where asked, somebody who reads from it live. */
async function walk({ client, pace }: Paced, seconds: number, livePerSecond = 0) {
  const began = performance.now();
  const end = began + seconds * 1000;
  const isOver = () => performance.now() >= end;
  let pages = 0;
  const walker = async () => {
    while (!isOver()) {
      await client.get('/v1/customers?limit=3', { lane: 'bulk' });
      pages += 1;
    }
  };
  const waits: number[] = [];
  const reader = async () => {
    while (livePerSecond > 0 && !isOver()) {
      const asked = performance.now();
      const { durationMs } = await client.get('/v1/customers?limit=1');
      waits.push(performance.now() - asked - durationMs);
      await sleep(1000 / livePerSecond);
    }
  };
  await Promise.all([...Array.from({ length: 8 }, walker), reader()]);
  const took = (performance.now() - began) / 1000;
  const stats = pace.stats();
  const refused = Object.values(stats.refused).reduce((sum, count) => sum + count, 0);
  const sent = stats.permits.live + stats.permits.bulk;
  return { perSecond: (pages + waits.length) / took, refusedShare: refused / sent, pages, waits, stats };
}

const figure = (value: number, digits = 1) => value.toFixed(digits);

// What is measured is time, and the machine may have other work: a second run decides.
describe('eight walkers over one list of a Stripe that allows 25 requests a second', { retry: 1 }, () => {
  test.each([
    ['that answers at once', {}],
    ['that takes 100 ms and more', { latency: { fixedMs: 100, jitterMs: 30 } }],
  ])(
    '%s: nearly all of it is used, hardly anything refused, and live requests hardly wait',
    async (name, faults) => {
      const account = await simulatedAccount({ limits: { perEndpointPerSecond: 25 }, faults });
      const paced = pacedFor(account, { perSecond: 24, perSecondTotal: 80 });
      const { perSecond, refusedShare, waits, pages } = await walk(paced, 10, 2);
      const ordered = waits.toSorted((a, b) => a - b);
      const median = ordered[Math.floor(ordered.length / 2)] ?? Number.NaN;
      console.log(
        `${name}: ${figure(perSecond)} requests/s (${pages} pages, ${waits.length} live), ` +
          `${figure(100 * refusedShare, 2)} % refused; live waits: median ${figure(median)} ms, ` +
          `longest ${figure(ordered.at(-1) ?? Number.NaN)} ms`,
      );
      expect(perSecond).toBeGreaterThanOrEqual(22.5);
      expect(perSecond).toBeLessThan(26);
      expect(refusedShare).toBeLessThan(0.01);
      expect(waits.length).toBeGreaterThan(10);
      expect(median).toBeLessThan(40);
    },
  );
});

describe('a limit of Stripe’s that is lower than ours', () => {
  test('is found, and the backfill goes on without a failure', async () => {
    const account = await simulatedAccount({ limits: { perEndpointPerSecond: 10 } });
    const paced = pacedFor(account, { perSecond: 24 });
    const { perSecond, refusedShare, stats } = await walk(paced, 8);
    console.log(
      `10 requests/s allowed: ${figure(perSecond)}/s, ${figure(100 * refusedShare)} % refused while finding out`,
    );
    // The bucket's ten come on top.
    expect(perSecond).toBeGreaterThan(7);
    expect(refusedShare).toBeLessThan(0.3);
    expect(stats.refused['endpoint-rate']).toBeGreaterThan(0);
    expect(stats.rates.endpoints['/v1/customers']).toBeLessThan(15);
    expect(paced.seen.filter(({ status }) => status === 429)).toHaveLength(
      stats.refused['endpoint-rate'] ?? 0,
    );
  });

  test('on requests at once is found too', async () => {
    const account = await simulatedAccount({
      limits: { endpointConcurrency: 4 },
      faults: { latency: { fixedMs: 50 } },
    });
    const { perSecond, refusedShare, stats } = await walk(pacedFor(account), 4);
    console.log(
      `4 at once allowed: ${figure(perSecond)}/s of 80 possible, ${figure(100 * refusedShare)} % refused`,
    );
    expect(perSecond).toBeGreaterThan(30);
    expect(refusedShare).toBeLessThan(0.2);
    expect(stats.rates.total).toBe(Infinity);
  });
});

describe('a request that is refused', () => {
  test('as one of a backfill is sent again after the wait that Stripe asked for, and each attempt is told', async () => {
    const server = await answeringServer((_, response) => {
      if (server.requests.length > 1) json(response, 200, '{"id":"cus_1"}');
      else json(response, 429, LIMIT_ERROR, limited('endpoint-rate', 1));
    });
    const { client, pace, seen } = pacedFor(server, { perSecond: 24 });
    const before = performance.now();
    const response = await client.get('/v1/customers/cus_1', { lane: 'bulk' });
    expect(performance.now() - before).toBeGreaterThanOrEqual(995);
    expect(response.durationMs).toBeLessThan(900);
    expect(seen.map(({ status }) => status)).toEqual([429, 200]);
    expect(pace.stats()).toMatchObject({ permits: { bulk: 2, live: 0 }, refused: { 'endpoint-rate': 1 } });
    expect(pace.stats().rates.endpoints['/v1/customers/:id']).toBeLessThan(24);
  });

  test('as a live one fails at once, for its caller to decide', async () => {
    const server = await answeringServer((_, response) =>
      json(response, 429, LIMIT_ERROR, limited('global-rate', 2)),
    );
    const { client, pace } = pacedFor(server, { perSecond: 24, perSecondTotal: 80 });
    const failure = await failureOf(client.get('/v1/events'));
    expect(failure).toMatchObject({ kind: 'rate-limited', reason: 'global-rate', retryAfterMs: 2000 });
    expect(server.requests).toHaveLength(1);
    expect(pace.stats().rates.total).toBe(56);
  });

  test('because its object is locked is sent again too, and the rate stays', async () => {
    const server = await answeringServer((_, response) => {
      if (server.requests.length > 2) json(response, 200, '{}');
      else json(response, 429, LOCK_ERROR);
    });
    const { client, pace } = pacedFor(server, { perSecond: 24 });
    await client.get('/v1/customers/cus_1', { lane: 'bulk' });
    expect(pace.stats().refused).toEqual({ lock: 2 });
    expect(pace.stats().rates.endpoints['/v1/customers/:id']).toBe(24);
  });

  test('for longer than it can wait fails with the time to wait, and so do others, without being sent', async () => {
    const server = await answeringServer((_, response) =>
      json(response, 429, LIMIT_ERROR, limited('endpoint-rate', 120)),
    );
    const { client, seen } = pacedFor(server, { perSecond: 24 });
    for (const lane of ['bulk', 'live'] as const) {
      const failure = await failureOf(client.get('/v1/customers', { lane }));
      expect(failure.kind).toBe('rate-limited');
      expect(failure.reason).toBe('endpoint-rate');
      expect(failure.retryAfterMs).toBeGreaterThan(110_000);
      expect(failure.retryAfterMs).toBeLessThanOrEqual(120_000);
      expect(failure.message).toMatch(/limit/);
    }
    expect(seen).toHaveLength(1);
    expect(server.requests).toHaveLength(1);
  });

  test('for another reason is not sent again', async () => {
    const server = await answeringServer((_, response) =>
      json(response, 500, '{"error":{"type":"api_error"}}'),
    );
    const { client, pace } = pacedFor(server, { perSecond: 24 });
    expect((await failureOf(client.get('/v1/customers', { lane: 'bulk' }))).kind).toBe('transient');
    expect(server.requests).toHaveLength(1);
    expect(pace.stats().refused).toEqual({});
  });
});

describe('the wait for a permit', () => {
  test('counts neither as the duration of the request nor against its deadline', async () => {
    const server = await answeringServer((_, response) => json(response, 200, '{}'));
    const { client, pace, seen } = pacedFor(server, { perSecond: 2, deadlineMs: 400 });
    const responses = await Promise.all(
      Array.from({ length: 5 }, () => client.get('/v1/customers', { lane: 'bulk' })),
    );
    expect(pace.stats().waitedMs.bulk).toBeGreaterThan(2_500);
    for (const { durationMs } of responses) expect(durationMs).toBeLessThan(400);
    for (const { elapsedMs } of seen) expect(elapsedMs).toBeLessThan(400);
  });

  test('ends with the signal of the request, and nobody else waits longer for it', async () => {
    const server = await answeringServer((_, response) => json(response, 200, '{}'));
    const { client, pace } = pacedFor(server, { perSecond: 1 });
    const get = (signal?: AbortSignal) => client.get('/v1/customers', { lane: 'bulk', signal });
    await Promise.all([get(), get()]);
    const stop = new AbortController();
    const given = Array.from({ length: 50 }, () => failureOf(get(stop.signal)));
    const last = get();
    await until(() => pace.stats().waiting === 51);
    stop.abort();
    for (const failure of await Promise.all(given)) expect(failure.kind).toBe('cancelled');
    const before = performance.now();
    await last;
    expect(performance.now() - before).toBeLessThan(3_000);
    expect(server.requests).toHaveLength(3);
    expect((await failureOf(get(AbortSignal.abort()))).kind).toBe('cancelled');
  });

  test('ends when the client is closed, also between two attempts', async () => {
    const server = await answeringServer((_, response) => json(response, 429, LOCK_ERROR));
    const { client } = pacedFor(server, { perSecond: 1 });
    const requests = Array.from({ length: 4 }, () =>
      failureOf(client.get('/v1/customers', { lane: 'bulk' })),
    );
    await until(() => server.requests.length === 2);
    await sleep(50);
    const before = performance.now();
    client.close();
    for (const failure of await Promise.all(requests)) expect(failure.kind).toBe('cancelled');
    expect(performance.now() - before).toBeLessThan(500);
    expect((await failureOf(client.get('/v1/customers'))).kind).toBe('cancelled');
  });

  test('ends when the pace is closed', async () => {
    const pace = createRequestPace(paceSettings({ apiKey: KEY, perSecond: 1 }));
    const take = () => pace.take({ endpoint: '/v1/customers', lane: 'live' });
    await Promise.all([take(), take()]);
    const waiting = failureOf(take());
    pace.close();
    expect((await waiting).kind).toBe('cancelled');
    expect((await failureOf(take())).kind).toBe('cancelled');
  });
});

describe('the clients of a worker', () => {
  test('are not slowed down before a server on this machine', async () => {
    const server = await answeringServer((_, response) => json(response, 200, '{}'));
    const clients = createStripeClients({ STRIPE_API_KEY: KEY }, server.url);
    onTestFinished(clients.close);
    const client = clients.of('acme');
    const before = performance.now();
    await Promise.all(Array.from({ length: 200 }, () => client.get('/v1/customers', { lane: 'bulk' })));
    // Twenty a second would take ten.
    expect(performance.now() - before).toBeLessThan(5_000);
    expect(clients.pace('acme')?.permits.bulk).toBe(200);
    expect(clients.pace('other')).toBeNull();
  });

  test('share the pace of the key that they share, which the environment can set', async () => {
    const server = await answeringServer((_, response) => json(response, 200, '{}'));
    const env = {
      STRIPE_API_KEY: KEY,
      STRIPE_API_KEY_OTHER: 'sk_test_other',
      STRIPE_SYNC_REQUESTS_PER_SECOND_TOTAL: '4',
    };
    const clients = createStripeClients(env, server.url);
    onTestFinished(clients.close);
    const before = performance.now();
    const get = (account: string, path: string) => clients.of(account).get(path, { lane: 'bulk' });
    const shared = Promise.all([
      get('a', '/v1/customers'),
      get('a', '/v1/charges'),
      get('b', '/v1/customers'),
      get('b', '/v1/charges'),
    ]);
    await get('other', '/v1/customers');
    await shared;
    expect(performance.now() - before).toBeGreaterThanOrEqual(490);
    expect(clients.pace('a')).toEqual(clients.pace('b'));
    expect(clients.pace('other')?.permits.bulk).toBe(1);
  });

  test('are not made with a rate that is none', () => {
    const env = { STRIPE_API_KEY: KEY, STRIPE_SYNC_REQUESTS_PER_SECOND: 'fast' };
    expect(() => createStripeClients(env, undefined)).toThrow(
      /^STRIPE_SYNC_REQUESTS_PER_SECOND is no number/,
    );
  });
});
