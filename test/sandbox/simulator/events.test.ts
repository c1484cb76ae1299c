import { expect, test } from 'vitest';
import { ask, askPage, errorOf, objectIn, simulatorFor, stripeFor, walk } from './asking.js';

const SECOND = 1_800_000_000;

test('events come newest first, and in a stable order within one second that is not the order of their making', async () => {
  const simulator = await simulatorFor();
  const at = Math.floor(simulator.now()) - 100;
  const { id } = simulator.create('customer', {}, { created: at });
  for (let step = 0; step < 30; step += 1) {
    simulator.update('customer', String(id), { balance: step }, { created: at + (step < 20 ? 0 : 1) });
  }
  const first = await askPage(simulator, '/v1/events?limit=100');
  const again = await askPage(simulator, '/v1/events?limit=100');
  const created = first.data.map((event) => event.created as number);
  expect(created).toEqual([...created].sort((a, b) => b - a));
  expect(first.data).toEqual(again.data);
  expect(first.data).toHaveLength(31);
  const made = simulator.events();
  expect(made.map(({ created: second }) => second)).toEqual(created.toReversed());
  const balances = first.data
    .filter((event) => event.created === at && event.type === 'customer.updated')
    .map((event) => Number(objectIn(event).balance));
  expect(balances).toHaveLength(20);
  expect(balances).not.toEqual([...balances].sort((a, b) => b - a));
  expect(balances).not.toEqual([...balances].sort((a, b) => a - b));
});

test('event ids do not tell which event is older', async () => {
  const simulator = await simulatorFor();
  for (let at = 0; at < 40; at += 1)
    simulator.create('customer', {}, { created: Math.floor(simulator.now()) - 100 + at });
  const ids = simulator.events().map(({ id }) => id);
  expect(ids).not.toEqual([...ids].sort());
  expect(new Set(ids.map((id) => id.slice(0, 5)))).toEqual(new Set(['evt_1', 'evt_3']));
});

test('walking back with starting_after and forward with ending_before both see every event once', async () => {
  const simulator = await simulatorFor();
  for (let at = 0; at < 95; at += 1) {
    simulator.create('customer', {}, { created: Math.floor(simulator.now()) - 100 + Math.floor(at / 7) });
  }
  const newestFirst = (await askPage(simulator, '/v1/events?limit=100')).data.map(({ id }) => id);
  expect((await walk(simulator, '/v1/events', 10)).map(({ id }) => id)).toEqual(newestFirst);

  const oldest = newestFirst.at(-1) ?? '';
  const forward: string[] = [oldest];
  for (let cursor = oldest; ; ) {
    const page = await askPage(simulator, `/v1/events?limit=10&ending_before=${cursor}`);
    forward.push(...page.data.map(({ id }) => id).toReversed());
    cursor = page.data[0]?.id ?? cursor;
    if (!page.has_more) break;
  }
  expect(forward).toEqual(newestFirst.toReversed());
});

test('ending_before gives the page next to its cursor, newest first within it', async () => {
  const simulator = await simulatorFor();
  for (let at = 0; at < 9; at += 1)
    simulator.create('customer', {}, { created: Math.floor(simulator.now()) - 50 + at });
  const stripe = stripeFor(simulator);
  const all = (await stripe.events.list({ limit: 100 })).data.map(({ id }) => id);
  const page = await stripe.events.list({ limit: 3, ending_before: all[6] ?? '' });
  expect(page.data.map(({ id }) => id)).toEqual(all.slice(3, 6));
  expect(page.has_more).toBe(true);
  const last = await stripe.events.list({ limit: 3, ending_before: all[2] ?? '' });
  expect(last.data.map(({ id }) => id)).toEqual(all.slice(0, 2));
  expect(last.has_more).toBe(false);
});

test('the real client iterates over all events, and filters by type, types, wildcard and created', async () => {
  const simulator = await simulatorFor();
  const base = Math.floor(simulator.now()) - 60;
  for (let at = 0; at < 12; at += 1) {
    const { id } = simulator.create('customer', {}, { created: base + at });
    simulator.update('customer', String(id), { name: `n${at}` }, { created: base + at });
    simulator.create('coupon', {}, { created: base + at });
  }
  const stripe = stripeFor(simulator);
  const ids: string[] = [];
  for await (const event of stripe.events.list({ limit: 5 })) ids.push(event.id);
  expect(ids).toHaveLength(36);
  expect(new Set(ids)).toEqual(new Set(simulator.events().map(({ id }) => id)));

  const updates = await stripe.events.list({ type: 'customer.updated', limit: 100 });
  expect(updates.data).toHaveLength(12);
  const both = await stripe.events.list({ types: ['customer.created', 'coupon.created'], limit: 100 });
  expect(new Set(both.data.map(({ type }) => type))).toEqual(new Set(['customer.created', 'coupon.created']));
  expect(both.data).toHaveLength(24);
  expect((await stripe.events.list({ type: 'customer.*', limit: 100 })).data).toHaveLength(24);

  const inner = await stripe.events.list({ created: { gt: base + 2, lte: base + 5 }, limit: 100 });
  expect(inner.data).toHaveLength(9);
  expect(inner.data.every(({ created }) => created > base + 2 && created <= base + 5)).toBe(true);
  expect(
    (await stripe.events.list({ created: { gte: base + 2, lt: base + 5 }, limit: 100 })).data,
  ).toHaveLength(9);
  expect((await stripe.events.list({ created: base + 3, limit: 100 })).data).toHaveLength(3);
});

test('an event that surfaces late appears at its own place, behind newer ones that were listed before it', async () => {
  let machine = SECOND * 1000;
  const simulator = await simulatorFor({ machineNow: () => machine });
  const { id } = simulator.create('customer', { name: 'first' });
  machine += 1000;
  simulator.update('customer', String(id), { name: 'second' }, { visibleAfterSeconds: 30 });
  machine += 1000;
  simulator.update('customer', String(id), { name: 'third' });
  machine += 1000;

  const late = simulator.events()[1];
  const before = await askPage(simulator, '/v1/events');
  expect(before.data).toHaveLength(2);
  expect((await ask(simulator, `/v1/events/${late?.id}`)).status).toBe(404);
  // The object itself has changed all the same.
  expect((await ask(simulator, `/v1/customers/${id}`)).body.name).toBe('third');
  // A cursor that has moved to the newest event never sees the late one.
  const newest = before.data[0]?.id ?? '';

  machine += 28_000;
  const after = await askPage(simulator, '/v1/events');
  expect(after.data.map(({ created }) => created)).toEqual([SECOND + 2, SECOND + 1, SECOND]);
  expect(after.data[1]?.id).toBe(late?.id);
  expect((await askPage(simulator, `/v1/events?ending_before=${newest}`)).data).toEqual([]);
  expect((await ask(simulator, `/v1/events/${late?.id}`)).status).toBe(200);
  expect(simulator.event(late?.id ?? '')).toMatchObject({ changedAt: SECOND + 1, visibleAt: SECOND + 31 });
  expect(simulator.stats().late).toEqual({ count: 1, maxSeconds: 1 });
});

test('visibility follows its profile: most events soon, some much later', async () => {
  let machine = SECOND * 1000;
  const simulator = await simulatorFor({
    machineNow: () => machine,
    visibility: { p50: 0.5, p99: 2, max: 3, stragglers: { share: 0.05, minimum: 20, maximum: 40 } },
  });
  for (let at = 0; at < 2000; at += 1) simulator.create('coupon');
  const delays = simulator.events().map(({ changedAt, visibleAt }) => visibleAt - changedAt);
  const sorted = delays.toSorted((a, b) => a - b);
  expect(sorted[1000]).toBeGreaterThan(0.4);
  expect(sorted[1000]).toBeLessThan(0.65);
  const stragglers = delays.filter((delay) => delay >= 20);
  expect(stragglers.length).toBeGreaterThan(60);
  expect(stragglers.length).toBeLessThan(150);
  expect(delays.every((delay) => delay <= 3 || (delay >= 20 && delay <= 40))).toBe(true);
  expect(simulator.stats().surfaced.maxSeconds).toBeGreaterThan(20);

  machine += 3000;
  const visible = await walk(simulator, '/v1/events');
  expect(visible).toHaveLength(2000 - stragglers.length);
});

test('an event is gone after 30 days, and as a cursor it is refused with the reason', async () => {
  const simulator = await simulatorFor();
  simulator.create('customer');
  const [old] = simulator.events();
  simulator.advanceClock(30 * 86_400 - 60);
  expect((await askPage(simulator, '/v1/events')).data).toHaveLength(1);
  simulator.advanceClock(120);
  simulator.create('customer');
  expect((await askPage(simulator, '/v1/events')).data).toHaveLength(1);
  expect((await ask(simulator, `/v1/events/${old?.id}`)).status).toBe(404);

  const refused = await ask(simulator, `/v1/events?ending_before=${old?.id}`);
  expect(refused.status).toBe(400);
  expect(errorOf(refused).message).toMatch(/aged out/);
  await expect(stripeFor(simulator).events.list({ starting_after: old?.id ?? '' })).rejects.toMatchObject({
    type: 'StripeInvalidRequestError',
    statusCode: 400,
    param: 'starting_after',
  });
});

test('an unknown cursor, two cursors, and parameters that do not exist are refused', async () => {
  const simulator = await simulatorFor();
  simulator.create('customer');
  const [event] = simulator.events();
  const unknown = await ask(simulator, '/v1/events?ending_before=evt_1nope');
  expect(unknown.status).toBe(400);
  expect(errorOf(unknown)).toMatchObject({ code: 'resource_missing', param: 'ending_before' });
  const both = await ask(simulator, `/v1/events?ending_before=${event?.id}&starting_after=${event?.id}`);
  expect(both.status).toBe(400);
  for (const query of ['limit=0', 'limit=101', 'limit=x', 'colour=red', 'created[over]=5', 'created=soon']) {
    expect((await ask(simulator, `/v1/events?${query}`)).status, query).toBe(400);
  }
  const types = (count: number) => Array.from({ length: count }, () => 'types[]=customer.created').join('&');
  expect((await ask(simulator, `/v1/events?${types(20)}`)).status).toBe(200);
  expect((await ask(simulator, `/v1/events?${types(21)}`)).status).toBe(400);
});

test('an event holds the object as it was then, in the version of its making, and what changed', async () => {
  const simulator = await simulatorFor();
  const { id } = simulator.create('customer', {
    name: 'Ada',
    metadata: { a: '1', b: '2' },
    address: { city: 'Bonn', line1: 'x' },
  });
  simulator.update(
    'customer',
    String(id),
    { name: 'Bea', metadata: { a: null, c: '3' }, address: { city: 'Kyiv' } },
    { apiVersion: '2024-06-20' },
  );
  simulator.update('customer', String(id), { name: 'Cy' });
  const events = await stripeFor(simulator).events.list({ type: 'customer.updated' });
  const bea = events.data.find((event) => (event.data.object as { name?: string }).name === 'Bea');
  expect(bea?.api_version).toBe('2024-06-20');
  expect(bea?.data.object).toMatchObject({
    id,
    metadata: { b: '2', c: '3' },
    address: { city: 'Kyiv', line1: 'x' },
  });
  expect(bea?.data.previous_attributes).toEqual({
    name: 'Ada',
    metadata: { a: '1', c: null },
    address: { city: 'Bonn' },
  });
  expect(bea).toMatchObject({ object: 'event', livemode: false, pending_webhooks: 0 });
  const made = (await stripeFor(simulator).events.list({ type: 'customer.created' })).data[0];
  expect(made?.data).not.toHaveProperty('previous_attributes');
  expect(made?.api_version).toBe(simulator.apiVersion);
});

test('an old version shows a subscription in its old shape, in events and in answers', async () => {
  const simulator = await simulatorFor();
  const { id } = simulator.create('subscription', {}, { apiVersion: '2024-06-20' });
  const [event] = (await askPage(simulator, '/v1/events?type=customer.subscription.created')).data;
  expect(event?.api_version).toBe('2024-06-20');
  expect(objectIn(event)).toMatchObject({ id });
  expect(objectIn(event)).toHaveProperty('current_period_end');
  expect((await ask(simulator, `/v1/subscriptions/${id}`)).body).not.toHaveProperty('current_period_end');
  const old = await fetch(`${simulator.url}/v1/subscriptions/${id}`, {
    headers: { authorization: `Bearer ${simulator.apiKey}`, 'stripe-version': '2024-06-20' },
  });
  expect(old.headers.get('stripe-version')).toBe('2024-06-20');
  expect(await old.json()).toHaveProperty('current_period_end');
});

test('the preview of an invoice has no id', async () => {
  const simulator = await simulatorFor();
  const event = simulator.emit('invoice.upcoming', 'invoice');
  expect(event).not.toHaveProperty('objectId');
  const { body } = await ask(simulator, `/v1/events/${event.id}`);
  const { object } = body.data as { object: object };
  expect(object).toMatchObject({ object: 'invoice' });
  expect(object).not.toHaveProperty('id');
});
