import type { JsonObject } from '../json.js';
import { type Draft, type Making, needOf } from './making.js';
import { planOfPrice } from './offers.js';
import { metadata } from './words.js';

const MONTH = 30 * 86_400;

export function subscriptionItemData(
  id: string,
  subscription: string,
  price: Readonly<JsonObject>,
  created: number,
  quantity: number,
): JsonObject {
  return {
    id,
    object: 'subscription_item',
    billing_thresholds: null,
    created,
    current_period_end: created + MONTH,
    current_period_start: created,
    current_trial: null,
    discounts: [],
    metadata: {},
    plan: price.recurring === null ? null : planOfPrice(price as JsonObject),
    price: price as JsonObject,
    quantity,
    subscription,
    tax_rates: [],
  } as JsonObject;
}

/** A price that renews; one at random when the given one does not. */
function recurringPrice(making: Making): Readonly<JsonObject> {
  const { data } = needOf(making, 'price', 'price');
  if (data.recurring !== null) return data;
  return {
    ...data,
    type: 'recurring',
    recurring: {
      interval: 'month',
      interval_count: 1,
      meter: null,
      trial_period_days: null,
      usage_type: 'licensed',
    },
  };
}

export function subscriptionItem(making: Making): Draft {
  const subscription = needOf(making, 'subscription', 'subscription').id;
  const { id, created, random } = making;
  return {
    data: subscriptionItemData(id, subscription, recurringPrice(making), created, random.integer(1, 5)),
  };
}

export function subscription(making: Making): Draft {
  const { id, created, random, newId } = making;
  const count = making.items ?? (random.chance(0.8) ? 1 : random.integer(2, 4));
  const price = recurringPrice(making);
  const children = Array.from({ length: count }, () => ({
    object: 'subscription_item',
    data: subscriptionItemData(newId('subscription_item'), id, price, created, random.integer(1, 5)),
  }));
  return {
    children,
    data: {
      id,
      object: 'subscription',
      application: null,
      application_fee_percent: null,
      automatic_tax: { disabled_reason: null, enabled: false, liability: null },
      billing_cycle_anchor: created,
      billing_cycle_anchor_config: null,
      billing_mode: { flexible: { proration_discounts: 'included' }, type: 'flexible' },
      billing_schedules: [],
      billing_thresholds: null,
      cancel_at: null,
      cancel_at_period_end: false,
      canceled_at: null,
      cancellation_details: { comment: null, feedback: null, reason: null },
      collection_method: 'charge_automatically',
      created,
      currency: price.currency ?? 'usd',
      customer: needOf(making, 'customer', 'customer').id,
      customer_account: null,
      days_until_due: null,
      default_payment_method: null,
      default_source: null,
      default_tax_rates: [],
      description: null,
      discounts: [],
      ended_at: null,
      invoice_settings: { account_tax_ids: null, issuer: { type: 'self' } },
      items: { object: 'list', data: [], has_more: false, url: '' },
      latest_invoice: null,
      livemode: false,
      managed_payments: null,
      metadata: metadata(random),
      next_pending_invoice_item_invoice: null,
      on_behalf_of: null,
      pause_collection: null,
      payment_settings: {
        payment_method_options: null,
        payment_method_types: null,
        save_default_payment_method: 'off',
      },
      pending_invoice_item_interval: null,
      pending_setup_intent: null,
      pending_update: null,
      schedule: null,
      start_date: created,
      status: 'active',
      test_clock: null,
      transfer_data: null,
      trial_end: null,
      trial_settings: { end_behavior: { missing_payment_method: 'create_invoice' } },
      trial_start: null,
    },
  };
}
