// Writes docs/objects.md: what becomes of each of Stripe's objects, from the catalog and from src/stripe/listings.ts.
// Run: node scripts/objects-table.mjs; with --check it writes nothing, and ends with 1 where the file is another.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createJiti } from 'jiti';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const load = (file) => createJiti(import.meta.url).import(here(`../src/stripe/${file}.ts`));
const { catalogObjects, entityKeyFields, syncedObjects, tableOf } = await load('catalog');
const { isDeletion } = await load('deletions');
const { listingOf, maySweep } = await load('listings');
const { refreshTypes } = await load('refresh-types');

// What no list shows, by hand from Stripe's documentation of each list.
const INVISIBLE = {
  account: 'the account itself: its list shows connected accounts, its events bring it',
  'apps.secret': 'secrets of single users: they are listed by the id of a user, which nothing tells',
  'billing_portal.session': 'sessions of which no event came',
  card: 'cards that payment methods hold: they are in `payment_methods`',
  cash_balance: 'balances of which no event came: asking every customer would be a request each',
  customer: 'customers of test clocks, unless an event names them: the list leaves them out',
  discount:
    'discounts of subscriptions, invoices and sessions, unless an event names them: Stripe shows a customer’s only',
  'entitlements.active_entitlement_summary':
    'entitlements beyond those that the event shows: all are in `entitlements_active_entitlements`',
  invoice: '`invoice.upcoming`: a preview without an id, kept in the ledger alone',
  mandate: 'mandates of which no event came',
  price: 'inline prices, unless an event names them: no list shows them',
  quote: 'quotes of test clocks, unless an event names them',
  review: 'closed reviews, unless an event names them: the list shows open ones only',
  source_mandate_notification: 'notifications of which no event came',
  subscription: 'subscriptions of test clocks, unless an event names them',
  subscription_schedule: 'schedules of test clocks, unless an event names them',
};

// Why an object has no table, where it is more than that Stripe neither lists it nor reports its changes.
const NO_TABLE = {
  'billing.alert_triggered': 'nothing in it identifies it; its event is kept in the ledger',
  'billing.credit_balance_summary':
    'a sum that Stripe works out for the customer whom the request names; it has no id and no event',
  event: 'events are the ledger: `stripe_sync.events`',
  'treasury.financial_account_features':
    'it has no id and no event; which features are active stands in `treasury_financial_accounts`',
};
const UNREACHABLE = 'Stripe neither lists it nor reports its changes: whoever made it knows its id';

const code = (text) => `\`${text}\``;
const cell = (text) => (text === '' ? '–' : text.replaceAll('|', '\\|'));
const queryText = (query) =>
  Object.entries(query)
    .map(([name, value]) => code(`${name}=${value}`))
    .join(' and ');

function walkText({ parent, path, query, single }) {
  const where = path.replaceAll('{parent}', '{id}');
  const named = queryText(query).replaceAll('{parent', '{id').replaceAll('{id.', '{');
  return `${single ? 'the one' : 'those'} of each row of ${code(tableOf(parent))}: ${code(where)}${named === '' ? '' : ` with ${named}`}`;
}

function listText({ path, passes, createdFilter, walks }) {
  const queries = passes.map(queryText).filter((text) => text !== '');
  const all = passes.length > 1 ? passes.map((query) => queryText(query) || 'no filter') : queries;
  const filter = all.length === 0 ? '' : ` with ${all.join(', then ')}`;
  const ranges = createdFilter ? ', in ranges of `created`' : '';
  return [`${code(path)}${filter}${ranges}`, ...walks.map(walkText)].join('; and ');
}

function backfillText(object) {
  const listing = listingOf(object);
  switch (listing.how) {
    case 'list':
      return listText(listing);
    case 'parents':
      return listing.walks.map(walkText).join('; and ');
    case 'singleton':
      return `one request: ${code(listing.path)}`;
    case 'embedded':
      return `out of ${code(`${tableOf(listing.parent)}.data->'${listing.field}'`)}, with each row there`;
    case 'events':
      return 'not at all';
    case 'nothing':
      return 'not at all';
    default:
      throw new Error(
        `${object}: a listing of a kind that this script does not know: ${JSON.stringify(listing)}`,
      );
  }
}

/** `customer.created`, `.deleted`: the prefix once. */
function eventsText({ eventTypes }) {
  const byPrefix = new Map();
  for (const type of eventTypes.toSorted()) {
    const at = type.lastIndexOf('.');
    byPrefix.set(type.slice(0, at), [...(byPrefix.get(type.slice(0, at)) ?? []), type.slice(at + 1)]);
  }
  return [...byPrefix]
    .map(([prefix, [first, ...rest]]) =>
      [code(`${prefix}.${first}`), ...rest.map((name) => code(`.${name}`))].join(', '),
    )
    .join('; ');
}

const refreshed = new Map(refreshTypes(null).map(({ object, partly }) => [object, partly]));

function refreshText(object) {
  const listing = listingOf(object);
  if (listing.how === 'embedded') return `with ${code(tableOf(listing.parent))}`;
  if (!refreshed.has(object)) return '';
  const partly = refreshed.get(object);
  if (partly === 'newest') return 'what is new';
  return partly === 'parents' ? 'where the row above changed' : 'whole';
}

function deletionText({ object, deletable, eventTypes }) {
  const events = eventTypes.filter((type) => isDeletion(type, object)).map(code);
  if (listingOf(object).how === 'embedded') return 'with the row above';
  const isListed = ['list', 'parents'].includes(listingOf(object).how);
  const sweep = maySweep(object) && isListed ? ['a complete listing'] : [];
  if (events.length + sweep.length > 0) return [...events, ...sweep].join(', ');
  if (object === 'subscription') return 'it is canceled, and stays';
  return deletable ? 'no' : 'Stripe deletes none';
}

function invisibleText(object) {
  const listing = listingOf(object);
  const why = listing.how === 'nothing' || listing.how === 'events' ? listing.why : '';
  const own = INVISIBLE[object] ?? '';
  if (listing.how === 'nothing') return `all of it: ${why}`;
  if (listing.how === 'events') return own === '' ? `what no event told: ${why}` : `${own} (${why})`;
  return own;
}

function nameText({ object, inSpec }) {
  return inSpec ? code(object) : `${code(object)} ¹`;
}

function keyText(object) {
  const fields = entityKeyFields(object);
  if (fields.join() === 'id') return '';
  return fields.join() === 'object'
    ? ` (one row: ${code(object)})`
    : ` (by ${fields.map(code).join(' and ')})`;
}

const synced = syncedObjects();
const objectsBy = (how) => synced.filter(({ object }) => listingOf(object).how === how).length;
const rows = synced
  .map((entry) => [
    nameText(entry),
    `${code(tableOf(entry))}${keyText(entry.object)}`,
    backfillText(entry.object),
    eventsText(entry),
    refreshText(entry.object),
    deletionText(entry),
    invisibleText(entry.object),
  ])
  .map((cells) => `| ${cells.map(cell).join(' | ')} |`);
const stale = Object.keys(INVISIBLE).filter((name) => !synced.some(({ object }) => object === name));
if (stale.length > 0) throw new Error(`what is invisible of ${stale.join(', ')}: there is no such table`);
const without = catalogObjects()
  .filter((entry) => !synced.includes(entry))
  .map((entry) => `| ${nameText(entry)} | ${NO_TABLE[entry.object] ?? UNREACHABLE} |`);

const text = `# Stripe's objects, and what becomes of each

Made from the catalog by \`node scripts/objects-table.mjs\`. Do not edit it by hand.

Stripe has ${catalogObjects().length} kinds of objects, and ${synced.length} of them have a table in the schema \`stripe\`. A backfill fills ${objectsBy('list')} by lists of the whole account, ${objectsBy('parents')} by asking for what belongs to each row of another table, ${objectsBy('singleton')} by one request, and ${objectsBy('embedded')} out of the objects that hold them; ${objectsBy('events') + objectsBy('nothing')} have no list that could be walked, and get their rows from events alone.

- **Backfill**: how it is listed, 100 objects a request. A walk over a table asks for a row's objects one row after the other, several at a time, and only where the row does not say that there are none (a customer without a source, an application fee without a refund). Types that the key may not read are left out, and \`stripe-sync status\` names the permission that is missing.
- **Events**: the types that carry it. Each is applied as it comes.
- **Listed again**: on a schedule, since not everything that happens to it raises an event. Whole, what is new only, or where the row above changed. A dash: events tell of everything.
- **Deletion seen by**: the events, and a listing that shows everything: rows that it does not show are read one by one. What Stripe lets nobody delete stays.
- **Invisible**: what never reaches the table, and why.

| object | table | backfill | events | listed again | deletion seen by | invisible |
|---|---|---|---|---|---|---|
${rows.join('\n')}

¹ Not in Stripe's published OpenAPI document: a preview, or an object that only events carry. It is described by the declarations of the stripe package.

Everywhere: what belongs to an object that is deleted is asked for no more; its own events say what became of it. Objects of another mode (live or test) and of other accounts are not there: a key sees one account in one mode.

## Without a table

| object | why |
|---|---|
${without.join('\n')}
`;

const file = here('../docs/objects.md');
if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') !== text) {
    console.error('docs/objects.md is not what the catalog gives. Run: node scripts/objects-table.mjs');
    process.exitCode = 1;
  }
} else {
  writeFileSync(file, text);
  console.log(`docs/objects.md: ${synced.length} objects with a table, ${without.length} without`);
}
