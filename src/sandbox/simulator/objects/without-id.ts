/** What has no id: an account or a customer has one of it, and it is reached at its owner's path. */
import type { JsonObject } from '../json.js';
import { type Draft, type Making, needOf } from './making.js';

/** Objects of which a customer has one; they are kept under the customer's id. */
export const ONE_PER_CUSTOMER: ReadonlySet<string> = new Set([
  'cash_balance',
  'entitlements.active_entitlement_summary',
]);

export function balance(): Draft {
  return {
    data: {
      object: 'balance',
      available: [{ amount: 0, currency: 'usd', source_types: { card: 0 } }],
      livemode: false,
      pending: [{ amount: 0, currency: 'usd', source_types: { card: 0 } }],
    },
  };
}

export function balanceSettings(): Draft {
  return {
    data: {
      object: 'balance_settings',
      payments: {
        debit_negative_balances: true,
        payouts: {
          automatic_transfer_rules_by_currency: null,
          minimum_balance_by_currency: null,
          schedule: { interval: 'daily' },
          statement_descriptor: null,
          status: 'enabled',
        },
        settlement_timing: { delay_days: 2, start_of_day: null },
      },
    },
  };
}

export function taxSettings(): Draft {
  return {
    data: {
      object: 'tax.settings',
      defaults: { provider: 'stripe', tax_behavior: null, tax_code: null },
      head_office: null,
      livemode: false,
      status: 'pending',
      status_details: { pending: { missing_fields: ['head_office'] } },
    },
  };
}

/** The cash balance that every customer has, whether anything was ever paid into it or not. */
export function cashBalanceOf(customer: string): JsonObject {
  return {
    object: 'cash_balance',
    available: null,
    customer,
    customer_account: null,
    livemode: false,
    settings: { reconciliation_mode: 'automatic', using_merchant_default: true },
  };
}

export function cashBalance(making: Making): Draft {
  return { data: cashBalanceOf(needOf(making, 'customer', 'customer').id) };
}

export function activeEntitlementSummary(making: Making): Draft {
  const customer = needOf(making, 'customer', 'customer').id;
  return {
    data: {
      object: 'entitlements.active_entitlement_summary',
      customer,
      entitlements: {
        object: 'list',
        data: [],
        has_more: false,
        url: `/v1/customer/${customer}/entitlements`,
      },
      livemode: false,
    },
  };
}
