/** What an account sells, and for how much: products, prices, plans, coupons, taxes, shipping. */
import { randomText } from '../ids.js';
import type { JsonObject } from '../json.js';
import { type Draft, type Making, needOf, numberField, textField } from './making.js';
import { amount, CURRENCIES, metadata, thingName } from './words.js';

export function product({ id, created, random }: Making): Draft {
  return {
    data: {
      id,
      object: 'product',
      active: true,
      created,
      default_price: null,
      description: random.chance(0.4) ? 'Everything that a team needs' : null,
      images: [],
      livemode: false,
      marketing_features: random.chance(0.3) ? [{ name: 'Fast' }, { name: 'Quiet' }] : [],
      metadata: metadata(random),
      name: thingName(random),
      package_dimensions: null,
      shippable: null,
      statement_descriptor: null,
      tax_code: null,
      tax_details: null,
      type: 'service',
      unit_label: null,
      updated: created,
      url: null,
    },
  };
}

export function price(making: Making): Draft {
  const { id, created, random, fields } = making;
  const unit = numberField(making, 'unit_amount', amount(random));
  const type = textField(making, 'type', random.chance(0.8) ? 'recurring' : 'one_time');
  const recurring: JsonObject = {
    interval: random.pick(['month', 'year', 'week']),
    interval_count: 1,
    meter: null,
    trial_period_days: null,
    usage_type: 'licensed',
  };
  return {
    data: {
      id,
      object: 'price',
      active: true,
      billing_scheme: 'per_unit',
      created,
      currency: random.pick(CURRENCIES),
      custom_unit_amount: null,
      livemode: false,
      lookup_key: random.chance(0.2) ? `key_${randomText(random, 10)}` : null,
      metadata: metadata(random),
      nickname: random.chance(0.5) ? thingName(random) : null,
      product: fields.product ?? making.need('product').id,
      recurring: type === 'recurring' ? recurring : null,
      tax_behavior: 'unspecified',
      tiers_mode: null,
      transform_quantity: null,
      type,
      unit_amount: unit,
      // Fractions of a cent stay a string: as a number they would be rounded.
      unit_amount_decimal: random.chance(0.2) ? `${unit}.${random.integer(1, 9)}5` : String(unit),
    },
  };
}

/** A plan is the older view of a recurring price and has its id; one made by itself may have an id of its own. */
export function plan(making: Making): Draft {
  const { id, created, random, fields } = making;
  const unit = numberField(making, 'amount', amount(random));
  return {
    data: {
      id,
      object: 'plan',
      active: true,
      amount: unit,
      amount_decimal: String(unit),
      billing_scheme: 'per_unit',
      created,
      currency: 'usd',
      interval: 'month',
      interval_count: 1,
      livemode: false,
      metadata: metadata(random),
      meter: null,
      nickname: null,
      product: fields.product ?? making.need('product').id,
      tiers_mode: null,
      transform_usage: null,
      trial_period_days: null,
      usage_type: 'licensed',
    },
  };
}

/** The plan that shows a recurring price. */
export function planOfPrice(data: JsonObject): JsonObject {
  const recurring = data.recurring as JsonObject;
  return {
    id: data.id ?? '',
    object: 'plan',
    active: data.active ?? true,
    amount: data.unit_amount ?? null,
    amount_decimal: data.unit_amount_decimal ?? null,
    billing_scheme: 'per_unit',
    created: data.created ?? 0,
    currency: data.currency ?? 'usd',
    interval: recurring.interval ?? 'month',
    interval_count: recurring.interval_count ?? 1,
    livemode: false,
    metadata: data.metadata ?? {},
    meter: recurring.meter ?? null,
    nickname: data.nickname ?? null,
    product: data.product ?? null,
    tiers_mode: null,
    transform_usage: null,
    trial_period_days: null,
    usage_type: recurring.usage_type ?? 'licensed',
  };
}

/** The price behind a plan that was made as a plan. */
export function priceOfPlan(data: JsonObject): JsonObject {
  return {
    id: data.id ?? '',
    object: 'price',
    active: data.active ?? true,
    billing_scheme: 'per_unit',
    created: data.created ?? 0,
    currency: data.currency ?? 'usd',
    custom_unit_amount: null,
    livemode: false,
    lookup_key: null,
    metadata: data.metadata ?? {},
    nickname: data.nickname ?? null,
    product: data.product ?? null,
    recurring: {
      interval: data.interval ?? 'month',
      interval_count: data.interval_count ?? 1,
      meter: null,
      trial_period_days: null,
      usage_type: data.usage_type ?? 'licensed',
    },
    tax_behavior: 'unspecified',
    tiers_mode: null,
    transform_quantity: null,
    type: 'recurring',
    unit_amount: data.amount ?? null,
    unit_amount_decimal: data.amount_decimal ?? null,
  };
}

/** What a price knows beyond its plan, which a change of the plan leaves alone. */
export function keptOfPrice(price: JsonObject | undefined): JsonObject {
  if (price === undefined) return {};
  const { active: _active, metadata: _metadata, nickname: _nickname, ...kept } = price;
  return kept;
}

export function coupon({ id, created, random }: Making): Draft {
  return {
    data: {
      id,
      object: 'coupon',
      amount_off: null,
      created,
      currency: null,
      duration: random.pick(['once', 'forever']),
      duration_in_months: null,
      livemode: false,
      max_redemptions: null,
      metadata: metadata(random),
      name: thingName(random),
      percent_off: random.pick([5, 10, 12.5, 25]),
      redeem_by: null,
      times_redeemed: 0,
      valid: true,
    },
  };
}

export function promotionCode(making: Making): Draft {
  const { id, created, random } = making;
  return {
    data: {
      id,
      object: 'promotion_code',
      active: true,
      code: randomText(random, 8).toUpperCase(),
      created,
      customer: null,
      customer_account: null,
      expires_at: null,
      livemode: false,
      max_redemptions: null,
      metadata: {},
      promotion: { coupon: needOf(making, 'coupon', 'coupon').id, type: 'coupon' },
      restrictions: { first_time_transaction: false, minimum_amount: null, minimum_amount_currency: null },
      times_redeemed: 0,
    },
  };
}

export function taxRate({ id, created, random }: Making): Draft {
  const percentage = random.pick([7, 19, 20, 8.875]);
  return {
    data: {
      id,
      object: 'tax_rate',
      active: true,
      country: 'DE',
      created,
      description: null,
      display_name: 'VAT',
      effective_percentage: percentage,
      flat_amount: null,
      inclusive: random.chance(0.5),
      jurisdiction: 'DE',
      jurisdiction_level: null,
      livemode: false,
      metadata: {},
      percentage,
      rate_type: 'percentage',
      state: null,
      tax_type: 'vat',
    },
  };
}

export function shippingRate({ id, created, random }: Making): Draft {
  return {
    data: {
      id,
      object: 'shipping_rate',
      active: true,
      created,
      delivery_estimate: null,
      display_name: random.pick(['Ground', 'Overnight', 'Pickup']),
      fixed_amount: { amount: amount(random), currency: 'usd' },
      livemode: false,
      metadata: {},
      tax_behavior: 'unspecified',
      tax_code: null,
      type: 'fixed_amount',
    },
  };
}
