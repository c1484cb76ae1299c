/** Subscriptions and what they bill. */
import { billedSubscription } from '../objects/invoices.js';
import { pay } from './payment-flows.js';
import type { Flow, World } from './world.js';

/** One invoice from draft to paid (or not); its id, or undefined when something it needs was deleted meanwhile. */
function* bill(
  world: World,
  customer: string,
  subscription: string,
  reason: string,
): Generator<void, string | undefined, void> {
  if (world.alive('customer', customer) === undefined) return undefined;
  const invoice = world.create('invoice', {
    customer,
    billing_reason: reason,
    parent: billedSubscription(subscription),
  });
  yield;
  const number = `SIM-${world.random.integer(1, 999_999)}`;
  // Stripe tells of one change with two events, of the same second.
  world.edit(
    'invoice',
    invoice,
    { status: 'open', number },
    { event: ['invoice.updated', 'invoice.finalized'] },
  );
  yield;
  if (world.alive('customer', customer) === undefined) return invoice;
  const amount = Number(world.alive('invoice', invoice)?.data.total ?? 0);
  const intent = world.create('payment_intent', { customer, amount });
  yield;
  if (yield* pay(world, intent, null)) {
    world.edit(
      'invoice',
      invoice,
      { status: 'paid', amount_paid: amount, amount_remaining: 0, attempted: true, attempt_count: 1 },
      { event: ['invoice.updated', 'invoice.paid', 'invoice.payment_succeeded'] },
    );
    yield;
    world.create(
      'invoice_payment',
      { invoice, payment: { payment_intent: intent, type: 'payment_intent' } },
      { event: 'invoice_payment.paid' },
    );
  } else {
    world.edit(
      'invoice',
      invoice,
      { attempted: true, attempt_count: 1 },
      { event: ['invoice.updated', 'invoice.payment_failed'] },
    );
  }
  yield;
  return invoice;
}

export function* checkout(world: World): Flow {
  const session = world.create('checkout.session', { mode: 'subscription' });
  yield;
  if (world.random.chance(0.15)) {
    world.edit(
      'checkout.session',
      session,
      { status: 'expired', url: null },
      { event: 'checkout.session.expired' },
    );
    return;
  }
  const customer = world.create('customer');
  yield;
  const method = world.create('payment_method', { customer });
  yield;
  world.edit('customer', customer, { invoice_settings: { default_payment_method: method } });
  yield;
  if (world.alive('customer', customer) === undefined) return;
  const subscription = world.create('subscription', {
    customer,
    status: 'incomplete',
    default_payment_method: method,
  });
  yield;
  const invoice = yield* bill(world, customer, subscription, 'subscription_create');
  if (invoice === undefined || world.alive('subscription', subscription)?.data.status === 'canceled') return;
  world.edit('subscription', subscription, { status: 'active', latest_invoice: invoice });
  yield;
  world.edit(
    'checkout.session',
    session,
    { status: 'complete', payment_status: 'paid', customer, subscription, invoice, url: null },
    { event: 'checkout.session.completed' },
  );
}

export function* renewal(world: World): Flow {
  const subscription = world.pick('subscription', ({ data }) => data.status === 'active');
  if (subscription === undefined) return yield* checkout(world);
  const customer = String(subscription.data.customer);
  // The preview of an invoice has no id.
  world.emit('invoice.upcoming', 'invoice');
  yield;
  const invoice = yield* bill(world, customer, subscription.id, 'subscription_cycle');
  if (invoice === undefined || world.alive('subscription', subscription.id)?.data.status === 'canceled')
    return;
  const paid = world.alive('invoice', invoice)?.data.status === 'paid';
  world.edit('subscription', subscription.id, {
    status: paid ? 'active' : 'past_due',
    latest_invoice: invoice,
  });
}

export function* changeSubscription(world: World): Flow {
  const subscription = world.pick('subscription', ({ data }) => data.status !== 'canceled');
  if (subscription === undefined) return yield* checkout(world);
  const { id } = subscription;
  const draw = world.random.next();
  if (draw < 0.25) {
    world.remove('subscription', id);
  } else if (draw < 0.5) {
    world.edit('subscription', id, {
      cancel_at_period_end: true,
      cancellation_details: { reason: 'cancellation_requested' },
    });
    yield;
    if (world.alive('subscription', id)?.data.status === 'canceled') return;
    world.edit('subscription', id, { cancel_at_period_end: false, cancellation_details: { reason: null } });
  } else if (draw < 0.75) {
    const item = world.create('subscription_item', { subscription: id });
    yield;
    world.edit('subscription_item', item, { quantity: world.random.integer(6, 20) });
    yield;
    if (world.random.chance(0.5)) world.remove('subscription_item', item);
  } else {
    const collection = { behavior: 'mark_uncollectible', resumes_at: null };
    world.edit('subscription', id, { pause_collection: collection });
    yield;
    world.edit('subscription', id, { pause_collection: null });
  }
}

export function* manualInvoice(world: World): Flow {
  const customer = world.pick('customer')?.id ?? world.create('customer');
  const item = world.create('invoiceitem', { customer });
  yield;
  if (world.random.chance(0.4)) {
    world.remove('invoiceitem', item);
    return;
  }
  if (world.alive('customer', customer) === undefined) return;
  const invoice = world.create('invoice', { customer });
  yield;
  if (world.random.chance(0.4)) {
    // Only drafts can be deleted.
    world.remove('invoice', invoice);
    return;
  }
  // An item's move to an invoice raises no event.
  world.edit('invoiceitem', item, { invoice });
  world.edit('invoice', invoice, { status: 'open' }, { event: ['invoice.updated', 'invoice.finalized'] });
  yield;
  world.edit('invoice', invoice, { status: 'void' }, { event: ['invoice.updated', 'invoice.voided'] });
  yield;
  world.create('credit_note', { invoice });
}
