import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { StripeFailure, type StripeFailureKind } from '../../src/domain/failures.js';
import { answeringServer, clientOf, json, KEY } from './answering-server.js';

interface Case {
  readonly status: number;
  readonly error?: Record<string, unknown>;
  readonly body?: string;
  readonly headers?: Record<string, string>;
  readonly path?: string;
}

async function failureOf({ status, error, body, headers, path }: Case): Promise<StripeFailure> {
  const server = await answeringServer((_, response) =>
    json(
      response,
      status,
      body ?? JSON.stringify({ error: { type: 'invalid_request_error', ...error } }),
      headers,
    ),
  );
  const outcome = await clientOf(server)
    .get(path ?? '/v1/customers/cus_1')
    .catch((thrown: unknown) => thrown);
  expect(outcome).toBeInstanceOf(StripeFailure);
  expect(server.requests).toHaveLength(1);
  return outcome as StripeFailure;
}

const walking = '/v1/events?limit=100&ending_before=evt_1';
const denied =
  "The provided key 'rk_test_*********abc' does not have the required permissions for this endpoint.";
const html = '<html><body>jenny@example.com</body></html>';

const cases: readonly [string, StripeFailureKind, Case][] = [
  [
    'a limiter of Stripe said no',
    'rate-limited',
    {
      status: 429,
      error: { code: 'rate_limit', message: 'slow' },
      headers: { 'Stripe-Rate-Limited-Reason': 'endpoint-rate' },
    },
  ],
  [
    'the object is locked (429 without a reason)',
    'transient',
    { status: 429, error: { code: 'lock_timeout', message: 'l' } },
  ],
  [
    'the key is wrong',
    'authentication',
    { status: 401, error: { message: `Invalid API Key provided: ${KEY}` } },
  ],
  [
    'the key expired',
    'authentication',
    { status: 401, error: { code: 'api_key_expired', message: 'Expired API Key' } },
  ],
  [
    'the key lost its connected account',
    'authentication',
    { status: 403, error: { code: 'account_invalid', message: denied } },
  ],
  [
    'a live key where a test one belongs',
    'authentication',
    {
      status: 404,
      error: {
        code: 'resource_missing',
        param: 'id',
        message:
          "No such customer: 'cus_1'; a similar object exists in test mode, but a live mode key was used.",
      },
    },
  ],
  ['the key lacks a permission', 'permission', { status: 403, error: { message: denied } }],
  [
    'the cursor aged out',
    'cursor-lost',
    { status: 400, error: { message: 'The event evt_1 has aged out.' }, path: walking },
  ],
  [
    'the cursor is unknown, by parameter',
    'cursor-lost',
    {
      status: 400,
      error: { code: 'resource_missing', param: 'ending_before', message: 'No such event' },
      path: walking,
    },
  ],
  [
    'the cursor is unknown, as 404',
    'cursor-lost',
    {
      status: 404,
      error: { code: 'resource_missing', param: 'starting_after', message: 'x' },
      path: '/v1/customers?starting_after=cus_2',
    },
  ],
  [
    'the cursor is unknown, by its id in the text',
    'cursor-lost',
    {
      status: 404,
      error: { code: 'resource_missing', param: 'id', message: "No such event: 'evt_1'" },
      path: walking,
    },
  ],
  [
    'a request without a cursor has none to lose',
    'invalid',
    { status: 400, error: { param: 'ending_before', message: 'Received ending_before: it has aged out' } },
  ],
  [
    'the parent of a list is gone, not its cursor',
    'gone',
    {
      status: 404,
      error: { code: 'resource_missing', param: 'customer', message: "No such customer: 'cus_1'" },
      path: '/v1/customers/cus_1/sources?starting_after=card_2',
    },
  ],
  [
    'the object is gone',
    'gone',
    { status: 404, error: { code: 'resource_missing', param: 'id', message: 'No such customer' } },
  ],
  [
    'the object is gone, in an old API version',
    'gone',
    { status: 404, error: { param: 'id', message: 'No such customer: cus_1' } },
  ],
  [
    'a path that Stripe does not know is no deletion',
    'invalid',
    { status: 404, error: { message: 'Unrecognized request URL (GET: /v1/nope). Please see the docs.' } },
  ],
  [
    'the account is without that part',
    'invalid',
    { status: 400, error: { message: 'Your account is not set up to use Issuing.' } },
  ],
  [
    'a parameter is unknown',
    'invalid',
    { status: 400, error: { code: 'parameter_unknown', param: 'foo', message: 'x' } },
  ],
  ['a conflict', 'transient', { status: 409, error: { message: 'x' } }],
  ['Stripe failed', 'transient', { status: 500, error: { type: 'api_error', message: 'x' } }],
  ['a gateway failed, in HTML', 'transient', { status: 502, body: html }],
  ['a gateway failed, in JSON of its own', 'transient', { status: 503, body: '{"message":"no upstream"}' }],
  ['a success that is no JSON', 'malformed', { status: 200, body: html }],
  ['a success that is empty', 'malformed', { status: 200, body: '' }],
  ['a success that is a bare value', 'malformed', { status: 200, body: '"jenny@example.com"' }],
  ['a success that is null', 'malformed', { status: 200, body: 'null' }],
  ['a success that is an array', 'malformed', { status: 200, body: '[]' }],
  [
    'a redirect',
    'malformed',
    { status: 302, body: '{}', headers: { Location: 'https://elsewhere.example' } },
  ],
  ['a proxy’s 404 is no deletion', 'malformed', { status: 404, body: html }],
  ['a stranger’s 404 in JSON is no deletion', 'malformed', { status: 404, body: '{"error":"not found"}' }],
  ['a 404 with nothing in it is no deletion', 'malformed', { status: 404, body: '{}' }],
  ['a proxy’s 403 is no missing permission', 'malformed', { status: 403, body: html }],
  ['a proxy’s 401 is no wrong key', 'malformed', { status: 401, body: '[]' }],
  ['an error that is a number', 'malformed', { status: 400, body: '{"error":1}' }],
];

describe('what a failed request means', () => {
  test.each(cases)('%s: %s', async (_, kind, answer) => {
    const failure = await failureOf(answer);
    expect(failure.kind).toBe(kind);
    expect(failure).toMatchObject({ status: answer.status, requestId: 'req_A1b2C3', name: 'StripeFailure' });
    expect(failure.message).toContain('req_A1b2C3');
    expect(failure.message).not.toContain('\n');
  });

  test('a rate limit says which one it is and how long to wait', async () => {
    const headers = { 'Stripe-Rate-Limited-Reason': 'global-concurrency', 'Retry-After': '2.5' };
    const failure = await failureOf({ status: 429, error: { message: 'x' }, headers });
    expect(failure).toMatchObject({ reason: 'global-concurrency', retryAfterMs: 2500 });
    expect(failure.message).toContain('global-concurrency');
  });

  test.each([
    ['7', 7000],
    ['0', 0],
    ['-3', 0],
    ['Wed, 21 Oct 2026 07:28:30 GMT', 30_000],
    ['99999999', 600_000],
    ['soon', undefined],
    ['', undefined],
  ])('Retry-After "%s" is a wait of %s ms', async (value, wait) => {
    const headers = { Date: 'Wed, 21 Oct 2026 07:28:00 GMT', 'Retry-After': value };
    expect((await failureOf({ status: 503, error: { message: 'x' }, headers })).retryAfterMs).toBe(wait);
  });

  test('a missing permission is named, in the failure and in its message', async () => {
    const message = `${denied} Having the 'rak_plan_read' permission would allow this request to continue.`;
    const failure = await failureOf({ status: 403, error: { code: 'more_permissions_required', message } });
    expect(failure.missingPermission).toBe('rak_plan_read');
    expect(failure.message).toContain('rak_plan_read');
  });

  test('a permission that Stripe does not name is left open', async () => {
    const failure = await failureOf({ status: 403, error: { message: denied } });
    expect(failure).not.toHaveProperty('missingPermission');
    expect(failure.message).toContain('read access');
  });

  test('a deletion carries the seconds of Stripe’s clock in which it was seen', async () => {
    const headers = { Date: 'Wed, 21 Oct 2026 07:28:00 GMT' };
    const error = { code: 'resource_missing', message: 'No such customer' };
    const failure = await failureOf({ status: 404, error, headers });
    expect(failure.version?.asOfUntil).toBe(1792567681);
    expect(failure.version?.asOf).toBeLessThan(1792567680);
    expect(await failureOf({ status: 401, error: { message: 'x' }, headers })).not.toHaveProperty('version');
  });
});

describe('secrets', () => {
  const leaky = {
    message: `jenny@example.com used ${KEY} for cus_Secret1`,
    param: 'metadata[jenny@example.com]',
    code: KEY,
    doc_url: 'https://jenny.example',
    payment_intent: { id: 'cus_Secret1', receipt_email: 'jenny@example.com' },
  };
  const answers: Case[] = [
    ...[400, 401, 402, 403, 404, 409, 429, 500].map((status) => ({ status, error: leaky })),
    { status: 200, body: '{"email":"jenny@example.com"' },
    { status: 502, body: html },
    { status: 403, error: { ...leaky, type: KEY } },
    { status: 429, error: leaky, headers: { 'Stripe-Rate-Limited-Reason': `${KEY}` } },
    { status: 500, error: leaky, headers: { 'Request-Id': `Bearer ${KEY}` } },
    { status: 404, error: leaky, path: '/v1/customers?email=jenny@example.com&starting_after=cus_Secret1' },
  ];

  test.each(answers)(
    'no key, payload or customer data shows in the failure of $status, in any form',
    async (answer) => {
      const failure = await failureOf(answer);
      const forms = [
        failure.message,
        String(failure),
        failure.stack,
        JSON.stringify(failure),
        inspect(failure, { depth: Infinity, showHidden: true, getters: true }),
        inspect(failure.cause, { depth: Infinity, showHidden: true, getters: true }),
      ];
      for (const form of forms) expect(form).not.toMatch(/jenny|SecretThat|Secret1/);
    },
  );

  test('the key does not show in the client either', async () => {
    const server = await answeringServer((_, response) => json(response, 200, '{}'));
    const client = clientOf(server);
    await client.get('/v1/events');
    expect(inspect(client, { depth: Infinity, showHidden: true })).not.toContain(KEY);
  });
});
