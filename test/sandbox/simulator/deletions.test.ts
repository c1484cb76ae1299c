import { expect, test } from 'vitest';
import { ask, askPage, errorOf, type ListPage, objectIn, simulatorFor, stripeFor } from './asking.js';

const typesOf = (page: ListPage): string[] => page.data.map(({ type }) => String(type));

test('a deleted customer answers that it is deleted, and leaves the list', async () => {
  const simulator = await simulatorFor();
  const id = String(simulator.create('customer', { name: 'Ada' }).id);
  simulator.remove('customer', id);
  expect(await stripeFor(simulator).customers.retrieve(id)).toMatchObject({
    id,
    object: 'customer',
    deleted: true,
  });
  expect(Object.keys((await ask(simulator, `/v1/customers/${id}`)).body)).toEqual([
    'id',
    'object',
    'deleted',
  ]);
  expect((await askPage(simulator, '/v1/customers')).data).toEqual([]);
  const [deleted] = (await askPage(simulator, '/v1/events?type=customer.deleted')).data;
  expect(objectIn(deleted)).toMatchObject({ id, name: 'Ada' });
  expect(simulator.truth().get('customer')?.get(id)).toMatchObject({ deleted: true, data: { name: 'Ada' } });
  expect(() => simulator.update('customer', id, { name: 'Bea' })).toThrow(/deleted/);
});

test.each(['terminal.reader', 'terminal.location', 'terminal.configuration'])(
  'a deleted %s answers that it is deleted, without an event',
  async (object) => {
    const simulator = await simulatorFor();
    const id = String(simulator.create(object).id);
    simulator.remove(object, id);
    const path = `/v1/${object.replace('.', '/')}s`;
    expect((await ask(simulator, `${path}/${id}`)).body).toEqual({ id, object, deleted: true });
    expect((await askPage(simulator, path)).data).toEqual([]);
    expect(simulator.events()).toEqual([]);
  },
);

test('other deleted objects are not found any more, not even as a cursor', async () => {
  const simulator = await simulatorFor();
  const id = String(simulator.create('product').id);
  simulator.create('product');
  simulator.remove('product', id);
  const gone = await ask(simulator, `/v1/products/${id}`);
  expect([gone.status, errorOf(gone).code]).toEqual([404, 'resource_missing']);
  const cursor = await ask(simulator, `/v1/products?starting_after=${id}`);
  expect([cursor.status, errorOf(cursor).param]).toEqual([400, 'starting_after']);
  const customer = String(simulator.create('customer').id);
  simulator.remove('customer', customer);
  expect((await ask(simulator, `/v1/customers?starting_after=${customer}`)).status).toBe(200);
});

test('customer.subscription.deleted is a cancellation: the subscription lives on', async () => {
  const simulator = await simulatorFor();
  const id = String(simulator.create('subscription').id);
  simulator.remove('subscription', id);
  const body = await stripeFor(simulator).subscriptions.retrieve(id);
  expect(body).toMatchObject({ id, status: 'canceled' });
  expect(body.canceled_at).toBeTypeOf('number');
  expect(simulator.truth().get('subscription')?.get(id)).toMatchObject({
    deleted: false,
    data: { status: 'canceled' },
  });
  const [event] = (await askPage(simulator, '/v1/events?type=customer.subscription.deleted')).data;
  expect(objectIn(event)).toMatchObject({ id, status: 'canceled' });
});

test('a customer takes along what hangs on it', async () => {
  const simulator = await simulatorFor();
  const { id, customer } = simulator.create('subscription');
  const card = simulator.create('card', { customer: customer ?? null });
  const method = simulator.create('payment_method', { customer: customer ?? null });
  simulator.createMany('customer_balance_transaction', 1, { fields: { customer: customer ?? null } });
  const before = simulator.events().length;
  simulator.remove('customer', String(customer));
  const types = simulator
    .events()
    .map(({ type }) => type)
    .toSorted();
  expect(simulator.events().length - before).toBe(4);
  for (const type of [
    'customer.deleted',
    'customer.subscription.deleted',
    'customer.source.deleted',
    'payment_method.detached',
  ]) {
    expect(types).toContain(type);
  }
  expect(simulator.get('subscription', String(id))?.data.status).toBe('canceled');
  expect(simulator.get('card', String(card.id))?.deleted).toBe(true);
  expect((await ask(simulator, `/v1/payment_methods/${method.id}`)).body.customer).toBeNull();
  expect((await ask(simulator, `/v1/customers/${customer}/sources/${card.id}`)).status).toBe(404);
  expect((await ask(simulator, `/v1/customers/${customer}/sources`)).status).toBe(404);
  expect(
    [...(simulator.truth().get('customer_balance_transaction')?.values() ?? [])].map(
      ({ deleted }) => deleted,
    ),
  ).toEqual([true]);
});

test.each(['coupon', 'plan', 'product'])(
  'a %s can be made again under the id of a deleted one',
  async (object) => {
    const simulator = await simulatorFor();
    simulator.create(
      object,
      { id: 'spring', metadata: { life: '1' } },
      { created: Math.floor(simulator.now()) - 10 },
    );
    simulator.remove(object, 'spring');
    expect((await ask(simulator, `/v1/${object}s/spring`)).status).toBe(404);
    expect(() => simulator.update(object, 'spring', {})).toThrow();
    simulator.create(object, { id: 'spring', metadata: { life: '2' } });
    expect(() => simulator.create(object, { id: 'spring' })).toThrow(/already/);
    expect((await ask(simulator, `/v1/${object}s/spring`)).body).toMatchObject({
      id: 'spring',
      metadata: { life: '2' },
    });
    expect(
      (await askPage(simulator, `/v1/${object}s`)).data.filter(({ id }) => id === 'spring'),
    ).toHaveLength(1);
    expect(simulator.truth().get(object)?.get('spring')).toMatchObject({
      deleted: false,
      data: { metadata: { life: '2' } },
    });
    const kinds = typesOf(await askPage(simulator, `/v1/events?type=${object}.*&limit=100`)).map(
      (type) => type.split('.')[1],
    );
    expect(
      kinds.filter((kind) => kind === 'created').length - kinds.filter((kind) => kind === 'deleted').length,
    ).toBe(1);
  },
);

test('a recurring price is a plan too, under the same id', async () => {
  const simulator = await simulatorFor();
  const id = String(simulator.create('price', { type: 'recurring' }).id);
  const types = () => simulator.events().map(({ type }) => type);
  expect(types()).toEqual(expect.arrayContaining(['product.created', 'price.created', 'plan.created']));
  simulator.update('price', id, { nickname: 'Gold', lookup_key: 'gold' });
  expect((await ask(simulator, `/v1/plans/${id}`)).body).toMatchObject({
    id,
    object: 'plan',
    nickname: 'Gold',
  });
  simulator.update('plan', id, { nickname: 'Silver' });
  expect((await ask(simulator, `/v1/prices/${id}`)).body).toMatchObject({
    nickname: 'Silver',
    lookup_key: 'gold',
  });
  simulator.remove('plan', id);
  expect(types()).toEqual(
    expect.arrayContaining(['price.deleted', 'plan.deleted', 'price.updated', 'plan.updated']),
  );
  expect((await ask(simulator, `/v1/prices/${id}`)).status).toBe(404);
});

test('a draft invoice is deleted with its lines, and what Stripe does not delete is refused', async () => {
  const simulator = await simulatorFor();
  const id = String(simulator.create('invoice', {}, { items: 2 }).id);
  simulator.remove('invoice', id);
  expect((await ask(simulator, `/v1/invoices/${id}`)).status).toBe(404);
  expect(typesOf(await askPage(simulator, '/v1/events?type=invoice.deleted'))).toEqual(['invoice.deleted']);
  const charge = String(simulator.create('charge').id);
  expect(() => simulator.remove('charge', charge)).toThrow(/does not delete/);
});
