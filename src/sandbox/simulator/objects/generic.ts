/**
 * Any object of the catalog that has no maker of its own: the fields that every one has, the timestamps that the catalog
 * names, and the parent it hangs on.
 */
import { type CatalogObject, catalogObject } from '../catalog.js';
import { randomText } from '../ids.js';
import type { JsonObject } from '../json.js';
import { parentField } from '../parents.js';
import { listParents } from '../routes.js';
import type { Draft, Making } from './making.js';
import { metadata, thingName } from './words.js';

/** Objects that do not say whose they are. */
const SILENT = new Set([
  'entitlements.active_entitlement',
  'financial_connections.account_owner',
  'item',
  'payment_intent_amount_details_line_item',
  'product_feature',
  'tax.calculation_line_item',
  'tax.transaction_line_item',
]);

/** What an object needs beyond the common fields, above all what its list filters look at. */
const EXTRAS: Readonly<Record<string, (making: Making) => JsonObject>> = {
  account: () => ({
    business_type: 'company',
    charges_enabled: true,
    country: 'US',
    payouts_enabled: true,
    type: 'express',
  }),
  'apps.secret': () => ({ name: 'token', payload: null, scope: { type: 'account' } }),
  'billing.credit_grant': (making) => ({
    customer: making.need('customer').id,
    amount: { type: 'monetary' },
  }),
  'billing.meter': ({ random }) => ({ display_name: thingName(random), event_name: randomText(random, 8) }),
  'billing_portal.session': (making) => ({
    customer: making.need('customer').id,
    url: 'https://billing.stripe.com/p/session',
  }),
  customer_balance_transaction: ({ random }) => ({
    amount: -random.integer(100, 9000),
    currency: 'usd',
    ending_balance: 0,
  }),
  'financial_connections.account_owner': ({ random }) => ({
    name: thingName(random),
    ownership: `fcaowns_${randomText(random, 16)}`,
  }),
  file: ({ random }) => ({
    filename: `${randomText(random, 8)}.pdf`,
    purpose: 'dispute_evidence',
    size: random.integer(1, 1e6),
  }),
  file_link: (making) => ({
    expired: false,
    file: making.need('file').id,
    url: `https://files.stripe.com/links/${making.id}`,
  }),
  item: ({ random }) => ({
    amount_total: random.integer(100, 9000),
    currency: 'usd',
    description: thingName(random),
    quantity: 1,
  }),
  quote: (making) => ({
    customer: making.need('customer').id,
    status: 'draft',
    test_clock: null,
    number: null,
  }),
  'radar.value_list': ({ random }) => ({
    alias: `list_${randomText(random, 6)}`,
    item_type: 'string',
    name: thingName(random),
  }),
  'radar.value_list_item': ({ random }) => ({ created_by: 'API', value: randomText(random, 10) }),
  review: ({ random }) => ({
    open: true,
    reason: 'rule',
    opened_reason: random.pick(['rule', 'manual']),
    closed_reason: null,
  }),
  subscription_schedule: (making) => ({
    customer: making.need('customer').id,
    status: 'active',
    phases: [],
    test_clock: null,
  }),
  'tax.location': () => ({ type: 'performance' }),
  'terminal.location': ({ random }) => ({ display_name: thingName(random) }),
  'terminal.reader': ({ random }) => ({
    device_type: 'simulated_wisepos_e',
    label: thingName(random),
    location: null,
    status: 'online',
  }),
  transfer: ({ random }) => ({
    amount: random.integer(100, 9000),
    amount_reversed: 0,
    currency: 'usd',
    reversed: false,
  }),
};

/** Objects whose life does not begin as `active`. */
const STATUS: Readonly<Record<string, string | null>> = {
  capability: 'active',
  item: null,
  line_item: null,
  review: null,
  topup: 'pending',
};

/** The parents that an object of this kind hangs on: the one that the caller named, or one of those there can be. */
function parentsOf(making: Making, entry: CatalogObject): Record<string, string> {
  const candidates = listParents(entry.object);
  const named = candidates.find((parent) => making.parents[parent] !== undefined);
  if (named !== undefined) return { [named]: making.parents[named] as string };
  const given = candidates.find(
    (parent) => making.find(parent, making.fields[parentField(parent)]) !== undefined,
  );
  const parent = given ?? (candidates.length === 0 ? undefined : making.random.pick(candidates));
  if (parent === undefined) return {};
  return { [parent]: (making.find(parent, making.fields[parentField(parent)]) ?? making.need(parent)).id };
}

export function generic(object: string, making: Making): Draft {
  const entry = catalogObject(object);
  const { created, random } = making;
  const timestamps: JsonObject = {};
  for (const field of entry.timestampFields ?? ['created']) {
    timestamps[field] =
      field === 'created' || field === 'updated' || field.endsWith('_time') ? created : null;
  }
  const status = STATUS[object] === undefined ? 'active' : STATUS[object];
  const parents = parentsOf(making, entry);
  const shown: JsonObject = {};
  if (!SILENT.has(object))
    for (const [parent, id] of Object.entries(parents)) shown[parentField(parent)] = id;
  const data: JsonObject = {
    ...(entry.singleton ? {} : { id: making.id }),
    object,
    ...timestamps,
    livemode: false,
    ...(entry.singleton ? {} : { metadata: metadata(random) }),
    ...(status === null ? {} : { status }),
    ...shown,
    ...EXTRAS[object]?.(making),
  };
  return { data, ...(SILENT.has(object) ? { parents } : {}) };
}
