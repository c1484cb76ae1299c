/** Money on its way: intents, charges, refunds, disputes, payouts, and the balance transactions they leave. */
import { randomText } from '../ids.js';
import { type Draft, type Making, needOf, numberField, textField } from './making.js';
import { address, amount, CURRENCIES, metadata, personName } from './words.js';

export function paymentIntent(making: Making): Draft {
  const { id, created, random, fields } = making;
  const cents = numberField(making, 'amount', amount(random));
  return {
    data: {
      id,
      object: 'payment_intent',
      allowed_payment_method_types: null,
      amount: cents,
      amount_capturable: 0,
      amount_details: { tip: {} },
      amount_received: 0,
      application: null,
      application_fee_amount: null,
      automatic_payment_methods: { allow_redirects: 'always', enabled: true },
      canceled_at: null,
      cancellation_reason: null,
      capture_method: 'automatic_async',
      client_secret: `${id}_secret_${randomText(random, 25)}`,
      confirmation_method: 'automatic',
      created,
      currency: random.pick(CURRENCIES),
      customer: fields.customer === null ? null : needOf(making, 'customer', 'customer').id,
      customer_account: null,
      description: null,
      excluded_payment_method_types: null,
      last_payment_error: null,
      latest_charge: null,
      livemode: false,
      managed_payments: null,
      metadata: metadata(random),
      next_action: null,
      on_behalf_of: null,
      payment_method: null,
      payment_method_configuration_details: null,
      payment_method_options: { card: { installments: null, mandate_options: null, network: null } },
      payment_method_types: ['card'],
      payment_record: null,
      processing: null,
      receipt_email: null,
      review: null,
      setup_future_usage: null,
      shipping: null,
      source: null,
      statement_descriptor: null,
      statement_descriptor_suffix: null,
      status: 'requires_payment_method',
      transfer_data: null,
      transfer_group: null,
    },
  };
}

export function charge(making: Making): Draft {
  const { id, created, random, fields } = making;
  const intent = making.find('payment_intent', fields.payment_intent);
  const cents = numberField(making, 'amount', Number(intent?.data.amount ?? amount(random)));
  const failed = textField(making, 'status', 'succeeded') === 'failed';
  return {
    data: {
      id,
      object: 'charge',
      amount: cents,
      amount_captured: failed ? 0 : cents,
      amount_refunded: 0,
      application: null,
      application_fee: null,
      application_fee_amount: null,
      balance_transaction: null,
      billing_details: {
        address: address(random),
        email: null,
        name: personName(random),
        phone: null,
        tax_id: null,
      },
      calculated_statement_descriptor: 'SIMULATED',
      captured: !failed,
      created,
      currency: intent?.data.currency ?? 'usd',
      customer: intent?.data.customer ?? null,
      description: null,
      disputed: false,
      failure_balance_transaction: null,
      failure_code: failed ? 'card_declined' : null,
      failure_message: failed ? 'Your card was declined.' : null,
      fraud_details: {},
      livemode: false,
      metadata: {},
      on_behalf_of: null,
      outcome: {
        advice_code: null,
        network_advice_code: null,
        network_decline_code: null,
        network_status: failed ? 'declined_by_network' : 'approved_by_network',
        reason: failed ? 'generic_decline' : null,
        risk_level: 'normal',
        risk_score: random.integer(0, 60),
        seller_message: failed ? 'The bank did not say why.' : 'Payment complete.',
        type: failed ? 'issuer_declined' : 'authorized',
      },
      paid: !failed,
      payment_intent: intent?.id ?? null,
      payment_method: null,
      payment_method_details: {
        card: {
          amount_authorized: cents,
          brand: 'visa',
          country: 'US',
          exp_month: 12,
          exp_year: 2031,
          last4: '4242',
        },
        type: 'card',
      },
      receipt_email: null,
      receipt_number: null,
      receipt_url: null,
      refunded: false,
      review: null,
      shipping: null,
      source: null,
      source_transfer: null,
      statement_descriptor: null,
      statement_descriptor_suffix: null,
      status: 'succeeded',
      transfer_data: null,
      transfer_group: null,
    },
  };
}

export function refund(making: Making): Draft {
  const { id, created, random } = making;
  const refunded = needOf(making, 'charge', 'charge');
  return {
    data: {
      id,
      object: 'refund',
      amount: numberField(making, 'amount', Number(refunded.data.amount ?? 0)),
      balance_transaction: null,
      charge: refunded.id,
      created,
      currency: refunded.data.currency ?? 'usd',
      customer: refunded.data.customer ?? null,
      customer_account: null,
      destination_details: { card: { type: 'pending' }, type: 'card' },
      metadata: {},
      payment_intent: refunded.data.payment_intent ?? null,
      payment_method: null,
      reason: random.pick(['duplicate', 'requested_by_customer', null]),
      receipt_number: null,
      source_transfer_reversal: null,
      status: 'pending',
      transfer_reversal: null,
    },
  };
}

export function setupIntent(making: Making): Draft {
  const { id, created, random } = making;
  return {
    data: {
      id,
      object: 'setup_intent',
      allowed_payment_method_types: null,
      application: null,
      automatic_payment_methods: null,
      cancellation_reason: null,
      client_secret: `${id}_secret_${randomText(random, 25)}`,
      created,
      customer: needOf(making, 'customer', 'customer').id,
      customer_account: null,
      description: null,
      excluded_payment_method_types: null,
      flow_directions: null,
      last_setup_error: null,
      latest_attempt: null,
      livemode: false,
      mandate: null,
      metadata: {},
      next_action: null,
      on_behalf_of: null,
      payment_method: null,
      payment_method_configuration_details: null,
      payment_method_options: {
        card: { mandate_options: null, network: null, request_three_d_secure: 'automatic' },
      },
      payment_method_types: ['card'],
      single_use_mandate: null,
      status: 'requires_payment_method',
      usage: 'off_session',
    },
  };
}

export function balanceTransaction(making: Making): Draft {
  const { id, created, random } = making;
  const cents = numberField(making, 'amount', amount(random));
  const fee = Math.max(0, Math.round(cents * 0.029) + 30);
  return {
    data: {
      id,
      object: 'balance_transaction',
      amount: cents,
      available_on: created + 2 * 86_400,
      balance_type: 'payments',
      created,
      currency: 'usd',
      description: null,
      exchange_rate: null,
      fee,
      fee_details: [
        {
          amount: fee,
          application: null,
          currency: 'usd',
          description: 'Stripe processing fees',
          type: 'stripe_fee',
        },
      ],
      net: cents - fee,
      reporting_category: 'charge',
      source: null,
      status: 'pending',
      type: 'charge',
    },
  };
}

export function dispute(making: Making): Draft {
  const { id, created, random } = making;
  const disputed = needOf(making, 'charge', 'charge');
  return {
    data: {
      id,
      object: 'dispute',
      amount: disputed.data.amount ?? 0,
      balance_transactions: [],
      charge: disputed.id,
      created,
      currency: disputed.data.currency ?? 'usd',
      enhanced_eligibility_types: [],
      evidence: { customer_name: null, product_description: null, uncategorized_text: null },
      evidence_details: {
        due_by: created + 9 * 86_400,
        has_evidence: false,
        past_due: false,
        submission_count: 0,
      },
      intended_submission_method: null,
      is_charge_refundable: false,
      livemode: false,
      metadata: {},
      network_reason_code: '4853',
      payment_intent: disputed.data.payment_intent ?? null,
      payment_method_details: {
        card: { brand: 'visa', case_type: 'chargeback', network_reason_code: '4853' },
        type: 'card',
      },
      reason: random.pick(['fraudulent', 'product_not_received', 'general']),
      status: 'needs_response',
    },
  };
}

export function payout({ id, created, random }: Making): Draft {
  return {
    data: {
      id,
      object: 'payout',
      amount: amount(random) * 10,
      application_fee: null,
      application_fee_amount: null,
      arrival_date: created + 2 * 86_400,
      automatic: true,
      balance_transaction: null,
      created,
      currency: 'usd',
      description: 'STRIPE PAYOUT',
      destination: null,
      failure_balance_transaction: null,
      failure_code: null,
      failure_message: null,
      livemode: false,
      metadata: {},
      method: 'standard',
      original_payout: null,
      payout_method: null,
      reconciliation_status: 'in_progress',
      reversed_by: null,
      source_type: 'card',
      statement_descriptor: null,
      status: 'pending',
      trace_id: null,
      type: 'bank_account',
    },
  };
}
