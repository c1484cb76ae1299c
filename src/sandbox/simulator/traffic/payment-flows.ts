/** Money: one-off payments, refunds, disputes, payouts. */
import type { JsonObject } from '../json.js';
import type { Flow, World } from './world.js';

/** Charges an intent; false when the card is declined. */
export function* pay(world: World, intent: string, method: string | null): Generator<void, boolean, void> {
  if (world.random.chance(0.12)) {
    const failed = world.create('charge', { payment_intent: intent, status: 'failed' });
    yield;
    world.edit(
      'payment_intent',
      intent,
      { latest_charge: failed, last_payment_error: { code: 'card_declined', type: 'card_error' } },
      { event: 'payment_intent.payment_failed' },
    );
    yield;
    return false;
  }
  const charge = world.create('charge', { payment_intent: intent, payment_method: method });
  const cents = Number(world.alive('charge', charge)?.data.amount ?? 0);
  yield;
  // No event tells of a balance transaction, nor of the charge's link to it until `charge.updated`.
  const transaction = world.create('balance_transaction', { amount: cents, source: charge });
  yield;
  world.edit(
    'payment_intent',
    intent,
    { status: 'succeeded', latest_charge: charge, amount_received: cents, payment_method: method },
    { event: 'payment_intent.succeeded' },
  );
  yield;
  world.edit('charge', charge, { balance_transaction: transaction });
  yield;
  return true;
}

export function* oneOffPayment(world: World): Flow {
  const customer = world.pick('customer')?.id ?? world.create('customer');
  yield;
  const intent = world.create('payment_intent', { customer });
  yield;
  if (world.random.chance(0.15)) {
    world.edit(
      'payment_intent',
      intent,
      { status: 'canceled', cancellation_reason: 'abandoned' },
      { event: 'payment_intent.canceled' },
    );
    return;
  }
  if (world.random.chance(0.3)) {
    world.edit(
      'payment_intent',
      intent,
      { status: 'requires_action' },
      { event: 'payment_intent.requires_action' },
    );
    yield;
  }
  yield* pay(world, intent, null);
}

export function* refund(world: World): Flow {
  const charge = world.pick('charge', ({ data }) => data.status === 'succeeded' && data.refunded !== true);
  if (charge === undefined) return yield* oneOffPayment(world);
  const total = Number(charge.data.amount);
  const part = world.random.chance(0.5) ? total : Math.ceil(total / 2);
  const made = world.create('refund', { charge: charge.id, amount: part });
  world.edit(
    'charge',
    charge.id,
    { amount_refunded: part, refunded: part === total },
    { event: ['charge.refunded', 'charge.updated'] },
  );
  yield;
  world.edit('refund', made, { status: world.random.chance(0.9) ? 'succeeded' : 'failed' });
}

export function* dispute(world: World): Flow {
  const charge = world.pick('charge', ({ data }) => data.status === 'succeeded' && data.disputed !== true);
  if (charge === undefined) return yield* oneOffPayment(world);
  const made = world.create('dispute', { charge: charge.id });
  yield;
  world.edit('charge', charge.id, { disputed: true });
  yield;
  world.emit('charge.dispute.funds_withdrawn', 'dispute', made);
  yield;
  world.edit('dispute', made, {
    status: 'under_review',
    evidence: { product_description: 'A year of service' },
    evidence_details: { has_evidence: true, submission_count: 1 },
  });
  yield;
  const status = world.random.pick(['won', 'lost']);
  world.edit('dispute', made, { status }, { event: ['charge.dispute.updated', 'charge.dispute.closed'] });
}

export function* payout(world: World): Flow {
  const balance: JsonObject = {
    available: [{ amount: world.random.integer(0, 1e6), currency: 'usd', source_types: { card: 0 } }],
  };
  world.edit('balance', 'balance', balance, { event: 'balance.available' });
  yield;
  const made = world.create('payout');
  yield;
  world.edit('payout', made, { status: 'in_transit' });
  yield;
  if (world.random.chance(0.1)) {
    world.edit(
      'payout',
      made,
      { status: 'failed', failure_code: 'account_closed' },
      { event: 'payout.failed' },
    );
    return;
  }
  world.edit('payout', made, { status: 'paid' }, { event: ['payout.updated', 'payout.paid'] });
  yield;
  world.edit(
    'payout',
    made,
    { reconciliation_status: 'completed' },
    { event: 'payout.reconciliation_completed' },
  );
}
