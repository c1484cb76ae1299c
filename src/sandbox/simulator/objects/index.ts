/** How each kind of object is made. */
import { checkoutSession } from './checkout-sessions.js';
import { bankAccount, card, customer, discount, paymentMethod, taxId } from './customers.js';
import { generic } from './generic.js';
import {
  creditNote,
  creditNoteLineItem,
  invoice,
  invoiceItem,
  invoicePayment,
  lineItem,
} from './invoices.js';
import type { Draft, Maker, Making } from './making.js';
import { coupon, plan, price, product, promotionCode, shippingRate, taxRate } from './offers.js';
import {
  balanceTransaction,
  charge,
  dispute,
  paymentIntent,
  payout,
  refund,
  setupIntent,
} from './payments.js';
import { subscription, subscriptionItem } from './subscriptions.js';
import {
  activeEntitlementSummary,
  balance,
  balanceSettings,
  cashBalance,
  taxSettings,
} from './without-id.js';

const MAKERS: Readonly<Record<string, Maker>> = {
  balance,
  balance_settings: balanceSettings,
  balance_transaction: balanceTransaction,
  bank_account: bankAccount,
  card,
  cash_balance: cashBalance,
  charge,
  'checkout.session': checkoutSession,
  coupon,
  credit_note: creditNote,
  credit_note_line_item: creditNoteLineItem,
  customer,
  discount,
  dispute,
  'entitlements.active_entitlement_summary': activeEntitlementSummary,
  invoice,
  invoice_payment: invoicePayment,
  invoiceitem: invoiceItem,
  line_item: lineItem,
  payment_intent: paymentIntent,
  payment_method: paymentMethod,
  payout,
  plan,
  price,
  product,
  promotion_code: promotionCode,
  refund,
  setup_intent: setupIntent,
  shipping_rate: shippingRate,
  subscription,
  subscription_item: subscriptionItem,
  'tax.settings': taxSettings,
  tax_id: taxId,
  tax_rate: taxRate,
};

export function makeDraft(object: string, making: Making): Draft {
  return MAKERS[object]?.(making) ?? generic(object, making);
}
