/** Invoices, their lines, pending items, credit notes. */
import { randomText } from '../ids.js';
import { idOf, isJsonObject, type JsonObject, type JsonValue } from '../json.js';
import { type Draft, type Making, needOf, numberField } from './making.js';
import { amount, metadata, personName } from './words.js';

function lineData(
  making: Making,
  id: string,
  invoice: string,
  cents: number,
  subscription: string | null,
): JsonObject {
  const { created } = making;
  const price = making.need('price');
  return {
    id,
    object: 'line_item',
    amount: cents,
    currency: 'usd',
    description: '1 × Team',
    discount_amounts: [],
    discountable: true,
    discounts: [],
    invoice,
    livemode: false,
    metadata: {},
    parent: null,
    period: { end: created + 30 * 86_400, start: created },
    pretax_credit_amounts: [],
    pricing: {
      price_details: { price: price.id, product: price.data.product ?? null },
      type: 'price_details',
      unit_amount_decimal: String(cents),
    },
    quantity: 1,
    quantity_decimal: '1',
    subscription,
    subtotal: cents,
    taxes: [],
  };
}

export function lineItem(making: Making): Draft {
  const invoice = making.find('invoice', making.parents.invoice) ?? needOf(making, 'invoice', 'invoice');
  return { data: lineData(making, making.id, invoice.id, amount(making.random), null) };
}

/** `invoice.parent` of an invoice that bills a subscription. */
export function billedSubscription(subscription: string): JsonObject {
  return {
    quote_details: null,
    subscription_details: { metadata: {}, subscription },
    type: 'subscription_details',
  };
}

function subscriptionOf(parent: JsonValue | undefined): string | null {
  const details = isJsonObject(parent) ? parent.subscription_details : undefined;
  return isJsonObject(details) ? (idOf(details.subscription) ?? null) : null;
}

export function invoice(making: Making): Draft {
  const { id, created, random, fields, newId } = making;
  const customer = needOf(making, 'customer', 'customer');
  const subscription = subscriptionOf(fields.parent);
  const count = making.items ?? random.integer(1, 3);
  const amounts = Array.from({ length: count }, () => amount(random));
  const total = amounts.reduce((sum, cents) => sum + cents, 0);
  return {
    children: amounts.map((cents) => ({
      object: 'line_item',
      data: lineData(making, newId('line_item'), id, cents, subscription),
    })),
    data: {
      id,
      object: 'invoice',
      account_country: 'US',
      account_name: 'Simulated account',
      account_tax_ids: null,
      amount_due: total,
      amount_overpaid: 0,
      amount_paid: 0,
      amount_remaining: total,
      amount_shipping: 0,
      application: null,
      attempt_count: 0,
      attempted: false,
      auto_advance: true,
      automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
      automatically_finalizes_at: null,
      billing_reason: subscription === null ? 'manual' : 'subscription_cycle',
      collection_method: 'charge_automatically',
      created,
      currency: 'usd',
      custom_fields: null,
      customer: customer.id,
      customer_account: null,
      customer_address: customer.data.address ?? null,
      customer_email: customer.data.email ?? null,
      customer_name: customer.data.name ?? personName(random),
      customer_phone: null,
      customer_shipping: null,
      customer_tax_exempt: 'none',
      customer_tax_ids: [],
      default_payment_method: null,
      default_source: null,
      default_tax_rates: [],
      description: null,
      discounts: [],
      due_date: null,
      effective_at: null,
      ending_balance: null,
      footer: null,
      from_invoice: null,
      hosted_invoice_url: null,
      invoice_pdf: null,
      issuer: { type: 'self' },
      last_finalization_error: null,
      latest_revision: null,
      lines: { object: 'list', data: [], has_more: false, url: '' },
      livemode: false,
      metadata: metadata(random),
      next_payment_attempt: null,
      number: null,
      on_behalf_of: null,
      parent: null,
      payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
      period_end: created,
      period_start: created,
      post_payment_credit_notes_amount: 0,
      pre_payment_credit_notes_amount: 0,
      receipt_number: null,
      rendering: null,
      shipping_cost: null,
      shipping_details: null,
      starting_balance: 0,
      statement_descriptor: null,
      status: 'draft',
      status_transitions: {
        finalized_at: null,
        marked_uncollectible_at: null,
        paid_at: null,
        voided_at: null,
      },
      subtotal: total,
      subtotal_excluding_tax: total,
      test_clock: null,
      total,
      total_discount_amounts: [],
      total_excluding_tax: total,
      total_pretax_credit_amounts: [],
      total_taxes: [],
      webhooks_delivered_at: null,
    },
  };
}

export function invoiceItem(making: Making): Draft {
  const { id, created, random } = making;
  const cents = amount(random);
  return {
    data: {
      id,
      object: 'invoiceitem',
      amount: cents,
      currency: 'usd',
      customer: needOf(making, 'customer', 'customer').id,
      customer_account: null,
      // Of all objects this one has no `created`.
      date: created,
      description: 'Setup',
      discountable: true,
      discounts: [],
      invoice: null,
      livemode: false,
      metadata: metadata(random),
      net_amount: cents,
      parent: null,
      period: { end: created, start: created },
      pricing: null,
      proration: false,
      quantity: 1,
      quantity_decimal: '1',
      tax_rates: [],
      test_clock: null,
    },
  };
}

export function invoicePayment(making: Making): Draft {
  const { id, created } = making;
  const billed = needOf(making, 'invoice', 'invoice');
  const cents = numberField(making, 'amount_requested', Number(billed.data.total ?? 0));
  return {
    data: {
      id,
      object: 'invoice_payment',
      amount_paid: cents,
      amount_requested: cents,
      created,
      currency: 'usd',
      invoice: billed.id,
      is_default: true,
      livemode: false,
      payment: { type: 'payment_intent' },
      status: 'paid',
      status_transitions: { canceled_at: null, paid_at: created },
    },
  };
}

export function creditNote(making: Making): Draft {
  const { id, created, random, newId } = making;
  const credited = needOf(making, 'invoice', 'invoice');
  const count = making.items ?? 1;
  const cents = amount(random);
  const total = cents * count;
  return {
    children: Array.from({ length: count }, () => ({
      object: 'credit_note_line_item',
      data: creditNoteLineData(newId('credit_note_line_item'), cents),
    })),
    data: {
      id,
      object: 'credit_note',
      amount: total,
      amount_shipping: 0,
      created,
      currency: 'usd',
      customer: credited.data.customer ?? null,
      customer_account: null,
      customer_balance_transaction: null,
      discount_amount: 0,
      discount_amounts: [],
      effective_at: created,
      invoice: credited.id,
      lines: { object: 'list', data: [], has_more: false, url: '' },
      livemode: false,
      memo: null,
      metadata: {},
      number: `${randomText(random, 8).toUpperCase()}-CN-01`,
      out_of_band_amount: null,
      pdf: `https://pay.stripe.com/credit_notes/${id}/pdf`,
      post_payment_amount: total,
      pre_payment_amount: 0,
      pretax_credit_amounts: [],
      reason: random.pick(['duplicate', 'order_change', 'product_unsatisfactory']),
      refunds: [],
      shipping_cost: null,
      status: 'issued',
      subtotal: total,
      subtotal_excluding_tax: total,
      total,
      total_excluding_tax: total,
      total_taxes: [],
      type: 'post_payment',
      voided_at: null,
    },
  };
}

function creditNoteLineData(id: string, cents: number): JsonObject {
  return {
    id,
    object: 'credit_note_line_item',
    amount: cents,
    description: 'Setup',
    discount_amount: 0,
    discount_amounts: [],
    livemode: false,
    metadata: {},
    pretax_credit_amounts: [],
    quantity: 1,
    tax_rates: [],
    taxes: [],
    type: 'custom_line_item',
    unit_amount: cents,
    unit_amount_decimal: String(cents),
  };
}

export function creditNoteLineItem(making: Making): Draft {
  const parent = making.find('credit_note', making.parents.credit_note) ?? making.need('credit_note');
  return { data: creditNoteLineData(making.id, amount(making.random)), parents: { credit_note: parent.id } };
}
