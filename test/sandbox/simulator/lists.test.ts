import { expect, test } from 'vitest';
import { catalog } from '../../../src/sandbox/simulator/catalog.js';
import type { JsonObject } from '../../../src/sandbox/simulator/index.js';
import { ask, askPage, errorOf, simulatorFor, stripeFor, walk } from './asking.js';

const idsOf = (objects: readonly JsonObject[]): string[] => objects.map(({ id }) => String(id));

test('a list is reverse chronological and gives every object once, in both directions', async () => {
  const simulator = await simulatorFor();
  const now = Math.floor(simulator.now());
  // Several share a second.
  const made = simulator.createMany('customer', 57, { from: now - 20, to: now - 1 });
  const all = await walk(simulator, '/v1/customers', 10);
  expect(new Set(idsOf(all))).toEqual(new Set(made));
  expect(all).toHaveLength(57);
  const created = all.map((customer) => customer.created as number);
  expect(created).toEqual(created.toSorted((a, b) => b - a));

  const back: string[] = [];
  let cursor = idsOf(all).at(-1) ?? '';
  for (let more = true; more; ) {
    const page = await askPage(simulator, `/v1/customers?limit=10&ending_before=${cursor}`);
    back.unshift(...idsOf(page.data));
    cursor = page.data[0]?.id ?? '';
    more = page.has_more;
  }
  expect(back).toEqual(idsOf(all).slice(0, -1));
  const bothWays = await stripeFor(simulator).customers.list().autoPagingToArray({ limit: 100 });
  expect(bothWays.map(({ id }) => id)).toEqual(idsOf(all));
});

test('a page is small by default, names its url, and takes a created filter', async () => {
  const simulator = await simulatorFor();
  const now = Math.floor(simulator.now());
  simulator.createMany('charge', 30, { from: now - 300, to: now });
  const page = await askPage(simulator, '/v1/charges');
  expect(page.data).toHaveLength(10);
  expect(page).toMatchObject({ object: 'list', has_more: true, url: '/v1/charges' });
  const some = await stripeFor(simulator).charges.list({ created: { gte: now - 100 }, limit: 100 });
  expect(some.data).toHaveLength(11);
});

/** Types that exist once, or that only a parent's life brings forth. */
const listable = [...catalog.values()].filter(
  ({ object, listPath }) => listPath !== null && object !== 'event',
);

test.each(listable.map((entry) => [entry.object, entry] as const))(
  'objects of the type %s can be listed and retrieved',
  async (object, entry) => {
    const simulator = await simulatorFor();
    const ids = simulator.createMany(object, 7);
    expect(new Set(ids).size).toBe(7);
    const truth = simulator.truth().get(object);
    const seen = new Set<string>();
    const collect = async (path: string): Promise<void> => {
      for (const item of await walk(simulator, path, 3)) {
        if (item.object === object) {
          expect(item).toEqual(truth?.get(String(item.id))?.data);
          seen.add(String(item.id));
        }
      }
    };
    const path = entry.listPath ?? '';
    const passes: Record<string, string[]> = {
      price: ['active=true', 'active=false'],
      subscription: ['status=all'],
      'tax.registration': ['status=all'],
      'apps.secret': ['scope[type]=account'],
      'tax.location': ['type=performance'],
      'billing.meter_event_summary': ['customer=CUSTOMER&start_time=0&end_time=99999999999'],
      'financial_connections.account_owner': ['ownership=x'],
    };
    const queries = passes[object] ?? [''];
    const { parent } = entry;
    if (parent === undefined || parent.object === null) {
      for (const query of queries) await collect(`${path}?${query}`);
      if (object === 'tax_id')
        for (const id of simulator.truth().get('customer')?.keys() ?? [])
          await collect(`/v1/customers/${id}/tax_ids`);
    } else {
      const [customer = ''] = simulator.createMany('customer', 1);
      const paths = [path, ...entry.otherListPaths];
      for (const nested of paths) {
        const [, owner = ''] = /^(\/v1\/.*?)\/\{/.exec(nested) ?? [];
        const parentObject =
          owner === ''
            ? parent.object
            : ([...catalog.values()].find(
                ({ retrievePath }) => retrievePath?.replace(/\/\{[^/]*\}$/, '') === owner,
              )?.object ?? '');
        for (const id of [...(simulator.truth().get(parentObject)?.keys() ?? [])]) {
          for (const query of queries) {
            const own =
              entry.requiredQuery.includes(parent.queryParams[0] ?? '-') && owner === ''
                ? `${parent.queryParams[0]}=${id}`
                : '';
            await collect(`${nested.replace(/\{[^}]+\}/, id)}?${own}${query.replace('CUSTOMER', customer)}`);
          }
        }
      }
    }
    // Makers of other objects may have made some more, such as the lines of an invoice.
    expect([...seen].toSorted()).toEqual([...(truth?.keys() ?? [])].toSorted());
    expect(ids.every((id) => seen.has(id))).toBe(true);

    if (entry.retrievePath !== null && !entry.retrievePath.replace(/\{[^}]+\}$/, '').includes('{')) {
      const [id = ''] = ids;
      const { status, body } = await ask(
        simulator,
        entry.retrievePath.replace(/\{[^}]+\}/, encodeURIComponent(id)),
      );
      expect(status).toBe(200);
      expect(body).toEqual(truth?.get(id)?.data);
    }
  },
);

test('subscriptions leave the canceled ones out unless status=all', async () => {
  const simulator = await simulatorFor();
  const [first = '', second = ''] = simulator.createMany('subscription', 2);
  simulator.remove('subscription', first);
  expect(idsOf((await askPage(simulator, '/v1/subscriptions')).data)).toEqual([second]);
  expect(idsOf((await askPage(simulator, '/v1/subscriptions?status=all')).data).toSorted()).toEqual(
    [first, second].toSorted(),
  );
  expect(idsOf((await askPage(simulator, '/v1/subscriptions?status=canceled')).data)).toEqual([first]);
  // A canceled one is no cursor of a walk that leaves the canceled ones out.
  expect((await ask(simulator, `/v1/subscriptions?starting_after=${first}`)).status).toBe(400);
  expect((await ask(simulator, `/v1/subscriptions?status=all&starting_after=${first}`)).status).toBe(200);
});

test('prices show the active ones unless active=false, and inline prices never', async () => {
  const simulator = await simulatorFor();
  const active = String(simulator.create('price').id);
  const inactive = String(simulator.create('price', { active: false }).id);
  const inline = String(simulator.create('price', {}, { listed: false }).id);
  expect(idsOf((await askPage(simulator, '/v1/prices')).data)).toEqual([active]);
  expect(idsOf((await askPage(simulator, '/v1/prices?active=true')).data)).toEqual([active]);
  expect(idsOf((await askPage(simulator, '/v1/prices?active=false')).data)).toEqual([inactive]);
  expect((await ask(simulator, `/v1/prices/${inline}`)).body.id).toBe(inline);
});

test('other lists that lie by default: reviews, tax ids, payment methods, test-clock objects', async () => {
  const simulator = await simulatorFor();
  const open = String(simulator.create('review').id);
  const closed = String(simulator.create('review').id);
  simulator.update('review', closed, { open: false, closed_reason: 'approved' }, { event: 'review.closed' });
  expect(idsOf((await askPage(simulator, '/v1/reviews')).data)).toEqual([open]);
  expect((await ask(simulator, `/v1/reviews/${closed}`)).status).toBe(200);

  const own = String(simulator.create('tax_id', { customer: null }).id);
  const theirs = simulator.create('tax_id');
  expect(idsOf((await askPage(simulator, '/v1/tax_ids')).data)).toEqual([own]);
  expect(idsOf((await askPage(simulator, `/v1/customers/${theirs.customer}/tax_ids`)).data)).toEqual([
    theirs.id,
  ]);
  const asked = `/v1/tax_ids?owner[type]=customer&owner[customer]=${theirs.customer}`;
  expect(idsOf((await askPage(simulator, asked)).data)).toEqual([theirs.id]);

  const card = String(simulator.create('payment_method').id);
  const custom = String(simulator.create('payment_method', { type: 'custom' }).id);
  expect(idsOf((await askPage(simulator, '/v1/payment_methods')).data)).toEqual([card]);
  expect(idsOf((await askPage(simulator, '/v1/payment_methods?type=custom')).data)).toEqual([custom]);

  const clock = String(simulator.create('test_helpers.test_clock').id);
  const timed = String(simulator.create('customer', { test_clock: clock }).id);
  expect(idsOf(await walk(simulator, '/v1/customers'))).not.toContain(timed);
  expect(idsOf(await walk(simulator, `/v1/customers?test_clock=${clock}`))).toEqual([timed]);
});

test('what a list does not know, needs or finds is refused as Stripe refuses it', async () => {
  const simulator = await simulatorFor();
  simulator.create('subscription');
  const unknown = await ask(simulator, '/v1/customers?colour=red');
  expect([unknown.status, errorOf(unknown).code, errorOf(unknown).param]).toEqual([
    400,
    'parameter_unknown',
    'colour',
  ]);
  // Products have a created filter and payment methods have none.
  expect((await ask(simulator, '/v1/products?created[gt]=5')).status).toBe(200);
  expect((await ask(simulator, '/v1/payment_methods?created[gt]=5')).status).toBe(400);
  const missing = await ask(simulator, '/v1/subscription_items');
  expect([missing.status, errorOf(missing).code]).toEqual([400, 'parameter_missing']);
  const cursor = await ask(simulator, '/v1/customers?starting_after=cus_nope');
  expect([cursor.status, errorOf(cursor).code, errorOf(cursor).param]).toEqual([
    400,
    'resource_missing',
    'starting_after',
  ]);
  expect((await ask(simulator, '/v1/subscription_items?subscription=sub_nope')).status).toBe(400);
  expect((await ask(simulator, '/v1/customers/cus_nope/sources')).status).toBe(404);
  await expect(stripeFor(simulator).customers.retrieve('cus_nope')).rejects.toMatchObject({
    type: 'StripeInvalidRequestError',
    code: 'resource_missing',
    statusCode: 404,
  });
  const path = await ask(simulator, '/v1/unicorns');
  expect(path.status).toBe(404);
  expect(errorOf(path).message).toMatch(/Unrecognized request URL/);
  await expect(stripeFor(simulator).customers.create({ name: 'x' })).rejects.toMatchObject({
    statusCode: 405,
  });
});

test('filters narrow a list down', async () => {
  const simulator = await simulatorFor();
  const { id, customer } = simulator.create('subscription');
  const invoice = simulator.create('invoice', {
    customer: customer ?? null,
    parent: { type: 'subscription_details', subscription_details: { subscription: id ?? null } },
  });
  simulator.createMany('invoice', 5);
  expect(idsOf((await askPage(simulator, `/v1/invoices?subscription=${id}`)).data)).toEqual([invoice.id]);
  simulator.update('invoice', String(invoice.id), { status: 'open' });
  expect(idsOf((await askPage(simulator, '/v1/invoices?status=open')).data)).toEqual([invoice.id]);
  const payout = simulator.create('payout');
  const at = Number(payout.arrival_date);
  expect(idsOf((await askPage(simulator, `/v1/payouts?arrival_date[gte]=${at}`)).data)).toEqual([payout.id]);
  expect((await askPage(simulator, `/v1/payouts?arrival_date[gt]=${at}`)).data).toEqual([]);
});

test('an embedded list holds ten items, and its url leads to all of them', async () => {
  const simulator = await simulatorFor();
  const made = simulator.create('subscription', {}, { items: 23 });
  const { body } = await ask(simulator, `/v1/subscriptions/${made.id}`);
  const items = body.items as { data: JsonObject[]; has_more: boolean; url: string };
  expect(items.data).toHaveLength(10);
  expect(items).toMatchObject({
    object: 'list',
    has_more: true,
    url: `/v1/subscription_items?subscription=${made.id}`,
  });
  const all = await walk(simulator, items.url);
  expect(all).toHaveLength(23);
  expect(all.slice(0, 10)).toEqual(items.data);
  expect(simulator.get('subscription', String(made.id))?.complete?.items).toEqual(all);

  const short = simulator.create('invoice', {}, { items: 3 });
  expect(short.lines).toMatchObject({ has_more: false, url: `/v1/invoices/${short.id}/lines` });
  expect(await walk(simulator, `/v1/invoices/${short.id}/lines`)).toEqual((short.lines as JsonObject).data);
});

test('a subscription follows its items, and says so', async () => {
  const simulator = await simulatorFor();
  const { id } = simulator.create('subscription', {}, { items: 1 });
  const item = simulator.create('subscription_item', { subscription: id ?? null });
  simulator.update('subscription_item', String(item.id), { quantity: 99 });
  simulator.remove('subscription_item', String(item.id));
  const updates = (await askPage(simulator, '/v1/events?type=customer.subscription.updated')).data;
  expect(updates).toHaveLength(3);
  const lengths = updates.map(
    ({ data }) => (data as { object: { items: { data: unknown[] } } }).object.items.data.length,
  );
  expect(lengths.toSorted()).toEqual([1, 2, 2]);
  const previous = updates.map(({ data }) => (data as { previous_attributes: object }).previous_attributes);
  expect(previous.every((attributes) => Object.keys(attributes).join() === 'items')).toBe(true);
});

test('singletons, nested objects and expansion', async () => {
  const simulator = await simulatorFor();
  expect((await ask(simulator, '/v1/balance')).body).toMatchObject({ object: 'balance' });
  expect((await ask(simulator, '/v1/account')).body).toMatchObject({ id: simulator.account });
  const card = simulator.create('card');
  const bank = simulator.create('bank_account', { customer: card.customer ?? null });
  const other = simulator.create('customer');
  const sources = await askPage(simulator, `/v1/customers/${card.customer}/sources`);
  expect(idsOf(sources.data).toSorted()).toEqual([String(card.id), String(bank.id)].toSorted());
  expect(
    idsOf((await askPage(simulator, `/v1/customers/${card.customer}/sources?object=card`)).data),
  ).toEqual([card.id]);
  expect((await ask(simulator, `/v1/customers/${card.customer}/sources/${card.id}`)).body).toEqual(card);
  expect((await ask(simulator, `/v1/customers/${other.id}/sources/${card.id}`)).status).toBe(404);
  expect((await ask(simulator, `/v1/customers/${other.id}/cash_balance`)).body).toMatchObject({
    customer: other.id,
  });

  const charge = simulator.create('refund').charge;
  const expanded = await stripeFor(simulator).refunds.list({ expand: ['data.charge'] });
  expect(expanded.data[0]?.charge).toMatchObject({ id: charge, object: 'charge' });
  const customer = await stripeFor(simulator).customers.retrieve(String(card.customer), {
    expand: ['sources'],
  });
  expect(customer).toMatchObject({ sources: { object: 'list', has_more: false } });
  expect((await ask(simulator, '/v1/refunds?expand[]=data.colour')).status).toBe(400);
});

test('fractions of a cent arrive as the string they are', async () => {
  const simulator = await simulatorFor();
  const { id } = simulator.create('price', { unit_amount_decimal: '12.50' });
  const raw = await stripeFor(simulator).rawRequest('GET', `/v1/prices/${id}`);
  expect(raw).toMatchObject({ unit_amount_decimal: '12.50' });
});
