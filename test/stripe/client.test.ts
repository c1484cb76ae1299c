import { inspect } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import { StripeFailure, UserError } from '../../src/domain/failures.js';
import { readInterval } from '../../src/domain/read-interval.js';
import { createStripeClient, type FinishedRequest } from '../../src/stripe/client.js';
import { answeringServer, clientOf, json, KEY, until } from './answering-server.js';

async function failureOf(request: Promise<unknown>): Promise<StripeFailure> {
  const outcome = await request.then(
    () => 'an answer',
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(StripeFailure);
  return outcome as StripeFailure;
}

describe('what Stripe answers', () => {
  test('the text of an answer is exact to the byte: big integers, decimals, key order, white space', async () => {
    const body =
      '{ "z": 90071992547409931234,\n\t"a": 1.50, "unit_amount_decimal": "0.000000000001", "e": 1e2, "name": "Zoë 😀 \\u00e9 \\u0000" }\n';
    const server = await answeringServer((_, response) => json(response, 200, body));
    const response = await clientOf(server).get('/v1/prices/price_1');
    expect(Buffer.from(response.text).equals(Buffer.from(body))).toBe(true);
    expect(response.body).toEqual(JSON.parse(body));
    expect(Object.getOwnPropertyNames(response.body)).toEqual(['z', 'a', 'unit_amount_decimal', 'e', 'name']);
  });

  test('a character that is cut in two by the network arrives whole', async () => {
    const bytes = Buffer.from('{"name":"😀"}');
    const server = await answeringServer((_, response) => {
      response.writeHead(200, { 'Content-Length': bytes.length });
      response.write(bytes.subarray(0, 11));
      setTimeout(() => response.end(bytes.subarray(11)), 30);
    });
    expect((await clientOf(server).get('/v1/customers/cus_1')).text).toBe('{"name":"😀"}');
  });

  test('an answer says when it was given, by Stripe’s clock, which request it was and how long it took', async () => {
    const server = await answeringServer((_, response) => {
      response.sendDate = false;
      const headers = { Date: 'Wed, 21 Oct 2026 07:28:00 GMT', 'Stripe-Version': '2026-10-28.endive' };
      setTimeout(() => json(response, 200, '{}', headers), 60);
    });
    const response = await clientOf(server).get('/v1/events');
    expect(response).toMatchObject({ status: 200, requestId: 'req_A1b2C3', date: 1792567680 });
    expect(response.apiVersion).toBe('2026-10-28.endive');
    expect(response.durationMs).toBeGreaterThanOrEqual(55);
    expect(response.durationMs).toBeLessThan(2000);
  });

  test('an answer without a Date header has no date, and so no interval', async () => {
    const server = await answeringServer((_, response) => {
      response.sendDate = false;
      json(response, 200, '{}');
    });
    const response = await clientOf(server).get('/v1/events');
    expect(response.date).toBeNull();
    expect(readInterval(response)).toBeNull();
  });

  test('an object that has a field named error is an answer, not a failure', async () => {
    const body =
      '{"id":"frr_1","object":"reporting.report_run","error":"No data for this interval","status":"failed"}';
    const server = await answeringServer((_, response) => json(response, 200, body));
    expect((await clientOf(server).get('/v1/reporting/report_runs/frr_1')).text).toBe(body);
  });

  test('the key, the versions and the connected account go out as headers, and the query as it was given', async () => {
    const server = await answeringServer((_, response) => json(response, 200, '{}'));
    const client = clientOf(server, { apiVersion: '2024-06-20', stripeAccount: 'acct_1' });
    await client.get('/v1/events?created[gte]=1&types[]=a.b');
    const response = await client.get('/v1/events', { apiVersion: '2025-01-27.acacia' });
    const [first, second] = server.requests;
    expect(first?.url).toBe('/v1/events?created[gte]=1&types[]=a.b');
    expect(first?.method).toBe('GET');
    expect(first?.headers).toMatchObject({
      authorization: `Bearer ${KEY}`,
      'stripe-version': '2024-06-20',
      'stripe-account': 'acct_1',
    });
    expect(first?.headers).not.toHaveProperty('x-stripe-client-telemetry');
    expect(second?.headers['stripe-version']).toBe('2025-01-27.acacia');
    expect(response.apiVersion).toBe('2025-01-27.acacia');
  });

  test('one connection serves request after request', async () => {
    const server = await answeringServer((_, response) => json(response, 200, '{}'));
    const client = clientOf(server);
    for (let count = 0; count < 5; count += 1) await client.get('/v1/events');
    expect(server.connections()).toBe(1);
  });

  test('answers to concurrent requests are not mixed up', async () => {
    const server = await answeringServer((request, response) => {
      const id = request.url?.split('/').pop() ?? '';
      setTimeout(() => json(response, 200, `{"id":"${id}"}`), Math.random() * 30);
    });
    const client = clientOf(server);
    const ids = Array.from({ length: 80 }, (_, index) => `cus_${index}`);
    const answers = await Promise.all(ids.map((id) => client.get(`/v1/customers/${id}`)));
    expect(answers.map((answer) => answer.text)).toEqual(ids.map((id) => `{"id":"${id}"}`));
  });

  test('a notice of Stripe’s is not printed', async () => {
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const server = await answeringServer((_, response) =>
      json(response, 200, '{}', { 'Stripe-Notice': 'hello' }),
    );
    await clientOf(server).get('/v1/events');
    expect(warning).not.toHaveBeenCalled();
    warning.mockRestore();
  });
});

describe('ending a request', () => {
  test.each(['before any answer', 'in the middle of the body'])(
    'cancelling %s ends the request and its connection at once',
    async (when) => {
      const server = await answeringServer((_, response) => {
        if (when === 'before any answer') return;
        response.writeHead(200, { 'Content-Length': 100 });
        response.write('{"a":');
      });
      const abort = new AbortController();
      const request = failureOf(clientOf(server).get('/v1/events', { signal: abort.signal }));
      await until(() => server.requests.length === 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      const before = performance.now();
      abort.abort();
      expect((await request).kind).toBe('cancelled');
      await until(() => server.sockets.size === 0);
      expect(performance.now() - before).toBeLessThan(500);
    },
  );

  test('a request that still waits for a free connection is cancelled at once too', async () => {
    const server = await answeringServer(() => {});
    const client = clientOf(server);
    const all = new AbortController();
    const last = new AbortController();
    const waiting = Array.from({ length: 32 }, () =>
      failureOf(client.get('/v1/events', { signal: all.signal })),
    );
    await until(() => server.requests.length === 32);
    const queued = failureOf(client.get('/v1/events', { signal: last.signal }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    last.abort();
    expect((await queued).kind).toBe('cancelled');
    expect(server.requests).toHaveLength(32);
    all.abort();
    for (const one of await Promise.all(waiting)) expect(one.kind).toBe('cancelled');
  });

  test('with a signal that is aborted already nothing is sent', async () => {
    const server = await answeringServer((_, response) => json(response, 200, '{}'));
    const seen: FinishedRequest[] = [];
    const client = clientOf(server, { onRequest: (request) => seen.push(request) });
    expect((await failureOf(client.get('/v1/events', { signal: AbortSignal.abort() }))).kind).toBe(
      'cancelled',
    );
    expect(server.connections()).toBe(0);
    expect(seen).toEqual([]);
  });

  test('the deadline holds for the whole request, though the body keeps dribbling in', async () => {
    const server = await answeringServer((_, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write(' '), 10);
      response.once('close', () => clearInterval(drip));
    });
    const before = performance.now();
    const failure = await failureOf(clientOf(server, { deadlineMs: 150 }).get('/v1/events'));
    const took = performance.now() - before;
    expect(failure.kind).toBe('transient');
    expect(failure.message).toContain('150 ms');
    expect(took).toBeGreaterThan(140);
    expect(took).toBeLessThan(1000);
    await until(() => server.sockets.size === 0);
  });

  test('a request may have a deadline of its own', async () => {
    const server = await answeringServer(() => {});
    const failure = await failureOf(clientOf(server).get('/v1/events', { deadlineMs: 80 }));
    expect(failure).toMatchObject({ kind: 'transient' });
    expect(failure.message).toContain('80 ms');
  });

  test('finished requests leave no listener on a signal that lives on', async () => {
    const server = await answeringServer((_, response) => json(response, 200, '{}'));
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    const client = clientOf(server);
    for (let count = 0; count < 20; count += 1) await client.get('/v1/events', { signal });
    expect(added).toHaveBeenCalledTimes(20);
    expect(removed).toHaveBeenCalledTimes(20);
  });

  test('many requests may share one signal without a warning', async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error) => warnings.push(warning);
    process.on('warning', warn);
    const server = await answeringServer((_, response) => json(response, 200, '{}'));
    const client = clientOf(server);
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 20 }, () => client.get('/v1/events', { signal })));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', warn);
    expect(warnings).toEqual([]);
  });

  test('closing the client cancels what is under way, and later requests', async () => {
    const server = await answeringServer(() => {});
    const client = clientOf(server);
    const request = failureOf(client.get('/v1/events'));
    await until(() => server.requests.length === 1);
    client.close();
    expect((await request).kind).toBe('cancelled');
    expect((await failureOf(client.get('/v1/events'))).kind).toBe('cancelled');
    await until(() => server.sockets.size === 0);
  });
});

describe('connections that break', () => {
  test('a body that is cut off is worth another try', async () => {
    const server = await answeringServer((_, response) => {
      response.writeHead(200, { 'Content-Length': 100, 'Request-Id': 'req_cut' });
      response.write('{"name":"jenny');
      setTimeout(() => response.destroy(), 20);
    });
    const failure = await failureOf(clientOf(server).get('/v1/events'));
    expect(failure).toMatchObject({ kind: 'transient', requestId: 'req_cut', status: 200 });
  });

  test('a server that is not there is worth another try, and the message names it', async () => {
    const failure = await failureOf(clientOf({ url: 'http://127.0.0.1:1' }).get('/v1/events'));
    expect(failure).toMatchObject({ kind: 'transient' });
    expect(failure.message).toContain('127.0.0.1:1');
    expect(failure.message).toContain('ECONNREFUSED');
  });

  test('a request that breaks on a new connection is sent once only', async () => {
    const server = await answeringServer((request) => request.socket.destroy());
    const failure = await failureOf(clientOf(server).get('/v1/events'));
    expect(failure.kind).toBe('transient');
    expect(server.requests).toHaveLength(1);
  });

  test('an idle connection that Stripe closed meanwhile costs nothing but a new connection', async () => {
    const served = new Set<unknown>();
    const server = await answeringServer((request, response) => {
      if (served.has(request.socket)) return void request.socket.destroy();
      served.add(request.socket);
      json(response, 200, '{}');
    });
    const client = clientOf(server);
    await client.get('/v1/events');
    expect((await client.get('/v1/events')).text).toBe('{}');
    expect(server.connections()).toBe(2);
  });

  test('an answer that is no HTTP is worth another try and shows nothing of it', async () => {
    const server = await answeringServer((request) => {
      request.socket.end(
        'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: jenny@example.com\r\n\r\n{',
      );
    });
    const failure = await failureOf(clientOf(server).get('/v1/events'));
    expect(failure.kind).toBe('transient');
    expect(inspect(failure, { depth: Infinity, showHidden: true })).not.toContain('jenny');
  });
});

describe('reporting requests', () => {
  test('every request that was sent is reported once it is over, without its query', async () => {
    const server = await answeringServer((request, response) => {
      const gone =
        '{"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such customer"}}';
      json(response, request.url?.includes('gone') ? 404 : 200, request.url?.includes('gone') ? gone : '{}');
    });
    const seen: FinishedRequest[] = [];
    const client = clientOf(server, { onRequest: (request) => seen.push(request) });
    await client.get('/v1/customers?email=jenny@example.com');
    await failureOf(client.get('/v1/customers/gone'));
    expect(seen).toEqual([
      {
        path: '/v1/customers',
        status: 200,
        requestId: 'req_A1b2C3',
        failure: null,
        elapsedMs: expect.any(Number),
      },
      {
        path: '/v1/customers/gone',
        status: 404,
        requestId: 'req_A1b2C3',
        failure: 'gone',
        elapsedMs: expect.any(Number),
      },
    ]);
  });
});

describe('where requests go', () => {
  test.each([
    'http://localhost:12111',
    'http://127.0.0.1:12111',
    'http://127.9.8.7',
    'http://[::1]:8080',
    'https://api.stripe.com',
    'https://stripe.internal:8443',
  ])('%s is accepted', (baseUrl) => {
    createStripeClient({ apiKey: KEY, baseUrl }).close();
  });

  test.each([
    'http://api.stripe.com',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'http://10.0.0.1',
    'http://[::2]',
    'ftp://localhost',
    'localhost:12111',
    'https://user:hunter2@api.stripe.com',
    'https://api.stripe.com/v1',
    'https://api.stripe.com?x=1',
    '',
  ])('"%s" is refused as wrong usage', (baseUrl) => {
    const create = () => createStripeClient({ apiKey: KEY, baseUrl });
    expect(create).toThrow(UserError);
    expect(create).toThrow(expect.objectContaining({ exitCode: 1 }));
    expect(create).not.toThrow(/hunter2/);
  });

  test.each(['', 'sk_test_a\nb', 'sk_test_ü', 'sk test'])('the key %j is refused and not shown', (apiKey) => {
    const create = () => createStripeClient({ apiKey });
    expect(create).toThrow(UserError);
    if (apiKey !== '') expect(create).not.toThrow(apiKey);
  });

  test.each(['v1/events', '//evil.example/v1/events', '/v1/events?email=jenny@example.com x', ''])(
    'the path %j is refused before anything is sent, and not shown',
    async (path) => {
      const server = await answeringServer((_, response) => json(response, 200, '{}'));
      const failure = await failureOf(clientOf(server).get(path));
      expect(failure.kind).toBe('invalid');
      expect(server.connections()).toBe(0);
      expect(inspect(failure, { depth: Infinity, showHidden: true })).not.toMatch(/jenny|evil/);
    },
  );
});

describe('the interval in which an answer was current', () => {
  test.each([
    [
      { date: 1000, durationMs: 0 },
      { asOf: 999, asOfUntil: 1001 },
    ],
    [
      { date: 1000, durationMs: 1 },
      { asOf: 998, asOfUntil: 1001 },
    ],
    [
      { date: 1000, durationMs: 999.9 },
      { asOf: 998, asOfUntil: 1001 },
    ],
    [
      { date: 1000, durationMs: 1000 },
      { asOf: 998, asOfUntil: 1001 },
    ],
    [
      { date: 1000, durationMs: 2500 },
      { asOf: 996, asOfUntil: 1001 },
    ],
    [{ date: null, durationMs: 5 }, null],
  ])('%j gives %j', (response, interval) => {
    expect(readInterval(response)).toEqual(interval);
  });
});
