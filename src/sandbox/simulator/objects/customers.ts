/** A customer and what hangs on one: ways to pay, tax ids, a discount. */
import { randomText } from '../ids.js';
import type { JsonObject } from '../json.js';
import { type Draft, type Making, needOf, textField } from './making.js';
import { address, emailOf, metadata, personName } from './words.js';

export function customer({ id, created, random }: Making): Draft {
  return {
    data: {
      id,
      object: 'customer',
      address: random.chance(0.6) ? address(random) : null,
      balance: 0,
      created,
      currency: null,
      customer_account: null,
      default_source: null,
      delinquent: false,
      description: random.chance(0.3) ? 'Signed up by mail' : null,
      email: emailOf(random),
      invoice_prefix: randomText(random, 8).toUpperCase(),
      invoice_settings: {
        custom_fields: null,
        default_payment_method: null,
        footer: null,
        rendering_options: null,
      },
      livemode: false,
      metadata: metadata(random),
      name: personName(random),
      next_invoice_sequence: 1,
      phone: random.chance(0.3) ? `+49${random.integer(1_000_000, 99_999_999)}` : null,
      preferred_locales: [],
      shipping: null,
      tax_exempt: 'none',
      test_clock: null,
    },
  };
}

function cardDetails({ random, created }: Making): JsonObject {
  return {
    brand: random.pick(['visa', 'mastercard', 'amex']),
    country: random.pick(['US', 'DE', 'JP', 'PT']),
    exp_month: random.integer(1, 12),
    exp_year: new Date(created * 1000).getUTCFullYear() + random.integer(1, 5),
    fingerprint: randomText(random, 16),
    funding: random.pick(['credit', 'debit']),
    last4: String(random.integer(1000, 9999)),
  };
}

export function paymentMethod(making: Making): Draft {
  const { id, created, random, fields } = making;
  const attached = fields.customer !== null;
  const type = textField(making, 'type', 'card');
  return {
    data: {
      id,
      object: 'payment_method',
      allow_redisplay: 'unspecified',
      billing_details: {
        address: address(random),
        email: emailOf(random),
        name: personName(random),
        phone: null,
        tax_id: null,
      },
      ...(type === 'card'
        ? {
            card: {
              ...cardDetails(making),
              checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: 'pass' },
              display_brand: null,
              generated_from: null,
              networks: { available: ['visa'], preferred: null },
              regulated_status: 'unregulated',
              three_d_secure_usage: { supported: true },
              wallet: null,
            },
          }
        : { [type]: {} }),
      created,
      customer: attached ? needOf(making, 'customer', 'customer').id : null,
      customer_account: null,
      livemode: false,
      metadata: {},
      type,
    },
  };
}

/** Whose a bank account or card is: a connected account's when the caller says so, and else a customer's. */
function holder(making: Making): JsonObject {
  const account =
    making.find('account', making.fields.account) ?? making.find('account', making.parents.account);
  if (account !== undefined) return { account: account.id };
  return { customer: needOf(making, 'customer', 'customer').id };
}

export function card(making: Making): Draft {
  const { id, random } = making;
  const details = cardDetails(making);
  return {
    data: {
      id,
      object: 'card',
      address_city: null,
      address_country: null,
      address_line1: null,
      address_line1_check: null,
      address_line2: null,
      address_state: null,
      address_zip: null,
      address_zip_check: null,
      allow_redisplay: 'unspecified',
      ...details,
      brand: random.pick(['Visa', 'MasterCard', 'American Express']),
      ...holder(making),
      cvc_check: 'pass',
      dynamic_last4: null,
      metadata: {},
      name: personName(random),
      regulated_status: 'unregulated',
      tokenization_method: null,
      wallet: null,
    },
  };
}

export function bankAccount(making: Making): Draft {
  const { id, random } = making;
  return {
    data: {
      id,
      object: 'bank_account',
      account_holder_name: personName(random),
      account_holder_type: 'individual',
      account_type: null,
      bank_name: random.pick(['FIRST TEST BANK', 'Testbank eG', 'BANCO DE TESTE']),
      country: 'US',
      currency: 'usd',
      ...holder(making),
      fingerprint: randomText(random, 16),
      last4: String(random.integer(1000, 9999)),
      metadata: {},
      routing_number: '110000000',
      status: 'new',
    },
  };
}

export function taxId(making: Making): Draft {
  const { id, created, random, fields } = making;
  const own = fields.customer === null;
  const customer = own ? null : needOf(making, 'customer', 'customer').id;
  return {
    data: {
      id,
      object: 'tax_id',
      country: 'DE',
      created,
      customer,
      customer_account: null,
      livemode: false,
      owner: own ? { type: 'self' } : { customer, type: 'customer' },
      type: 'eu_vat',
      value: `DE${random.integer(100_000_000, 999_999_999)}`,
      verification: { status: 'pending', verified_address: null, verified_name: null },
    },
  };
}

export function discount(making: Making): Draft {
  const { id, created } = making;
  return {
    data: {
      id,
      object: 'discount',
      checkout_session: null,
      customer: needOf(making, 'customer', 'customer').id,
      customer_account: null,
      end: null,
      invoice: null,
      invoice_item: null,
      promotion_code: null,
      source: { coupon: needOf(making, 'coupon', 'coupon').id, type: 'coupon' },
      start: created,
      subscription: null,
      subscription_item: null,
    },
  };
}
