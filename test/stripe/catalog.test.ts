import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  type CatalogObject,
  catalogObjects,
  columnsOf,
  entityKeyFields,
  listableObjects,
  type ObjectShape,
  objectNamed,
  resolveTypes,
  syncedObjects,
  tableOf,
  UnknownTypesError,
} from '../../src/stripe/catalog.js';
import {
  catalogApiVersion,
  type EventType,
  eventTypeNamed,
  eventTypes,
} from '../../src/stripe/event-types.js';

const file = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../src/stripe/data/${name}`, import.meta.url), 'utf8'));
const names = (entries: readonly { object: string }[]) => entries.map(({ object }) => object);

const path = z.string().regex(/^\/v1\/[a-z0-9_{}/]+$/);
const query = z.record(z.string(), z.string());

const catalogSchema = z.array(
  z.strictObject({
    object: z.string().regex(/^[a-z0-9_]+(\.[a-z0-9_]+)?$/),
    idPrefix: z.string().nullable(),
    listPath: path.nullable(),
    retrievePath: path.nullable(),
    otherRetrievePaths: z.array(path),
    otherListPaths: z.array(path),
    singleton: z.boolean(),
    createdFilter: z.boolean(),
    endingBefore: z.boolean(),
    startingAfter: z.boolean(),
    requiredQuery: z.array(z.string()),
    eventPrefixes: z.array(z.string()),
    eventTypes: z.array(z.string()),
    eventCoverage: z.strictObject({ created: z.boolean(), updated: z.boolean(), deleted: z.boolean() }),
    deletedEvents: z.array(z.string()),
    deletable: z.boolean(),
    deletePath: path.exactOptional(),
    retrieveMayReturnDeleted: z.boolean(),
    timestampFields: z.array(z.string()).nullable(),
    embeddedLists: z.array(
      z.strictObject({
        field: z.string(),
        item: z.array(z.string().nullable()),
        alwaysPresent: z.boolean(),
        url: z.string().nullable(),
      }),
    ),
    parent: z
      .strictObject({
        object: z.string().nullable(),
        pathParams: z.array(z.string()),
        queryParams: z.array(z.string()),
      })
      .exactOptional(),
    parents: z.array(z.strictObject({ object: z.string().nullable(), listPath: path })).exactOptional(),
    rakPermission: z.string().startsWith('rak_').exactOptional(),
    searchPath: path.exactOptional(),
    testClockExcluded: z.boolean().exactOptional(),
    listFilterNote: z
      .strictObject({
        passes: z.array(query).min(1).exactOptional(),
        query: query.exactOptional(),
        why: z.string(),
      })
      .exactOptional(),
    inSpec: z.boolean(),
    inSdk: z.boolean().exactOptional(),
  }),
);

const eventsSchema = z.strictObject({
  sdkVersion: z.string(),
  apiVersion: z.string(),
  count: z.number(),
  events: z.array(
    z.strictObject({
      type: z.string(),
      tsType: z.string(),
      objects: z.array(z.string()).min(1),
      deleted: z.boolean(),
      retrievePath: path.nullable(),
      retrieveKind: z.enum([
        'by-id',
        'needs-parent-id',
        'singleton',
        'none',
        'none (preview invoice has no id)',
      ]),
      listPath: path.nullable(),
    }),
  ),
});

const columnsSchema = z.strictObject({
  sdkVersion: z.string(),
  apiVersion: z.string(),
  objects: z.record(
    z.string(),
    z.strictObject({
      from: z.string(),
      keyFields: z.array(z.string()),
      columns: z.array(
        z.strictObject({
          name: z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/),
          field: z.string(),
          type: z.enum(['text', 'bigint', 'numeric', 'boolean', 'timestamptz']),
        }),
      ),
    }),
  ),
});

describe('the data files', () => {
  // The annotation makes the compiler compare the schema with the type that the code sees.
  const catalog: readonly CatalogObject[] = catalogSchema.parse(file('catalog.json'));
  const events: { readonly events: readonly EventType[] } & z.infer<typeof eventsSchema> = eventsSchema.parse(
    file('events.json'),
  );
  const columns: { readonly objects: Readonly<Record<string, ObjectShape>> } & z.infer<typeof columnsSchema> =
    columnsSchema.parse(file('columns.json'));

  test('describe the same objects, each once', () => {
    const objects = names(catalog);
    expect(new Set(objects).size).toBe(objects.length);
    expect(Object.keys(columns.objects)).toEqual(objects);
    expect(events.events).toHaveLength(events.count);
    for (const event of events.events) {
      for (const object of event.objects) expect(objects).toContain(object);
    }
  });

  test('name each other’s event types', () => {
    const types = events.events.map(({ type }) => type);
    for (const entry of catalog) for (const type of entry.eventTypes) expect(types).toContain(type);
  });

  test('are of the installed version of the stripe package', () => {
    const installed: unknown = JSON.parse(
      readFileSync(new URL('../../node_modules/stripe/package.json', import.meta.url), 'utf8'),
    );
    expect(installed).toMatchObject({ version: events.sdkVersion });
    expect(columns.sdkVersion).toBe(events.sdkVersion);
    expect(columns.apiVersion).toBe(events.apiVersion);
  });

  test('columns.json is what the installed package’s types give', () => {
    execFileSync(process.execPath, ['scripts/renew-columns.mjs', '--check'], { stdio: 'pipe' });
  });
});

describe('tables', () => {
  test.each([
    ['customer', 'customers'],
    ['checkout.session', 'checkout_sessions'],
    ['billing_portal.configuration', 'billing_portal_configurations'],
    ['billing_portal.session', 'billing_portal_sessions'],
    ['scheduled_query_run', 'sigma_scheduled_query_runs'],
    ['test_helpers.test_clock', 'test_helpers_test_clocks'],
    ['bank_account', 'bank_accounts'],
    ['card', 'cards'],
    ['source', 'sources'],
    ['issuing.card', 'issuing_cards'],
    ['line_item', 'line_items'],
    ['item', 'items'],
    ['capability', 'capabilities'],
    ['person', 'persons'],
    ['billing.meter_event_summary', 'billing_meter_event_summaries'],
    ['balance', 'balance'],
    ['balance_settings', 'balance_settings'],
    ['tax.settings', 'tax_settings'],
    ['cash_balance', 'cash_balances'],
    ['entitlements.active_entitlement_summary', 'entitlements_active_entitlement_summaries'],
    ['mandate', 'mandates'],
  ])('%s is kept in %s', (object, table) => expect(tableOf(object)).toBe(table));

  test('no two objects share one, and PostgreSQL cuts no name', () => {
    const tables = catalogObjects().map(tableOf);
    expect(new Set(tables).size).toBe(139);
    for (const table of tables) expect(table).toMatch(/^[a-z][a-z0-9_]{0,62}$/);
  });

  test('an object that the catalog lacks is an error', () => {
    expect(objectNamed('unicorn')).toBeUndefined();
    expect(() => tableOf('unicorn')).toThrow('unicorn');
    expect(() => entityKeyFields('unicorn')).toThrow('unicorn');
  });
});

describe('what is synced', () => {
  const synced = names(syncedObjects());

  test('is what something identifies and either an event or a list shows', () => {
    expect(synced).toEqual(
      expect.arrayContaining([
        'customer',
        'line_item',
        'discount',
        'mandate',
        'reserve.hold',
        'exchange_rate',
        'balance',
        'balance_settings',
        'tax.settings',
        'cash_balance',
        'entitlements.active_entitlement_summary',
      ]),
    );
    for (const object of [
      'event',
      'billing.alert_triggered',
      'treasury.financial_account_features',
      'billing.credit_balance_summary',
      'token',
      'issuing.settlement',
    ]) {
      expect(synced).not.toContain(object);
    }
  });

  test('is keyed by its id, a capability by its account as well, and what has none by whose it is', () => {
    expect(entityKeyFields('customer')).toEqual(['id']);
    expect(entityKeyFields('capability')).toEqual(['account', 'id']);
    for (const object of ['balance', 'balance_settings', 'tax.settings'])
      expect(entityKeyFields(object)).toEqual(['object']);
    for (const object of ['cash_balance', 'entitlements.active_entitlement_summary'])
      expect(entityKeyFields(object)).toEqual(['customer']);
    expect(entityKeyFields('billing.alert_triggered')).toEqual([]);
    expect(synced.filter((object) => !entityKeyFields(object).includes('id'))).toHaveLength(5);
  });

  test('can be listed where a list needs neither a parent nor a parameter', () => {
    const listable = listableObjects();
    expect(names(listable)).toEqual(expect.arrayContaining(['customer', 'file_link', 'checkout.session']));
    for (const object of [
      'line_item',
      'subscription_item',
      'setup_attempt',
      'event',
      'card',
      'apps.secret',
    ]) {
      expect(names(listable)).not.toContain(object);
    }
    for (const { object, listPath } of listable) {
      expect(synced).toContain(object);
      expect(listPath).not.toContain('{');
    }
  });

  test('is listed in full: in as many passes as Stripe’s default filters make necessary', () => {
    const passes = (object: string) => listableObjects().find((entry) => entry.object === object)?.passes;
    expect(passes('customer')).toEqual([{}]);
    expect(passes('review')).toEqual([{}]);
    expect(passes('subscription')).toEqual([{ status: 'all' }]);
    expect(passes('price')).toEqual([{ active: 'true' }, { active: 'false' }]);
    expect(passes('payment_method')).toEqual([{}, { type: 'custom' }]);
  });
});

describe('columns', () => {
  const type = (object: string, field: string) =>
    columnsOf(object).find((column) => column.field === field)?.type;

  test.each([
    ['customer', 'email', 'text'],
    ['customer', 'created', 'timestamptz'],
    ['customer', 'delinquent', 'boolean'],
    ['customer', 'balance', 'bigint'],
    ['invoice', 'customer', 'text'],
    ['invoice', 'status', 'text'],
    ['invoice', 'amount_due', 'bigint'],
    ['invoice', 'due_date', 'timestamptz'],
    ['subscription', 'trial_end', 'timestamptz'],
    ['subscription', 'application_fee_percent', 'numeric'],
    ['coupon', 'percent_off', 'numeric'],
    ['coupon', 'redeem_by', 'timestamptz'],
    ['tax_rate', 'percentage', 'numeric'],
    ['balance_transaction', 'exchange_rate', 'numeric'],
    ['billing.meter_event_summary', 'aggregated_value', 'numeric'],
    ['price', 'unit_amount', 'bigint'],
    ['price', 'unit_amount_decimal', 'numeric'],
    ['climate.order', 'metric_tons', 'numeric'],
    ['topup', 'expected_availability_date', 'timestamptz'],
    ['reporting.report_type', 'version', 'bigint'],
    ['invoice_rendering_template', 'version', 'bigint'],
  ])('%s.%s is %s', (object, field, expected) => expect(type(object, field)).toBe(expected));

  test('hold single values only', () => {
    for (const field of ['id', 'object', 'metadata', 'lines', 'discounts', 'customer_address', 'deleted']) {
      expect(type('invoice', field)).toBeUndefined();
    }
  });

  test('keep out of the way of the sync’s own', () => {
    const own = ['account', 'id', 'data', 'as_of', 'as_of_until', 'deleted', 'source'];
    for (const { object } of syncedObjects()) {
      const columns = columnsOf(object).map(({ name }) => name);
      expect(new Set([...own, ...columns]).size).toBe(own.length + columns.length);
    }
    expect(columnsOf('balance_transaction')).toContainEqual({
      name: 'source_id',
      field: 'source',
      type: 'text',
    });
  });
});

describe('types that somebody names', () => {
  test('may be objects and tables alike, and count once', () => {
    expect(names(resolveTypes(['checkout_sessions', 'customer', 'customers', 'checkout.session']))).toEqual([
      'checkout.session',
      'customer',
    ]);
  });

  test('are refused all at once where they are unknown, with what may have been meant', () => {
    const attempt = () =>
      resolveTypes(['custmer', 'customer', 'sessions', 'xyzzy', 'billing.alert_triggered']);
    expect(attempt).toThrow(UnknownTypesError);
    expect(attempt).toThrow(
      'Unknown types: custmer (did you mean customer or customers?), ' +
        'sessions (did you mean billing_portal_sessions or checkout_sessions or identity_verification_sessions?), ' +
        'xyzzy, billing.alert_triggered (nothing in it identifies it).',
    );
  });
});

test('an event type says what it carries and how to read that again', () => {
  expect(eventTypes()).toHaveLength(275);
  expect(eventTypeNamed('customer.updated')).toMatchObject({ objects: ['customer'], retrieveKind: 'by-id' });
  expect(eventTypeNamed('customer.source.updated')?.objects).toEqual(['bank_account', 'card', 'source']);
  expect(eventTypeNamed('unicorn.created')).toBeUndefined();
  expect(catalogApiVersion()).toMatch(/^\d{4}-\d{2}-\d{2}\.[a-z]+$/);
});
