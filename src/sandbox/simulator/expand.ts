/** `expand[]`: an id is replaced by its object, and lists that are left out by default are filled in. */
import { ApiError } from './errors.js';
import { isJsonObject, type JsonObject, type JsonValue } from './json.js';
import { readPage } from './page.js';
import type { Entry, Store } from './store.js';

const LISTS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  customer: {
    sources: ['bank_account', 'card', 'source'],
    subscriptions: ['subscription'],
    tax_ids: ['tax_id'],
  },
  charge: { refunds: ['refund'] },
  invoice: { payments: ['invoice_payment'] },
  'checkout.session': { line_items: ['item'] },
  payment_link: { line_items: ['item'] },
  quote: { line_items: ['item'] },
};

const URLS: Readonly<Record<string, string>> = {
  customer: '/v1/customers/',
  charge: '/v1/charges/',
  invoice: '/v1/invoices/',
  'checkout.session': '/v1/checkout/sessions/',
  payment_link: '/v1/payment_links/',
  quote: '/v1/quotes/',
};

/** Fields that Stripe adds on request, and that the simulator's objects do not have. */
const ABSENT = new Set([
  'tiers',
  'currency_options',
  'applies_to',
  'cash_balance',
  'tax',
  'invoice_credit_balance',
  'total_details',
]);

export type Find = (id: string) => JsonObject | undefined;

export function expandObject(store: Store, find: Find, data: JsonObject, path: string): JsonObject {
  const [field = '', ...rest] = path.split('.');
  const refuse = (): ApiError =>
    new ApiError(400, `This property cannot be expanded (${path}).`, { param: 'expand' });
  if (path.split('.').length > 4)
    throw new ApiError(400, 'You cannot expand more than 4 levels of a property.', { param: 'expand' });
  const inner = (value: JsonValue): JsonValue =>
    rest.length > 0 && isJsonObject(value) ? expandObject(store, find, value, rest.join('.')) : value;

  const value = data[field];
  if (value === undefined) {
    const items = LISTS[String(data.object)]?.[field];
    if (items !== undefined) return { ...data, [field]: listIn(store, data, field, items) };
    if (ABSENT.has(field)) return data;
    throw refuse();
  }
  if (value === null) return data;
  if (typeof value === 'string') {
    const found = find(value);
    if (found === undefined) throw refuse();
    return { ...data, [field]: inner(found) };
  }
  if (Array.isArray(value)) {
    const expanded = value.map((item) => {
      const found = typeof item === 'string' ? find(item) : undefined;
      return inner(found ?? item);
    });
    return { ...data, [field]: expanded };
  }
  if (!isJsonObject(value) || rest.length === 0) throw refuse();
  if (value.object === 'list' && rest[0] === 'data' && Array.isArray(value.data)) {
    const path = rest.slice(1).join('.');
    const items = value.data.map((item) =>
      isJsonObject(item) && path !== '' ? expandObject(store, find, item, path) : item,
    );
    return { ...data, [field]: { ...value, data: items } };
  }
  return { ...data, [field]: inner(value) };
}

function listIn(store: Store, data: JsonObject, field: string, items: readonly string[]): JsonObject {
  const object = String(data.object);
  const id = String(data.id);
  const pages = items.map(
    (item) => readPage<Entry>({ timeline: store.childrenOf(item, object, id), limit: 11 }).items,
  );
  const all = pages.flat().sort((a, b) => b.created - a.created || b.tie - a.tie);
  return {
    object: 'list',
    data: all.slice(0, 10).map((entry) => entry.data),
    has_more: all.length > 10,
    url: `${URLS[object] ?? ''}${id}/${field}`,
  };
}
