/** Tables of a given size, filled in SQL, with rows as wide as Stripe's customers and their events. */
import type { Pool } from 'pg';

export const ACCOUNT = 'bench';
/** When the oldest row was created, in seconds. */
const BEGAN = 1_700_000_000;

const CUSTOMER = `jsonb_build_object(
  'id', 'cus_' || substr(md5(n::text), 1, 14), 'object', 'customer', 'created', ${BEGAN} + n, 'balance', 0,
  'currency', 'eur', 'delinquent', false, 'description', null, 'email', 'customer' || n || '@bench.example',
  'invoice_prefix', upper(substr(md5('p' || n), 1, 8)), 'livemode', false, 'name', 'Customer ' || n,
  'metadata', jsonb_build_object('order', md5('o' || n), 'campaign', md5('c' || n)),
  'preferred_locales', '[]'::jsonb, 'shipping', null, 'tax_exempt', 'none', 'test_clock', null)`;

const FILL_CUSTOMERS = `
insert into stripe.customers (account, id, data, as_of, as_of_until, source)
select '${ACCOUNT}', e->>'id', e, to_timestamp(${BEGAN} + n), to_timestamp(${BEGAN} + n), 'evt_' || n
from generate_series(1, $1::integer) as n, lateral (select ${CUSTOMER} as e offset 0) as made
order by 2`;

/** The last change of each customer. */
const FILL_LEDGER = `
insert into stripe_sync.events
  (account, id, type, created, object, object_id, api_version, event, source, seen_at, listed_at, outcome, applied_at)
select account, 'evt_' || substr(id, 5), 'customer.updated', as_of, 'customer', id, '2026-10-28.endive',
  jsonb_build_object('id', 'evt_' || substr(id, 5), 'object', 'event', 'type', 'customer.updated',
    'created', data->'created', 'data',
    jsonb_build_object('object', data, 'previous_attributes', '{"name":null}'::jsonb)),
  'poll', as_of, as_of, 'applied', as_of
from stripe.customers
order by id`;

const SECONDARY_INDEXES = `
select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
from pg_index where indrelid = 'stripe_sync.events'::regclass and not indisprimary`;

export async function fill(pool: Pool, rows: number): Promise<void> {
  // Made afterwards they cost a third.
  const { rows: indexes } = await pool.query<{ name: string; definition: string }>(SECONDARY_INDEXES);
  for (const { name } of indexes) await pool.query(`drop index ${name}`);
  await pool.query(FILL_CUSTOMERS, [rows]);
  await pool.query(FILL_LEDGER);
  for (const { definition } of indexes) await pool.query(definition);
  // As they are once autovacuum has been there, and with nothing left to write.
  await pool.query('vacuum analyze stripe.customers');
  await pool.query('vacuum analyze stripe_sync.events');
  await pool.query('checkpoint');
}

export interface ChangedPage {
  readonly objectIds: readonly string[];
  readonly eventIds: readonly string[];
  /** Of /v1/events, and of /v1/customers with a state later than that. */
  readonly events: string;
  readonly customers: string;
  /** When the events were made, and when the list was read: later than every row, and than the page before. */
  readonly at: number;
}

const OBJECTS = `
select ${CUSTOMER} as customer from generate_series(1, $1::integer) as g, lateral (
  select 1 + floor(random() * $2)::integer as n where g > 0
) as one`;

/** A change of so many customers anywhere in the table. */
export async function changedPage(pool: Pool, rows: number, step: number, size = 100): Promise<ChangedPage> {
  const { rows: picked } = await pool.query<{ customer: { id: string } }>(OBJECTS, [size, rows]);
  const distinct = [...new Map(picked.map(({ customer }) => [customer.id, customer])).values()];
  const at = BEGAN + 10_000_000 + step * 10;
  const changed = (name: string) => distinct.map((customer) => ({ ...customer, name }));
  const eventIds = distinct.map((_, index) => `evt_step${step}_${index}`);
  const data = changed(`Step ${step}`).map((object, index) => ({
    id: eventIds[index],
    ...{ object: 'event', type: 'customer.updated', created: at, api_version: '2026-10-28.endive' },
    data: { object, previous_attributes: { name: 'before' } },
  }));
  return {
    objectIds: distinct.map(({ id }) => id),
    eventIds,
    events: JSON.stringify({ object: 'list', data, has_more: true }),
    customers: JSON.stringify({ object: 'list', data: changed(`Listed ${step}`), has_more: true }),
    at,
  };
}
