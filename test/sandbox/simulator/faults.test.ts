import { request } from 'node:http';
import { expect, test } from 'vitest';
import { createSimulator, type FaultKind, type Simulator } from '../../../src/sandbox/simulator/index.js';
import { ask, askPage, errorOf, simulatorFor, stripeFor } from './asking.js';

const once = (simulator: Simulator, kind: FaultKind, path = '/v1/'): void =>
  simulator.setFaults({ rules: [{ kind, next: 1, path }] });

test('a limiter that is exceeded answers 429 with its reason', async () => {
  const simulator = await simulatorFor();
  once(simulator, 'rate_limit');
  const limited = await ask(simulator, '/v1/customers');
  expect(limited.status).toBe(429);
  expect(limited.headers.get('stripe-rate-limited-reason')).toBe('global-rate');
  expect((await ask(simulator, '/v1/customers')).status).toBe(200);
  simulator.addFault({ kind: 'rate_limit', next: 1, reason: 'endpoint-concurrency', retryAfterSeconds: 7 });
  const again = await ask(simulator, '/v1/customers');
  expect([again.headers.get('stripe-rate-limited-reason'), again.headers.get('retry-after')]).toEqual([
    'endpoint-concurrency',
    '7',
  ]);
  once(simulator, 'rate_limit');
  await expect(stripeFor(simulator).customers.list()).rejects.toMatchObject({ type: 'StripeRateLimitError' });
});

test('a lock timeout is a 429 without a reason', async () => {
  const simulator = await simulatorFor();
  once(simulator, 'lock_timeout');
  const locked = await ask(simulator, '/v1/customers');
  expect(locked.status).toBe(429);
  expect(locked.headers.has('stripe-rate-limited-reason')).toBe(false);
  expect(errorOf(locked).code).toBe('lock_timeout');
});

test('the real limiters let through what they promise and no more', async () => {
  const simulator = await simulatorFor({ limits: { perSecond: 50, perEndpointPerSecond: 10 } });
  const statuses = async (path: string, count: number): Promise<(string | number)[]> =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const { status, headers } = await ask(simulator, path);
        return headers.get('stripe-rate-limited-reason') ?? status;
      }),
    );
  const first = await statuses('/v1/customers', 20);
  expect(first.filter((status) => status === 200).length).toBeLessThan(16);
  expect(first).toContain('endpoint-rate');
  expect((await statuses('/v1/coupons', 5)).every((status) => status === 200)).toBe(true);
  simulator.setLimits({ perSecond: 5 });
  expect(await statuses('/v1/coupons', 15)).toContain('global-rate');
  simulator.setLimits({ concurrency: 2 });
  simulator.setFaults({ latency: { fixedMs: 30 } });
  const parallel = await statuses('/v1/coupons', 6);
  expect(parallel.filter((status) => status === 200)).toHaveLength(2);
  expect(parallel).toContain('global-concurrency');
  expect(simulator.stats().rateLimited['global-concurrency']).toBe(4);
});

test('server errors come as JSON, gateway errors as HTML, and a 200 may be no JSON at all', async () => {
  const simulator = await simulatorFor();
  simulator.setFaults({ rules: [{ kind: 'server_error', status: 503, next: 1 }] });
  const broken = await ask(simulator, '/v1/customers');
  expect([broken.status, errorOf(broken).type]).toEqual([503, 'api_error']);
  once(simulator, 'bad_gateway');
  const gateway = await fetch(`${simulator.url}/v1/customers`, {
    headers: { authorization: `Bearer ${simulator.apiKey}` },
  });
  expect([gateway.status, gateway.headers.get('content-type')]).toEqual([502, 'text/html']);
  once(simulator, 'bad_gateway');
  await expect(stripeFor(simulator).customers.list()).rejects.toMatchObject({ type: 'StripeAPIError' });
  once(simulator, 'not_json');
  await expect(stripeFor(simulator).customers.list()).rejects.toThrow();
  expect((await ask(simulator, '/v1/customers')).status).toBe(200);
});

test('connections are cut before the headers or in the middle of the body', async () => {
  const simulator = await simulatorFor();
  simulator.createMany('customer', 20);
  for (const [kind, next] of [
    // The real client repeats a request on a connection that was closed, once, whatever its settings.
    ['cut_before_headers', 2],
    ['cut_body', 1],
  ] as const) {
    simulator.setFaults({ rules: [{ kind, next }] });
    await expect(stripeFor(simulator).customers.list({ limit: 20 })).rejects.toMatchObject({
      type: 'StripeConnectionError',
    });
  }
  once(simulator, 'cut_body');
  const received = await new Promise<{ declared: number; got: number }>((resolve, reject) => {
    request(
      `${simulator.url}/v1/customers?limit=20`,
      { headers: { authorization: `Bearer ${simulator.apiKey}` } },
      (response) => {
        let got = 0;
        response.on('data', (part: Buffer) => {
          got += part.length;
        });
        response.on('error', () => resolve({ declared: Number(response.headers['content-length']), got }));
        response.on('end', () => reject(new Error('The body came whole.')));
      },
    ).end();
  });
  expect(received.got).toBeGreaterThan(0);
  expect(received.got).toBeLessThan(received.declared);
  expect(simulator.stats()).toMatchObject({
    answers: { cut: 4 },
    faults: { cut_body: 2, cut_before_headers: 2 },
  });
});

test('an event of a page may come without its object, and comes whole the next time', async () => {
  const simulator = await simulatorFor();
  for (let made = 0; made < 5; made += 1) simulator.create('customer');
  const objects = async () =>
    (await askPage(simulator, '/v1/events')).data.map(
      ({ data }) => (data as { object?: object | null }).object,
    );
  once(simulator, 'event_without_object');
  expect((await objects()).filter((object) => object === undefined)).toHaveLength(1);
  once(simulator, 'event_null_object');
  expect((await objects()).filter((object) => object === null)).toHaveLength(1);
  expect((await objects()).every((object) => object?.constructor === Object)).toBe(true);
});

test('latency holds an answer back, and its Date is from the end of the wait', async () => {
  const simulator = await simulatorFor({ faults: { latency: { fixedMs: 1100, jitterMs: 100 } } });
  const before = simulator.now();
  const { headers } = await ask(simulator, '/v1/customers');
  expect(simulator.now() - before).toBeGreaterThan(1.05);
  const date = Date.parse(headers.get('date') ?? '') / 1000;
  expect(date).toBeGreaterThan(before);
  expect(date).toBeLessThanOrEqual(simulator.now());
});

test('faults hit the share of requests that they are meant for', async () => {
  const simulator = await simulatorFor({
    seed: 3,
    faults: { rules: [{ kind: 'server_error', probability: 0.3, path: '/v1/coupons' }] },
  });
  let failed = 0;
  for (let asked = 0; asked < 200; asked += 1)
    if ((await ask(simulator, '/v1/coupons')).status === 500) failed += 1;
  expect(failed).toBeGreaterThan(35);
  expect(failed).toBeLessThan(90);
  for (let asked = 0; asked < 20; asked += 1)
    expect((await ask(simulator, '/v1/customers')).status).toBe(200);
});

test('keys: missing, wrong, revoked, restricted, and Basic', async () => {
  const simulator = await simulatorFor({
    restrictedKeys: { rk_test_few: ['rak_customer_read', 'rak_event_read'] },
  });
  expect((await ask(simulator, '/v1/customers', '')).status).toBe(401);
  const wrong = await ask(simulator, '/v1/customers', 'sk_test_0000000000wrong');
  expect([wrong.status, errorOf(wrong).type]).toEqual([401, 'invalid_request_error']);
  expect(errorOf(wrong).message).not.toContain('sk_test_0000000000wrong');
  const basic = Buffer.from(`${simulator.apiKey}:`).toString('base64');
  const answer = await fetch(`${simulator.url}/v1/customers`, {
    headers: { authorization: `Basic ${basic}` },
  });
  expect(answer.status).toBe(200);

  const few = stripeFor(simulator, 'rk_test_few');
  await few.customers.list();
  await few.events.list();
  await expect(few.refunds.list()).rejects.toMatchObject({ type: 'StripePermissionError', statusCode: 403 });
  const denied = await ask(simulator, '/v1/prices', simulator.createRestrictedKey(['rak_customer_read']));
  expect(denied.status).toBe(403);
  expect(errorOf(denied).message).toContain("'rak_plan_read'");

  simulator.revokeKey();
  await expect(stripeFor(simulator).customers.list()).rejects.toMatchObject({
    type: 'StripeAuthenticationError',
    code: 'api_key_expired',
  });
  simulator.restoreKey();
  await stripeFor(simulator).customers.list();
});

test('every answer carries the simulated clock, a request id and a version', async () => {
  const simulator = await simulatorFor({ skewSeconds: -5000 });
  const { headers } = await ask(simulator, '/v1/customers');
  expect(Math.abs(Date.parse(headers.get('date') ?? '') / 1000 - (Date.now() / 1000 - 5000))).toBeLessThan(2);
  expect(headers.get('request-id')).toMatch(/^req_/);
  expect(headers.get('stripe-version')).toBe(simulator.apiVersion);
  expect(headers.get('content-type')).toBe('application/json');
  simulator.advanceClock(9000);
  const later = await ask(simulator, '/v1/nothing');
  expect(Math.abs(Date.parse(later.headers.get('date') ?? '') / 1000 - simulator.now())).toBeLessThan(2);
  const dateless = await simulatorFor({ dateHeader: false });
  expect((await ask(dateless, '/v1/customers')).headers.has('date')).toBe(false);
});

test('a port that is taken is reported with its code', async () => {
  const simulator = await simulatorFor();
  await expect(createSimulator({ port: simulator.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
