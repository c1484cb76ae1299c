import { describe, expect, it } from 'vitest';
import { GROWTH, openWhile } from '../../src/stripe/append-only.js';
import { columnsOf, objectNamed, UnknownTypesError } from '../../src/stripe/catalog.js';
import { backfillTypes, listingOf } from '../../src/stripe/listings.js';
import { refreshTypes } from '../../src/stripe/refresh-types.js';
import { silentObjects } from '../../src/stripe/stored-objects.js';

const refreshed = new Map(refreshTypes(null).map(({ object, partly }) => [object, partly]));

describe('what is refreshed', () => {
  it('is every listable type that may change in silence', () => {
    expect(silentObjects().filter((object) => !refreshed.has(object))).toEqual([]);
    for (const object of ['balance_transaction', 'shipping_rate', 'tax.registration', 'payment_intent'])
      expect(refreshed.has(object)).toBe(true);
  });

  it('is every singleton, and what is found under a parent and has no events', () => {
    for (const object of ['balance', 'balance_settings', 'tax.settings']) {
      expect(refreshed.get(object)).toBe(null);
    }
    for (const object of ['item', 'product_feature', 'customer_balance_transaction'])
      expect(refreshed.get(object)).toBe('parents');
  });

  it('is nothing that events tell all of, nor what nobody can list', () => {
    for (const object of ['customer', 'invoice', 'tax_id', 'person', 'mandate', 'subscription_item'])
      expect(refreshed.has(object)).toBe(false);
    expect([...refreshed.keys()].filter((object) => !backfillTypes().includes(object))).toEqual([]);
  });

  it('stays within the types that an account holds', () => {
    expect(refreshTypes(['customer', 'balance', 'coupon']).map(({ object }) => object)).toEqual(['balance']);
    expect(refreshTypes(['customer'])).toEqual([]);
    // The items of a list come with the list itself.
    expect(refreshTypes(['radar.value_list_item']).map(({ object }) => object)).toEqual(['radar.value_list']);
    expect(() => refreshTypes(['dragon'])).toThrow(UnknownTypesError);
  });

  it('comes after what it is found under', () => {
    const order = [...refreshed.keys()];
    expect(order.indexOf('item')).toBeGreaterThan(order.indexOf('checkout.session'));
  });
});

describe('what only grows', () => {
  it('was looked at for every type that changes in silence and has a created filter', () => {
    const silent = [...refreshed.keys()].filter((object) => {
      const listing = listingOf(object);
      return listing.how === 'list' && listing.createdFilter;
    });
    expect(Object.keys(GROWTH).sort()).toEqual(silent.sort());
  });

  it('is listed from its newest part alone, and nothing else is', () => {
    const newest = [...refreshed].filter(([, partly]) => partly === 'newest').map(([object]) => object);
    expect(newest).toEqual(['balance_transaction']);
    expect(openWhile('balance_transaction')).toEqual({ field: 'status', is: 'pending' });
    expect(openWhile('payment_intent')).toBeNull();
  });

  it('has the column that tells its age, and the field that tells whether it may change', () => {
    for (const object of Object.keys(GROWTH)) {
      const open = openWhile(object);
      if (open === null) continue;
      const fields = columnsOf(object).map(({ name, type }) => `${name} ${type}`);
      expect(fields).toContain('created timestamptz');
      expect(fields).toContain(`${open.field} text`);
      expect(objectNamed(object)?.createdFilter).toBe(true);
    }
  });

  it('has a reason in each entry', () => {
    for (const { why } of Object.values(GROWTH)) expect(why.length).toBeGreaterThan(20);
  });
});
