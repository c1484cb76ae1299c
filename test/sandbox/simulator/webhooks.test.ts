import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Stripe from 'stripe';
import { expect, onTestFinished, test } from 'vitest';
import type { JsonObject } from '../../../src/sandbox/simulator/index.js';
import { ask, askPage, objectIn, simulatorFor, stripeFor } from './asking.js';
import { pause, type Received, receiverFor, schemes } from './webhooks-receiver.js';

const hmac = (secret: string, { raw, signature }: Received): string =>
  createHmac('sha256', secret)
    .update(`${schemes(signature).t?.[0]}.${raw.toString('utf8')}`)
    .digest('hex');

const verified = (secret: string, { raw, signature }: Received): Stripe.Event =>
  new Stripe('sk_test_unused').webhooks.constructEvent(raw, signature, secret);

test('an event is POSTed as JSON, and its signature verifies by hand and with the real Stripe package', async () => {
  const simulator = await simulatorFor();
  const receiver = await receiverFor();
  const { id, secret } = simulator.addWebhookEndpoint({ url: receiver.url });
  expect(id).toMatch(/^we_/);
  expect(secret).toMatch(/^whsec_[A-Za-z0-9]{32}$/);
  simulator.create('customer', { name: 'Zoë 🐈' });
  const [one] = (await receiver.until(1)) as [Received];
  expect(one.method).toBe('POST');
  expect(one.headers).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'user-agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
    'content-length': String(one.raw.length),
  });
  const { t, v1, v0 } = schemes(one.signature);
  expect(v1).toEqual([hmac(secret, one)]);
  expect(Math.abs(Number(t?.[0]) - simulator.now())).toBeLessThan(5);
  // Test mode's second scheme, which nobody may trust.
  expect(v0).toHaveLength(1);
  expect(v0).not.toEqual(v1);

  const event = verified(secret, one);
  expect(event).toMatchObject({ type: 'customer.created', data: { object: { name: 'Zoë 🐈' } } });
  expect(() => verified(`${secret}x`, one)).toThrow(/signature/i);
  expect(() => verified(secret, { ...one, raw: Buffer.from(`${one.raw} `) })).toThrow(/signature/i);
});

test('the body is, byte for byte, the event that /v1/events shows at that moment', async () => {
  const simulator = await simulatorFor();
  const shown: string[] = [];
  const receiver = await receiverFor(async ({ event }) => {
    const response = await fetch(`${simulator.url}/v1/events/${event.id}`, {
      headers: { authorization: `Bearer ${simulator.apiKey}` },
    });
    shown.push(await response.text());
    return 200;
  });
  simulator.addWebhookEndpoint({ url: receiver.url, delivery: { concurrency: 1 } });
  simulator.makeChanges(60);
  const count = simulator.events().length;
  await receiver.until(count);
  await expect.poll(() => shown.length).toBe(count);
  expect(receiver.received.map(({ raw }) => raw.toString('utf8'))).toEqual(shown);
  expect(receiver.received.every(({ event }) => event.pending_webhooks === 1)).toBe(true);
  await expect.poll(() => simulator.stats().webhooks.delivered).toBe(count);
  for (const event of (await askPage(simulator, '/v1/events')).data) expect(event.pending_webhooks).toBe(0);
});

test('each announced event comes, once, to each endpoint that wants its type', async () => {
  const simulator = await simulatorFor();
  const [all, some, none] = [await receiverFor(), await receiverFor(), await receiverFor()];
  simulator.addWebhookEndpoint({ url: all.url });
  simulator.addWebhookEndpoint({ url: some.url, enabledEvents: ['customer.deleted', 'coupon.created'] });
  const { id } = simulator.addWebhookEndpoint({ url: none.url });
  simulator.removeWebhookEndpoint(id);
  simulator.createMany('customer', 5);
  simulator.makeChanges(300);
  const events = simulator.events();
  const wanted = events.filter(({ type }) => ['customer.deleted', 'coupon.created'].includes(type));
  expect(wanted.length).toBeGreaterThan(0);
  await all.until(events.length);
  await some.until(wanted.length);
  await pause(100);
  const ids = (received: readonly Received[]) => received.map(({ event }) => event.id).sort();
  expect(ids(all.received)).toEqual(events.map(({ id }) => id).sort());
  expect(ids(some.received)).toEqual(wanted.map(({ id }) => id).sort());
  expect(none.received).toEqual([]);
});

test('while a secret is rolled both sign, and afterwards the new one alone', async () => {
  const simulator = await simulatorFor();
  const receiver = await receiverFor();
  const { id, secret } = simulator.addWebhookEndpoint({ url: receiver.url, secret: 'whsec_first' });
  expect(secret).toBe('whsec_first');
  const second = simulator.rollSecret(id, 3600);
  expect(second.id).toBe(id);
  simulator.create('customer');
  const [during] = (await receiver.until(1)) as [Received];
  expect(schemes(during.signature).v1).toEqual([hmac(second.secret, during), hmac('whsec_first', during)]);
  verified(second.secret, during);
  verified('whsec_first', during);

  const third = simulator.rollSecret(id, 60);
  simulator.create('customer');
  const [, both] = (await receiver.until(2)) as [Received, Received];
  expect(schemes(both.signature).v1).toHaveLength(3);
  simulator.advanceClock(61);
  simulator.create('customer');
  const [, , after] = (await receiver.until(3)) as [Received, Received, Received];
  expect(schemes(after.signature).v1).toEqual([hmac(third.secret, after)]);
  expect(() => verified('whsec_first', after)).toThrow(/signature/i);

  const fourth = simulator.rollSecret(id, 0);
  simulator.create('customer');
  const last = (await receiver.until(4))[3] as Received;
  expect(schemes(last.signature).v1).toEqual([hmac(fourth.secret, last)]);
  expect(() => simulator.rollSecret(id, 90_000)).toThrow(/86400/);
});

test('lists and retrieves show the endpoints and never a secret', async () => {
  const simulator = await simulatorFor();
  const { id, secret } = simulator.addWebhookEndpoint({
    url: 'http://127.0.0.1:9/webhooks',
    enabledEvents: ['customer.created'],
    apiVersion: '2024-06-20',
  });
  simulator.addWebhookEndpoint({ url: 'http://127.0.0.1:9/thin', thin: true });
  simulator.addWebhookEndpoint({ url: 'http://127.0.0.1:9/platform', connect: true });
  const endpoint = {
    id,
    object: 'webhook_endpoint',
    api_version: '2024-06-20',
    enabled_events: ['customer.created'],
    livemode: false,
    status: 'enabled',
    url: 'http://127.0.0.1:9/webhooks',
  };
  const stripe = stripeFor(simulator);
  const { data } = await stripe.webhookEndpoints.list();
  expect(data).toHaveLength(1);
  expect(data[0]).toMatchObject(endpoint);
  simulator.rollSecret(id, 10);
  simulator.updateWebhookEndpoint(id, { disabled: true, url: 'http://127.0.0.1:9/other' });
  expect(await stripe.webhookEndpoints.retrieve(id)).toMatchObject({
    ...endpoint,
    status: 'disabled',
    url: 'http://127.0.0.1:9/other',
  });
  const everything = JSON.stringify([data, [...simulator.truth()].map(([, objects]) => [...objects])]);
  expect(everything).toContain(id);
  expect(everything).not.toContain('whsec_');
  expect(everything).not.toContain(secret);
  simulator.removeWebhookEndpoint(id);
  expect((await ask(simulator, `/v1/webhook_endpoints/${id}`)).status).toBe(404);
  expect(() => simulator.removeWebhookEndpoint(id)).toThrow(/no webhook endpoint/);
});

test('a thin event names its object and does not carry it', async () => {
  const simulator = await simulatorFor();
  const receiver = await receiverFor();
  const { id, secret } = simulator.addWebhookEndpoint({
    url: receiver.url,
    thin: true,
    enabledEvents: [
      'v1.customer.created',
      'customer_cash_balance_transaction.created',
      'v1.balance.available',
      'invoice.upcoming',
    ],
  });
  expect(id).toMatch(/^ed_test_/);
  const customer = simulator.create('customer', { id: 'cus_thin' });
  simulator.create('coupon');
  const underneath = simulator.create('customer_cash_balance_transaction', { customer: 'cus_thin' });
  simulator.emit('balance.available', 'balance');
  simulator.emit('invoice.upcoming', 'invoice');
  const byType = new Map((await receiver.until(4)).map((one) => [one.event.type, one]));
  const one = byType.get('v1.customer.created') as Received;
  const snapshot = simulator.events().find(({ objectId }) => objectId === customer.id);
  expect(one.event).toMatchObject({
    id: expect.stringMatching(/^evt_test_65/),
    object: 'v2.core.event',
    type: 'v1.customer.created',
    livemode: false,
    context: null,
    related_object: { id: 'cus_thin', type: 'customer', url: '/v1/customers/cus_thin' },
    snapshot_event: snapshot?.id,
  });
  expect(one.event.created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Math.floor(Date.parse(String(one.event.created)) / 1000)).toBe(snapshot?.created);
  expect(one.event).not.toHaveProperty('data');
  expect(schemes(one.signature).v1).toEqual([hmac(secret, one)]);
  expect(() => verified(secret, one)).toThrow(/thin/);
  const stripe = new Stripe('sk_test_unused');
  expect(stripe.parseEventNotification(one.raw, one.signature, secret)).toMatchObject({
    type: 'v1.customer.created',
  });

  const { event } = byType.get('v1.customer_cash_balance_transaction.created') as Received;
  const { url } = event.related_object as { url: string };
  expect(url).toContain('/v1/customers/cus_thin/');
  expect((await ask(simulator, url)).body.id).toBe(underneath.id);
  expect(byType.get('v1.balance.available')?.event.related_object).toEqual({
    type: 'balance',
    url: '/v1/balance',
  });
  expect(byType.get('v1.invoice.upcoming')?.event).not.toHaveProperty('related_object');
});

test('an endpoint gets events in its own API version, whichever way it lies from the event’s', async () => {
  const simulator = await simulatorFor();
  const [old, current] = [await receiverFor(), await receiverFor()];
  simulator.addWebhookEndpoint({ url: old.url, apiVersion: '2024-06-20' });
  simulator.addWebhookEndpoint({ url: current.url, apiVersion: simulator.apiVersion });
  const { id } = simulator.create('subscription', {}, { apiVersion: '2023-10-16' });
  const isIt = ({ event }: Received) => event.type === 'customer.subscription.created';
  await expect.poll(() => old.received.some(isIt) && current.received.some(isIt)).toBe(true);
  const [inOld, inCurrent] = [old.received.find(isIt)?.event, current.received.find(isIt)?.event];
  expect(inOld?.id).toBe(inCurrent?.id);
  expect([inOld?.api_version, inCurrent?.api_version]).toEqual(['2024-06-20', simulator.apiVersion]);
  expect(objectIn(inOld)).toHaveProperty('current_period_end');
  expect(objectIn(inCurrent)).not.toHaveProperty('current_period_end');
  expect(objectIn(inCurrent)).toEqual(simulator.get('subscription', String(id))?.data);
  const listed = await ask(simulator, `/v1/events/${inOld?.id}`);
  expect(listed.body.api_version).toBe('2023-10-16');
});

test('the endpoint of a platform is told which connected account an event is of', async () => {
  const simulator = await simulatorFor();
  const [platform, own] = [await receiverFor(), await receiverFor()];
  const { secret } = simulator.addWebhookEndpoint({ url: platform.url, connect: true });
  simulator.addWebhookEndpoint({ url: own.url });
  simulator.create('customer');
  const [one] = (await platform.until(1)) as [Received];
  const [other] = (await own.until(1)) as [Received];
  expect(verified(secret, one).account).toBe(simulator.account);
  expect(other.event).not.toHaveProperty('account');
  const { account: _account, pending_webhooks: _pending, ...rest } = one.event;
  expect(other.event).toMatchObject(rest);
});

test('an event may arrive before the list shows it, and after', async () => {
  const simulator = await simulatorFor({ visibility: { p50: 60, p99: 60, max: 60 } });
  const receiver = await receiverFor();
  const { id } = simulator.addWebhookEndpoint({ url: receiver.url });
  simulator.create('customer');
  const [early] = (await receiver.until(1)) as [Received];
  expect((await ask(simulator, `/v1/events/${early.event.id}`)).status).toBe(404);
  simulator.advanceClock(61);
  expect((await ask(simulator, `/v1/events/${early.event.id}`)).status).toBe(200);

  simulator.updateWebhookEndpoint(id, { delivery: { delay: 300 } });
  simulator.setVisibility({ kind: 'none' });
  simulator.create('customer');
  await pause(150);
  expect((await askPage(simulator, '/v1/events')).data).toHaveLength(2);
  expect(receiver.received).toHaveLength(1);
  simulator.advanceClock(301);
  await receiver.until(2);
});

test('events that not every endpoint has are found by delivery_success', async () => {
  const simulator = await simulatorFor();
  const receiver = await receiverFor(({ event }) => (event.type === 'coupon.created' ? 500 : 200));
  simulator.addWebhookEndpoint({ url: receiver.url });
  simulator.create('customer');
  simulator.create('coupon');
  await expect.poll(() => simulator.stats().webhooks.delivered).toBe(1);
  const types = async (success: boolean) =>
    (await stripeFor(simulator).events.list({ delivery_success: success })).data.map(({ type }) => type);
  expect(await types(true)).toEqual(['customer.created']);
  expect(await types(false)).toEqual(['coupon.created']);
});

test('another process adds an endpoint, changes it, rolls its secret, removes it, and reads what arrived', async () => {
  const simulator = await simulatorFor();
  const receiver = await receiverFor();
  const control = async (order: object) => {
    const response = await fetch(`${simulator.url}/_simulator/control`, {
      method: 'POST',
      body: JSON.stringify(order),
    });
    return (await response.json()) as Record<string, JsonObject>;
  };
  const lines = async (path: string) =>
    (await (await fetch(`${simulator.url}/_simulator/${path}`)).text())
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as JsonObject);

  const made = await control({
    addWebhookEndpoint: { url: receiver.url, delivery: { dropped: 1 } },
    create: { object: 'customer' },
  });
  const { id } = made.webhookEndpoint as { id: string };
  await control({ create: { object: 'customer' } });
  expect(simulator.stats().webhooks).toMatchObject({ sent: 0, dropped: 1 });
  const rolled = await control({
    updateWebhookEndpoint: { id, delivery: {} },
    rollSecret: { id, overlapSeconds: 0 },
  });
  await control({ create: { object: 'customer' } });
  const [one] = (await receiver.until(1)) as [Received];
  verified(String(rolled.webhookEndpoint?.secret), one);
  await expect.poll(() => simulator.stats().webhooks.delivered).toBe(1);
  expect((await lines('delivery-stats'))[0]).toEqual(simulator.stats().webhooks);
  expect(await lines('deliveries')).toEqual(simulator.deliveries());
  expect(await lines('event-deliveries')).toEqual([...simulator.eventDeliveries()]);
  expect((await lines('event-deliveries')).map(({ attempts }) => attempts)).toEqual([0, 1]);
  await control({ removeWebhookEndpoint: id, create: { object: 'customer' } });
  await pause(100);
  expect(receiver.received).toHaveLength(1);

  for (const [wrong, reason] of [
    [{ url: 'ftp://x' }, /http or https/],
    [{ url: receiver.url, enabledEvents: ['customer.exploded'] }, /no event type/],
    [{ url: receiver.url, apiVersion: 'newest' }, /API version/],
    [{ url: receiver.url, delivery: { dropped: 2 } }, /share/],
    [{ url: receiver.url, delivery: { drop: 0.1 } }, /no setting "drop"/],
    [{ url: receiver.url, delivery: { retry: { firstSeconds: 0, factor: 2 } } }, /retry schedule/],
  ] as const) {
    expect((await control({ addWebhookEndpoint: wrong })).error).toMatch(reason);
  }
  expect((await askPage(simulator, '/v1/webhook_endpoints')).data).toEqual([]);
});

test('endpoints and their secrets outlive a restart on the same directory', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'simulator-webhooks-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const receiver = await receiverFor();
  const first = await simulatorFor({ directory });
  const kept = first.addWebhookEndpoint({ url: receiver.url, enabledEvents: ['customer.created'] });
  const gone = first.addWebhookEndpoint({ url: receiver.url });
  first.removeWebhookEndpoint(gone.id);
  const { secret } = first.rollSecret(kept.id, 3600);
  await first.close();

  for (const name of ['again', 'and again']) {
    const simulator = await simulatorFor({ directory });
    const before = receiver.received.length;
    simulator.create('customer', { name });
    simulator.create('coupon');
    const one = (await receiver.until(before + 1)).at(-1) as Received;
    expect(verified(secret, one).data.object).toMatchObject({ name });
    verified(kept.secret, one);
    expect((await askPage(simulator, '/v1/webhook_endpoints')).data.map(({ id }) => id)).toEqual([kept.id]);
    await simulator.close();
  }
  expect(receiver.received).toHaveLength(2);
});
