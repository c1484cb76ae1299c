/**
 * Lists inside of objects. Stripe embeds about ten items with `has_more` and the URL of the whole list; the embedded
 * items are that list's first page.
 */
import type { JsonObject } from './json.js';
import { readPage } from './page.js';
import type { Entry, Store } from './store.js';

export interface EmbeddedList {
  readonly field: string;
  readonly item: string;
  readonly url: (id: string) => string;
}

const EMBEDDED: Readonly<Record<string, EmbeddedList>> = {
  subscription: {
    field: 'items',
    item: 'subscription_item',
    url: (id) => `/v1/subscription_items?subscription=${id}`,
  },
  invoice: { field: 'lines', item: 'line_item', url: (id) => `/v1/invoices/${id}/lines` },
  credit_note: { field: 'lines', item: 'credit_note_line_item', url: (id) => `/v1/credit_notes/${id}/lines` },
  transfer: { field: 'reversals', item: 'transfer_reversal', url: (id) => `/v1/transfers/${id}/reversals` },
  application_fee: {
    field: 'refunds',
    item: 'fee_refund',
    url: (id) => `/v1/application_fees/${id}/refunds`,
  },
  'radar.value_list': {
    field: 'list_items',
    item: 'radar.value_list_item',
    url: (id) => `/v1/radar/value_list_items?value_list=${id}`,
  },
};

export function embeddedListOf(object: string): EmbeddedList | undefined {
  return EMBEDDED[object];
}

/** The parents whose embedded list shows this kind of item. */
export function embeddingParents(item: string): string[] {
  return Object.entries(EMBEDDED).flatMap(([parent, list]) => (list.item === item ? [parent] : []));
}

export function renderEmbeddedList(
  store: Store,
  object: string,
  id: string,
  limit: number,
): JsonObject | undefined {
  const list = EMBEDDED[object];
  if (list === undefined) return undefined;
  const page = readPage<Entry>({ timeline: store.childrenOf(list.item, object, id), limit });
  return {
    object: 'list',
    data: page.items.map((item) => item.data),
    has_more: page.hasMore,
    url: list.url(id),
  };
}

/** All items of an object's embedded list, where the object itself shows only the first ones. */
export function cutList(store: Store, entry: Entry): { field: string; items: JsonObject[] } | undefined {
  const list = EMBEDDED[entry.object];
  const embedded = list === undefined ? undefined : entry.data[list.field];
  if (list === undefined || typeof embedded !== 'object' || embedded === null || Array.isArray(embedded))
    return undefined;
  if (embedded.has_more !== true) return undefined;
  const { items } = store.childrenOf(list.item, entry.object, entry.id);
  return { field: list.field, items: items.map((item) => item.data).reverse() };
}
