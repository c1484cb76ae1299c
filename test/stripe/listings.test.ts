import { describe, expect, it } from 'vitest';
import { objectNamed, syncedObjects, UnknownTypesError } from '../../src/stripe/catalog.js';
import { backfillPhases, backfillTypes, listingOf, maySweep } from '../../src/stripe/listings.js';

const whole = () => false;
const partial = () => true;

describe('how a type is listed', () => {
  it('is known of every type that has a table, and parents of walks and embedded types have tables too', () => {
    const stored = new Set(syncedObjects().map(({ object }) => object));
    for (const object of stored) {
      const listing = listingOf(object);
      if (listing.how === 'embedded') expect(stored).toContain(listing.parent);
      if (listing.how === 'list' || listing.how === 'parents')
        for (const { parent } of listing.walks) expect(stored).toContain(parent);
      if (listing.how === 'events') expect(objectNamed(object)?.eventTypes).not.toEqual([]);
    }
  });

  it('is by a list, in passes where one pass leaves something out', () => {
    expect(listingOf('customer')).toMatchObject({
      how: 'list',
      path: '/v1/customers',
      passes: [{}],
      createdFilter: true,
    });
    expect(listingOf('price')).toMatchObject({ passes: [{ active: 'true' }, { active: 'false' }] });
    expect(listingOf('subscription')).toMatchObject({ passes: [{ status: 'all' }] });
    expect(listingOf('reporting.report_type')).toMatchObject({ paged: false });
  });

  it('is otherwise by its parents, out of its parent, alone, by events, or not at all, with the reason', () => {
    expect(listingOf('person')).toMatchObject({ how: 'parents', walks: [{ parent: 'account' }] });
    expect(listingOf('line_item')).toEqual({ how: 'embedded', parent: 'invoice', field: 'lines' });
    expect(listingOf('balance')).toEqual({ how: 'singleton', path: '/v1/balance' });
    expect(listingOf('mandate')).toMatchObject({ how: 'events' });
    expect(listingOf('billing.meter_event_summary')).toMatchObject({ how: 'nothing', why: /no list of all/ });
    expect(() => listingOf('unicorn')).toThrow('unicorn');
  });

  it('is by nothing for few types only, each of which nobody can list', () => {
    const nothing = syncedObjects().filter(({ object }) => listingOf(object).how === 'nothing');
    expect(nothing.map(({ object }) => object).toSorted()).toEqual([
      'billing.meter_event_summary',
      'tax.calculation_line_item',
      'tax.transaction_line_item',
    ]);
  });
});

describe('what a backfill lists', () => {
  it('is everything, parents before what belongs to them, each type once', () => {
    const { phases, leftOut } = backfillPhases(null, whole);
    const listed = phases.flat();
    expect(leftOut).toEqual([]);
    expect(listed.toSorted()).toEqual(backfillTypes().toSorted());
    expect(new Set(listed).size).toBe(listed.length);
    for (const object of listed) {
      const listing = listingOf(object);
      if (listing.how !== 'list' && listing.how !== 'parents') continue;
      for (const { parent } of listing.walks)
        expect(phaseOf(phases, parent)).toBeLessThan(phaseOf(phases, object));
    }
    expect(phaseOf(phases, 'source_transaction')).toBe(2);
  });

  it('is what is named, by object or table, an embedded type by its parent, and what nothing lists is left out', () => {
    const { phases, leftOut } = backfillPhases(
      ['subscription_items', 'customers', 'mandate', 'person'],
      whole,
    );
    expect(phases).toEqual([['subscription', 'customer', 'person']]);
    expect(leftOut).toMatchObject([{ object: 'mandate' }]);
    expect(() => backfillPhases(['custommers'], whole)).toThrow(UnknownTypesError);
  });

  it('is only what can be narrowed where it is asked for what is new', () => {
    const { phases, leftOut } = backfillPhases(null, partial);
    expect(phases.flat()).toContain('charge');
    expect(phases.flat()).not.toContain('payment_method');
    expect(phases.flat()).not.toContain('balance');
    expect(leftOut).toEqual([]);
    expect(backfillPhases(['charge', 'payment_method'], partial)).toMatchObject({
      phases: [['charge']],
      leftOut: [{ object: 'payment_method' }],
    });
  });

  it('looks for deletions of what can be deleted and read by its id', () => {
    expect(['customer', 'coupon', 'price', 'terminal.reader'].every(maySweep)).toBe(true);
    expect(['charge', 'review', 'balance_transaction'].some(maySweep)).toBe(false);
  });
});

function phaseOf(phases: readonly (readonly string[])[], object: string): number {
  return phases.findIndex((phase) => phase.includes(object));
}
