/** Customers and what is sold to them: made, edited, deleted, made again. */
import type { JsonObject } from '../json.js';
import { emailOf, personName, thingName } from '../objects/words.js';
import type { Flow, World } from './world.js';

export function* newCustomer(world: World): Flow {
  const customer = world.create('customer');
  yield;
  const object = world.random.pick(['payment_method', 'card', 'bank_account', 'tax_id', 'setup_intent']);
  if (world.alive('customer', customer) === undefined) return;
  const made = world.create(object, { customer });
  yield;
  if (object === 'card') world.edit('card', made, { exp_year: 2040 });
  if (object === 'bank_account') world.edit('bank_account', made, { status: 'verified' });
  if (object === 'tax_id') world.edit('tax_id', made, { verification: { status: 'verified' } });
  if (object === 'setup_intent')
    world.edit('setup_intent', made, { status: 'succeeded' }, { event: 'setup_intent.succeeded' });
  if (object === 'payment_method')
    world.edit('payment_method', made, { billing_details: { email: emailOf(world.random) } });
  yield;
  if (world.random.chance(0.2) && (object === 'card' || object === 'bank_account' || object === 'tax_id')) {
    world.remove(object, made);
  }
}

function edit(world: World): JsonObject {
  const { random } = world;
  return random.pick<() => JsonObject>([
    () => ({ name: personName(random) }),
    () => ({ email: emailOf(random) }),
    () => ({ metadata: { seen: String(random.integer(1, 1e6)) } }),
    () => ({ metadata: { team: null } }),
    () => ({ address: { city: thingName(random) } }),
    () => ({ balance: random.integer(-5000, 5000) }),
    () => ({ preferred_locales: [random.pick(['de', 'en', 'ja', 'pt'])] }),
  ])();
}

export function* editCustomer(world: World): Flow {
  const customer = world.pick('customer')?.id ?? world.create('customer');
  yield;
  world.edit('customer', customer, edit(world));
}

export function* deleteCustomer(world: World): Flow {
  const customer = world.pick('customer');
  if (customer === undefined) return yield* newCustomer(world);
  world.remove('customer', customer.id);
}

export function* offer(world: World): Flow {
  const product = world.create('product');
  yield;
  const price = world.create('price', { product });
  yield;
  world.edit('product', product, { default_price: price, name: thingName(world.random) });
  yield;
  world.edit('price', price, { metadata: { list: 'spring' }, nickname: thingName(world.random) });
  yield;
  if (world.random.chance(0.4)) world.edit('price', price, { active: false });
}

/** Prices that a checkout makes on the fly: no list ever shows them. */
export function inlinePrice(world: World): undefined {
  world.create('price', { active: false, type: 'one_time' }, { listed: false });
}

/** Coupons, plans and products have ids of the account's choice, and can be made again under the same one. */
export function* recreated(world: World): Flow {
  const object = world.random.pick(['coupon', 'plan', 'product']);
  const id = `sim-${object}-${world.random.integer(1, 5)}`;
  if (world.alive(object, id) === undefined) {
    world.create(object, { id });
    yield;
  }
  world.edit(object, id, { metadata: { version: String(world.random.integer(1, 1e6)) } });
  yield;
  world.remove(object, id);
  yield;
  if (world.alive(object, id) === undefined) world.create(object, { id });
}

export function* promotion(world: World): Flow {
  const coupon = world.create('coupon');
  yield;
  if (world.alive('coupon', coupon) === undefined) return;
  const code = world.create('promotion_code', { promotion: { coupon, type: 'coupon' } });
  yield;
  world.edit('promotion_code', code, { active: false });
  yield;
  world.create('tax_rate');
  yield;
  world.edit('coupon', coupon, { name: thingName(world.random) });
}

/** What no event tells of. */
export function* unannounced(world: World): Flow {
  const object = world.random.pick([
    'shipping_rate',
    'file_link',
    'balance_transaction',
    'radar.value_list_item',
  ]);
  const made = world.create(object);
  yield;
  if (object === 'shipping_rate') world.edit(object, made, { active: false });
  if (object === 'radar.value_list_item') world.remove(object, made);
}

/** Kinds that live their whole life with generic events. */
const BROAD = [
  'billing.meter',
  'payment_link',
  'subscription_schedule',
  'transfer',
  'test_helpers.test_clock',
  'quote',
];

export function* broad(world: World): Flow {
  const object = world.random.pick(BROAD);
  const made = world.create(object);
  yield;
  world.edit(object, made, { metadata: { step: '2' } });
  yield;
  if (object === 'test_helpers.test_clock') world.remove(object, made);
}

/** A whole life, or a good part of one, within one second. */
export function burst(world: World): undefined {
  const { random } = world;
  const object = random.pick(['customer', 'customer', 'product', 'coupon']);
  const fresh = random.chance(0.6);
  const id = fresh ? world.create(object) : (world.pick(object)?.id ?? world.create(object));
  const updates = random.integer(1, 5);
  for (let step = 0; step < updates; step += 1) {
    world.edit(
      object,
      id,
      object === 'customer' ? edit(world) : { metadata: { step: String(random.integer(1, 1e6)) } },
    );
  }
  if (fresh && random.chance(0.3)) world.remove(object, id);
}

/** A field that goes to a new value and back within the second: the states alone do not tell what came last. */
export function flip(world: World): undefined {
  const customer = world.pick('customer')?.id ?? world.create('customer');
  world.edit('customer', customer, { delinquent: true });
  world.edit('customer', customer, { delinquent: false });
  if (world.random.chance(0.5)) world.edit('customer', customer, { delinquent: true });
}
