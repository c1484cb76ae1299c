/**
 * The filters of Stripe's lists: which parameters each list knows besides pagination, how one is compared with an
 * object, and what a list leaves out when nothing is asked.
 */
import { idOf, isJsonObject, type JsonObject, type JsonValue } from './json.js';
import { type Query, type QueryValue, rangeParameter } from './query.js';

/** By object; a list under a parent's path has its own line further down. */
const PARAMETERS: Readonly<Record<string, string>> = {
  apple_pay_domain: 'domain_name',
  application_fee: 'charge',
  'apps.install': 'account app approval_required channel created_by status',
  'apps.secret': 'scope',
  balance_transaction: 'currency payout source type',
  'billing.alert': 'alert_type meter',
  'billing.credit_balance_transaction': 'credit_grant customer customer_account',
  'billing.credit_grant': 'customer customer_account',
  'billing.feedback_option': 'status',
  'billing.meter': 'status',
  'billing_portal.configuration': 'active is_default',
  charge: 'customer payment_intent transfer_group',
  'checkout.session':
    'customer customer_account customer_details payment_intent payment_link status subscription',
  credit_note: 'customer customer_account invoice',
  customer: 'email test_clock',
  dispute: 'charge payment_intent',
  'entitlements.feature': 'archived lookup_key',
  file: 'purpose',
  file_link: 'expired file',
  'financial_connections.account': 'account_holder session',
  'financial_connections.transaction': 'transacted_at transaction_refresh',
  'identity.verification_report': 'client_reference_id type verification_session',
  'identity.verification_session': 'client_reference_id related_customer related_customer_account status',
  invoice: 'collection_method customer customer_account due_date status subscription',
  invoice_payment: 'invoice payment status',
  invoice_rendering_template: 'status',
  invoiceitem: 'customer customer_account invoice pending',
  'issuing.authorization': 'card cardholder status',
  'issuing.card': 'cardholder exp_month exp_year last4 personalization_design status type',
  'issuing.cardholder': 'email phone_number status type',
  'issuing.dispute': 'status transaction',
  'issuing.personalization_design': 'lookup_keys preferences status',
  'issuing.physical_bundle': 'status type',
  'issuing.token': 'status',
  'issuing.transaction': 'card cardholder type',
  payment_intent: 'customer customer_account',
  payment_link: 'active',
  payment_method: 'allow_redisplay customer customer_account type',
  payment_method_configuration: 'active application',
  payment_method_domain: 'domain_name enabled',
  payment_record: 'created_after created_before',
  payout: 'arrival_date destination status',
  plan: 'active product',
  price: 'active currency lookup_keys product recurring type',
  product: 'active ids shippable type url',
  'product_catalog.trial_offer': 'active prices',
  promotion_code: 'active code coupon customer customer_account',
  quote: 'customer customer_account status test_clock',
  'radar.early_fraud_warning': 'charge payment_intent',
  'radar.value_list': 'alias contains',
  'radar.value_list_item': 'value',
  refund: 'charge payment_intent',
  setup_intent: 'attach_to_self customer customer_account payment_method',
  shipping_rate: 'active currency',
  subscription:
    'automatic_tax collection_method current_period_end current_period_start customer customer_account plan price status test_clock',
  subscription_schedule: 'canceled_at completed_at customer customer_account released_at scheduled',
  'tax.registration': 'status',
  tax_id: 'owner',
  tax_rate: 'active inclusive',
  'terminal.configuration': 'is_account_default',
  'terminal.reader': 'device_type location serial_number status',
  'three_d_secure.authentication': 'status',
  topup: 'amount status',
  transfer: 'destination transfer_group',
  'treasury.credit_reversal': 'received_credit status',
  'treasury.debit_reversal': 'received_debit resolution status',
  'treasury.financial_account': 'status',
  'treasury.inbound_transfer': 'status',
  'treasury.outbound_payment': 'customer status',
  'treasury.outbound_transfer': 'status',
  'treasury.received_credit': 'linked_flows status',
  'treasury.received_debit': 'status',
  'treasury.transaction': 'order_by status',
  'treasury.transaction_entry': 'effective_at order_by transaction',
};

const NESTED_PARAMETERS: Readonly<Record<string, string>> = {
  '/v1/customers/{customer}/sources': 'object',
  '/v1/accounts/{account}/external_accounts': 'object',
  '/v1/accounts/{account}/persons': 'relationship',
  '/v1/billing/meters/{id}/event_summaries': 'value_grouping_window',
  '/v1/customers/{customer}/balance_transactions': 'invoice',
  '/v1/customers/{customer}/payment_methods': 'allow_redisplay type',
};

/** The filters that the list at this path knows, pagination and `created` aside. */
export function filterNames(object: string, path: string, underParent: boolean): readonly string[] {
  const names = underParent ? NESTED_PARAMETERS[path] : PARAMETERS[object];
  return names === undefined ? [] : names.split(' ');
}

type Matcher = (data: JsonObject, value: QueryValue) => boolean;

/** Filters that compare something else than the field of their name. */
const SPECIAL: Readonly<Record<string, Matcher>> = {
  'subscription.status': (data, value) =>
    value === 'all' ||
    (value === 'ended'
      ? data.status === 'canceled' || data.status === 'incomplete_expired'
      : data.status === value),
  'subscription.price': (data, value) => itemsOf(data).some((item) => idOf(item.price) === value),
  'subscription.plan': (data, value) => itemsOf(data).some((item) => idOf(item.plan) === value),
  'subscription.current_period_end': (data, value) =>
    itemsOf(data).some((item) => matches(item.current_period_end, value)),
  'subscription.current_period_start': (data, value) =>
    itemsOf(data).some((item) => matches(item.current_period_start, value)),
  'invoice.subscription': (data, value) => {
    const details = isJsonObject(data.parent) ? data.parent.subscription_details : undefined;
    return isJsonObject(details) && idOf(details.subscription) === value;
  },
  'invoiceitem.pending': (data, value) => String(data.invoice === null) === value,
  'price.lookup_keys': (data, value) => isOneOf(data.lookup_key, value),
  'product.ids': (data, value) => isOneOf(data.id, value),
  'promotion_code.coupon': (data, value) =>
    isJsonObject(data.promotion) && idOf(data.promotion.coupon) === value,
  'tax.registration.status': (data, value) => value === 'all' || data.status === value,
  'subscription_schedule.scheduled': (data, value) => String(data.status === 'not_started') === value,
  'payment_record.created_after': (data, value) => Number(data.created) > Number(value),
  'payment_record.created_before': (data, value) => Number(data.created) < Number(value),
  'billing.meter_event_summary.start_time': (data, value) => Number(data.start_time) >= Number(value),
  'billing.meter_event_summary.end_time': (data, value) => Number(data.end_time) <= Number(value),
  'treasury.transaction.order_by': () => true,
  'treasury.transaction_entry.order_by': () => true,
  'billing.meter_event_summary.customer': () => true,
  'billing.meter_event_summary.value_grouping_window': () => true,
  'financial_connections.account_owner.ownership': () => true,
};

function itemsOf(data: JsonObject): JsonObject[] {
  return isJsonObject(data.items) && Array.isArray(data.items.data)
    ? data.items.data.filter(isJsonObject)
    : [];
}

function isOneOf(field: JsonValue | undefined, value: QueryValue): boolean {
  return Array.isArray(value) ? value.includes(String(field)) : value === String(field);
}

const BOUNDS = new Set(['gt', 'gte', 'lt', 'lte']);

function matches(field: JsonValue | undefined, value: QueryValue): boolean {
  if (typeof value === 'string') return String(idOf(field) ?? field) === value;
  if (Array.isArray(value)) return isOneOf(field, value);
  if (Object.keys(value).every((key) => BOUNDS.has(key))) {
    const { from = -Infinity, to = Infinity } = rangeParameter(value, 'range');
    return typeof field === 'number' && field >= from && field <= to;
  }
  return isJsonObject(field) && Object.entries(value).every(([key, inner]) => matches(field[key], inner));
}

/** Does an object pass one filter of its list? */
export function passesFilter(object: string, name: string, data: JsonObject, value: QueryValue): boolean {
  const special = SPECIAL[`${object}.${name}`];
  return special === undefined ? matches(data[name], value) : special(data, value);
}

/** What the lists of Stripe leave out when the parameter that would ask for it is not given. */
const HIDDEN: Readonly<Record<string, (data: JsonObject, query: Query) => boolean>> = {
  subscription: (data, query) => query.status === undefined && data.status === 'canceled',
  // Documented as: active prices only, unless `active` says otherwise.
  price: (data, query) => query.active === undefined && data.active !== true,
  review: (data) => data.open !== true,
  payment_method: (data, query) => query.type === undefined && data.type === 'custom',
  tax_id: (data, query) =>
    query.owner === undefined && (!isJsonObject(data.owner) || data.owner.type !== 'self'),
};

export function isHiddenByDefault(
  object: string,
  testClockExcluded: boolean,
  data: JsonObject,
  query: Query,
): boolean {
  if (testClockExcluded && query.test_clock === undefined && idOf(data.test_clock) !== undefined) return true;
  return HIDDEN[object]?.(data, query) ?? false;
}

export function hidesSomethingByDefault(object: string): boolean {
  return HIDDEN[object] !== undefined;
}
