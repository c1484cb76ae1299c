/**
 * How the objects of each type get into their table besides their events: by a list, by a walk over the objects that
 * they belong to, out of the object that holds them whole, or not at all. docs/objects.md is made from it.
 */
import { type CatalogObject, type ListQuery, objectNamed, resolveTypes, syncedObjects } from './catalog.js';

export type Listing =
  /** A list of the whole account, and walks for those of the type that it leaves out. */
  | {
      readonly how: 'list';
      readonly path: string;
      /** Queries that together list all of it. */
      readonly passes: readonly ListQuery[];
      readonly createdFilter: boolean;
      /** Whether it takes `limit` and `starting_after`; without them everything is on one page. */
      readonly paged: boolean;
      readonly walks: readonly ParentWalk[];
    }
  | { readonly how: 'parents'; readonly walks: readonly ParentWalk[] }
  | { readonly how: 'singleton'; readonly path: string }
  /** The parent's object holds it whole, so its rows follow their parent's row. */
  | { readonly how: 'embedded'; readonly parent: string; readonly field: string }
  | { readonly how: 'events'; readonly why: string }
  | { readonly how: 'nothing'; readonly why: string };

/** One request or more for each object of another type. */
export interface ParentWalk {
  /** The objects in whose table the walk goes. */
  readonly parent: string;
  /** With `{parent}` in the place of the parent's id. */
  readonly path: string;
  /** Values may be `{parent}`, or `{parent.field}` for a text field of the parent. */
  readonly query: ListQuery;
  /** Whether the path answers one object in place of a list. */
  readonly single: boolean;
  readonly paged: boolean;
  /** SQL over the parent's row `p`: false where there can be none. Exact, or it is not there. */
  readonly where: string | null;
}

interface Walking {
  readonly parent: string;
  readonly path: string;
  readonly query?: ListQuery;
  readonly single?: boolean;
  readonly paged?: boolean;
  readonly where?: string;
}

const walk = ({ query = {}, single = false, paged = true, where, ...rest }: Walking): ParentWalk => ({
  ...rest,
  query,
  single,
  paged,
  where: where ?? null,
});

/** A list that wants the parent's id as a parameter. */
const byQuery = (path: string, parent: string, parameter: string, where?: string): ParentWalk[] => [
  walk({ parent, path, query: { [parameter]: '{parent}' }, ...(where === undefined ? {} : { where }) }),
];

/** Stripe makes the first source of a customer its default, and another one once that is deleted. */
const HAS_SOURCES = "p.data->>'default_source' is not null";

const sourcesOf = (kind: string): ParentWalk[] => [
  walk({
    parent: 'customer',
    path: '/v1/customers/{parent}/sources',
    query: { object: kind },
    where: HAS_SOURCES,
  }),
];

const externalAccounts = (kind: string): ParentWalk =>
  walk({ parent: 'account', path: '/v1/accounts/{parent}/external_accounts', query: { object: kind } });

const ofFinancialAccounts = (name: string): ParentWalk[] =>
  byQuery(`/v1/treasury/${name}`, 'treasury.financial_account', 'financial_account');

const WALKS: Readonly<Record<string, readonly ParentWalk[]>> = {
  bank_account: [...sourcesOf('bank_account'), externalAccounts('bank_account')],
  capability: [walk({ parent: 'account', path: '/v1/accounts/{parent}/capabilities', paged: false })],
  card: [...sourcesOf('card'), externalAccounts('card')],
  customer_balance_transaction: [
    walk({ parent: 'customer', path: '/v1/customers/{parent}/balance_transactions' }),
  ],
  customer_cash_balance_transaction: [
    walk({ parent: 'customer', path: '/v1/customers/{parent}/cash_balance_transactions' }),
  ],
  discount: [
    walk({
      parent: 'customer',
      path: '/v1/customers/{parent}/discount',
      single: true,
      where: "jsonb_typeof(p.data->'discount') = 'object'",
    }),
  ],
  // What a customer is granted changes their summary, and not the customer.
  'entitlements.active_entitlement': ['customer', 'entitlements.active_entitlement_summary'].flatMap(
    (parent) => byQuery('/v1/entitlements/active_entitlements', parent, 'customer'),
  ),
  fee_refund: [
    walk({
      parent: 'application_fee',
      path: '/v1/application_fees/{parent}/refunds',
      where: "p.data->'amount_refunded' is distinct from '0'",
    }),
  ],
  'financial_connections.account_owner': [
    walk({
      parent: 'financial_connections.account',
      path: '/v1/financial_connections/accounts/{parent}/owners',
      query: { ownership: '{parent.ownership}' },
      where: "jsonb_typeof(p.data->'ownership') = 'string'",
    }),
  ],
  'financial_connections.transaction': byQuery(
    '/v1/financial_connections/transactions',
    'financial_connections.account',
    'account',
  ),
  'issuing.token': byQuery('/v1/issuing/tokens', 'issuing.card', 'card'),
  item: [
    walk({ parent: 'quote', path: '/v1/quotes/{parent}/line_items' }),
    walk({ parent: 'quote', path: '/v1/quotes/{parent}/computed_upfront_line_items' }),
    walk({ parent: 'checkout.session', path: '/v1/checkout/sessions/{parent}/line_items' }),
    walk({ parent: 'payment_link', path: '/v1/payment_links/{parent}/line_items' }),
  ],
  payment_attempt_record: byQuery('/v1/payment_attempt_records', 'payment_record', 'payment_record'),
  payment_intent_amount_details_line_item: [
    walk({
      parent: 'payment_intent',
      path: '/v1/payment_intents/{parent}/amount_details_line_items',
      where: "jsonb_typeof(p.data->'amount_details') = 'object'",
    }),
  ],
  person: [walk({ parent: 'account', path: '/v1/accounts/{parent}/persons' })],
  product_feature: [walk({ parent: 'product', path: '/v1/products/{parent}/features' })],
  setup_attempt: byQuery(
    '/v1/setup_attempts',
    'setup_intent',
    'setup_intent',
    "p.data->>'latest_attempt' is not null",
  ),
  source: sourcesOf('source'),
  source_transaction: [walk({ parent: 'source', path: '/v1/sources/{parent}/source_transactions' })],
  tax_id: [walk({ parent: 'customer', path: '/v1/customers/{parent}/tax_ids' })],
  'treasury.credit_reversal': ofFinancialAccounts('credit_reversals'),
  'treasury.debit_reversal': ofFinancialAccounts('debit_reversals'),
  'treasury.inbound_transfer': ofFinancialAccounts('inbound_transfers'),
  'treasury.outbound_payment': ofFinancialAccounts('outbound_payments'),
  'treasury.outbound_transfer': ofFinancialAccounts('outbound_transfers'),
  'treasury.received_credit': ofFinancialAccounts('received_credits'),
  'treasury.received_debit': ofFinancialAccounts('received_debits'),
  'treasury.transaction': ofFinancialAccounts('transactions'),
  'treasury.transaction_entry': ofFinancialAccounts('transaction_entries'),
};

/** Embedded lists that Stripe always shows. What it cuts is completed before the parent is stored. */
const EMBEDDED: Readonly<Record<string, { readonly parent: string; readonly field: string }>> = {
  credit_note_line_item: { parent: 'credit_note', field: 'lines' },
  line_item: { parent: 'invoice', field: 'lines' },
  'radar.value_list_item': { parent: 'radar.value_list', field: 'list_items' },
  subscription_item: { parent: 'subscription', field: 'items' },
  transfer_reversal: { parent: 'transfer', field: 'reversals' },
};

/** Lists whose required parameter names no parent, with the values that show what is there to see. */
const REQUIRED: Readonly<Record<string, readonly ListQuery[]>> = {
  // The secrets of single users need their ids, which no list tells.
  'apps.secret': [{ 'scope[type]': 'account' }],
  // The only type that there is.
  'tax.location': [{ type: 'performance' }],
};

const NOTHING: Readonly<Record<string, string>> = {
  'billing.meter_event_summary':
    'Stripe adds it up for a meter, a customer and a time that the asker names; there is no list of all',
  'tax.calculation_line_item': 'a tax calculation is shown to whoever made it, by its id alone',
  'tax.transaction_line_item': 'no list names the tax transactions that it belongs to',
};

const ONLY_EVENTS = 'Stripe has no list of it';

/** How a type that has a table is listed. Throws on a type without one. */
export function listingOf(object: string): Listing {
  const entry = objectNamed(object);
  if (entry === undefined) throw new Error(`The catalog has no object "${object}".`);
  const embedded = EMBEDDED[object];
  if (embedded !== undefined) return { how: 'embedded', ...embedded };
  if (entry.singleton && entry.retrievePath !== null) return { how: 'singleton', path: entry.retrievePath };
  const walks = WALKS[object] ?? [];
  const top = topList(entry);
  if (top !== null) return { ...top, walks };
  if (walks.length > 0) return { how: 'parents', walks };
  if (entry.eventTypes.length > 0) return { how: 'events', why: ONLY_EVENTS };
  return { how: 'nothing', why: NOTHING[object] ?? ONLY_EVENTS };
}

function topList(entry: CatalogObject): Omit<Extract<Listing, { how: 'list' }>, 'walks'> | null {
  const { object, listPath, listFilterNote, requiredQuery, createdFilter, startingAfter } = entry;
  if (listPath === null || listPath.includes('{')) return null;
  const required = REQUIRED[object];
  if (requiredQuery.length > 0 && required === undefined) return null;
  const passes = required ?? listFilterNote?.passes ?? [listFilterNote?.query ?? {}];
  return { how: 'list', path: listPath, passes, createdFilter, paged: startingAfter };
}

/** Every type that a backfill fills by requests of its own: singletons, what the account's lists show, and walks. */
export function backfillTypes(): string[] {
  return syncedObjects()
    .map(({ object }) => object)
    .filter((object) => ['singleton', 'list', 'parents'].includes(listingOf(object).how));
}

export interface BackfillPhases {
  /** Types that can be listed at the same time; each phase needs the rows of those before. */
  readonly phases: readonly (readonly string[])[];
  /** Types that were asked for and cannot be listed so. */
  readonly leftOut: readonly { readonly object: string; readonly reason: string }[];
}

/**
 * In which order types are listed: what stands alone, what belongs to that, and what belongs to that in turn.
 *
 * @param names object or table names, or null for everything; an embedded type means its parent
 * @param isPartial whether only what is new from a time on is asked for of a type: its list has to be able to tell
 * @throws UnknownTypesError
 */
export function backfillPhases(
  names: readonly string[] | null,
  isPartial: (object: string) => boolean,
): BackfillPhases {
  const asked = names === null ? backfillTypes() : resolveTypes(names).map(({ object }) => object);
  const wanted = new Set<string>();
  const leftOut: { object: string; reason: string }[] = [];
  for (const object of asked) {
    const listing = listingOf(object);
    if (listing.how === 'embedded') wanted.add(listing.parent);
    else if (listing.how === 'events' || listing.how === 'nothing')
      leftOut.push({ object, reason: listing.why });
    else if (!isPartial(object) || tellsWhatIsNew(listing)) wanted.add(object);
    else if (names !== null)
      leftOut.push({ object, reason: 'its list cannot be narrowed to what was created lately' });
  }
  const phases: string[][] = [];
  for (const object of wanted) {
    const depth = depthOf(object, wanted);
    for (let index = phases.length; index <= depth; index += 1) phases.push([]);
    phases[depth]?.push(object);
  }
  return { phases: phases.filter((phase) => phase.length > 0), leftOut };
}

function tellsWhatIsNew(listing: Listing): boolean {
  return listing.how === 'parents' || (listing.how === 'list' && listing.createdFilter);
}

/** How many of the wanted types have to be listed one after the other before this one. */
function depthOf(object: string, wanted: ReadonlySet<string>): number {
  const listing = listingOf(object);
  if (listing.how !== 'parents' && listing.how !== 'list') return 0;
  const parents = listing.walks.map(({ parent }) => parent).filter((parent) => wanted.has(parent));
  return parents.length === 0 ? 0 : 1 + Math.max(...parents.map((parent) => depthOf(parent, wanted)));
}

/** The types that are to be listed so that these are filled: an embedded one by its parent. */
export function typesToList(objects: readonly string[]): string[] {
  return [
    ...new Set(
      objects.map((object) => {
        const listing = listingOf(object);
        return listing.how === 'embedded' ? listing.parent : object;
      }),
    ),
  ];
}

/**
 * Whether objects of the type may be deleted and can be read by their ids, so that what a complete listing does not
 * show is worth a look.
 */
export function maySweep(object: string): boolean {
  const entry = objectNamed(object);
  if (entry === undefined || entry.retrievePath === null) return false;
  return entry.deletable || entry.deletedEvents.length > 0;
}
