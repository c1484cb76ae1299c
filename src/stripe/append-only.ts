/**
 * Which lists can be refreshed by their newest part alone. A list that takes `created` shows what is new; it shows no
 * edit of what is old. So a type is listed by its newest part only where Stripe's documentation leaves no way to change
 * an object, or where the row itself says that it may still change. Everything else is listed whole.
 *
 * The table holds every type with a `created` filter that changes without an event, so that a new one is looked at.
 */

/** How objects of a type change once they are there. */
export type Growth =
  /** While a text field has this value, and never afterwards. */
  | { readonly changes: 'while'; readonly field: string; readonly is: string; readonly why: string }
  /** At any time, or nobody knows: listed whole. */
  | { readonly changes: 'any time'; readonly why: string };

const anyTime = (why: string): Growth => ({ changes: 'any time', why });

const METADATA = 'its metadata may be edited at any time, and no event tells of that';

export const GROWTH: Readonly<Record<string, Growth>> = {
  balance_transaction: {
    changes: 'while',
    field: 'status',
    is: 'pending',
    why: 'an entry of the ledger: nothing updates it; its status goes from pending to available, and stays',
  },

  account: anyTime('connected accounts come and go without an event of their own'),
  application_fee: anyTime('a refund adds to it, at any time'),
  charge: anyTime('captures, refunds and disputes change it at any time'),
  'checkout.session': anyTime(METADATA),
  file: anyTime('links to it come and go, and it expires'),
  file_link: anyTime('its expiry and its metadata may be edited at any time'),
  'forwarding.request': anyTime('Stripe keeps what was sent and answered for 30 days'),
  'identity.verification_report': anyTime('a redaction empties it, at any time'),
  'identity.verification_session': anyTime(METADATA),
  invoice_payment: anyTime('a payment that is paid may be detached from its invoice again'),
  invoiceitem: anyTime('it may be edited until its invoice is final, and nothing in its list tells when'),
  payment_intent: anyTime(METADATA),
  'product_catalog.trial_offer': anyTime('a preview: its documentation does not say what may be edited'),
  'radar.value_list': anyTime('items come and go, and its name may be edited'),
  'reporting.report_run': anyTime('its file expires, and links to it come and go'),
  review: anyTime('its list shows the open ones only, so what is closed leaves it'),
  setup_intent: anyTime(METADATA),
  shipping_rate: anyTime('it may be switched off, and its metadata edited'),
  'three_d_secure.authentication': anyTime('it goes through many states, and not each has an event'),
  topup: anyTime(METADATA),
  'treasury.financial_account': anyTime('its balance and its features change without an event'),
};

/** The field and the value that keep a type's row open to change; null where its list is to be read whole. */
export function openWhile(object: string): { readonly field: string; readonly is: string } | null {
  const growth = GROWTH[object];
  return growth?.changes === 'while' ? { field: growth.field, is: growth.is } : null;
}
