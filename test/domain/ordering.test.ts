import { describe, expect, it } from 'vitest';
import { planChanges, planRead } from '../../src/domain/ordering.js';
import { COUPON, CUSTOMER, change, row } from './pending-changes.js';

describe('what becomes of a change', () => {
  it('a change of a later second is applied', () => {
    expect(planChanges(row(1, 5), [change('a', 6)], CUSTOMER)).toMatchObject({
      apply: { id: 'a' },
      fetch: null,
    });
  });

  it('a change of an earlier second is stale', () => {
    expect(planChanges(row(6, 8), [change('a', 5)], CUSTOMER)).toMatchObject({ apply: null, stale: ['a'] });
  });

  it('a change in a second that the row covers asks for a read past it', () => {
    expect(planChanges(row(5, 8), [change('a', 6)], CUSTOMER)).toMatchObject({
      apply: null,
      fetch: { ids: ['a'], after: 8 },
    });
  });

  it('two changes of one second ask for one read', () => {
    const plan = planChanges(null, [change('a', 6), change('b', 6)], CUSTOMER);
    expect(plan).toMatchObject({ apply: null, fetch: { ids: ['a', 'b'], after: 6 } });
  });

  it('two events with the same state in one second need no read', () => {
    const plan = planChanges(
      null,
      [change('a', 6, { digest: 'x' }), change('b', 6, { digest: 'x' })],
      CUSTOMER,
    );
    expect(plan.fetch).toBeNull();
    expect([...plan.applied].sort()).toEqual(['a', 'b']);
  });

  it('a creation comes before an update of its second, in either order of arrival', () => {
    const created = change('a', 6, { kind: 'created' });
    const updated = change('b', 6);
    for (const changes of [
      [created, updated],
      [updated, created],
    ]) {
      expect(planChanges(null, changes, CUSTOMER)).toMatchObject({
        apply: { id: 'b' },
        stale: ['a'],
        fetch: null,
      });
    }
    const afterUpdate = row(6, 6, { source: 'b', sourceKind: 'updated', digest: 'b' });
    expect(planChanges(afterUpdate, [created], CUSTOMER)).toMatchObject({
      apply: null,
      stale: ['a'],
      fetch: null,
    });
    const afterCreation = row(6, 6, { source: 'a', sourceKind: 'created', digest: 'a' });
    expect(planChanges(afterCreation, [updated], CUSTOMER)).toMatchObject({
      apply: { id: 'b' },
      fetch: null,
    });
  });

  it('a deletion comes last in its second and leaves a tombstone', () => {
    const changes = [
      change('d', 6, { kind: 'deleted' }),
      change('u', 6),
      change('c', 6, { kind: 'created' }),
    ];
    expect(planChanges(null, changes, CUSTOMER)).toMatchObject({
      apply: { id: 'd', deleted: true },
      fetch: null,
    });
  });

  it('nothing of an earlier or the same second revives a tombstone', () => {
    const tombstone = row(6, 6, { deleted: true, source: 'd', sourceKind: 'deleted' });
    const plan = planChanges(tombstone, [change('u', 6), change('o', 5)], CUSTOMER);
    expect(plan).toMatchObject({ apply: null, fetch: null });
    expect([...plan.stale].sort()).toEqual(['o', 'u']);
  });

  it('a later change of an id that Stripe never reuses asks Stripe before it revives a tombstone', () => {
    const tombstone = row(6, 6, { deleted: true, source: 'd', sourceKind: 'deleted' });
    expect(planChanges(tombstone, [change('u', 9)], CUSTOMER)).toMatchObject({
      apply: null,
      fetch: { ids: ['u'] },
    });
  });

  it('a coupon created again in a later second lives again', () => {
    const tombstone = row(6, 6, { deleted: true, source: 'd', sourceKind: 'deleted' });
    const again = change('c', 7, { kind: 'created' });
    expect(planChanges(tombstone, [again], COUPON)).toMatchObject({ apply: { id: 'c', deleted: false } });
  });

  it('a coupon deleted and created in one second asks Stripe which came last', () => {
    const changes = [change('d', 6, { kind: 'deleted' }), change('c', 6, { kind: 'created' })];
    expect(planChanges(null, changes, COUPON)).toMatchObject({ apply: null, fetch: { after: 6 } });
  });

  it('a payload of another API version is not stored where the object can be read', () => {
    const foreign = change('a', 6, { usable: false });
    expect(planChanges(null, [foreign], CUSTOMER)).toMatchObject({ apply: null, fetch: { ids: ['a'] } });
    const unreadable = { retrievable: false, recreatable: false };
    expect(planChanges(null, [foreign], unreadable)).toMatchObject({ apply: { id: 'a' }, fetch: null });
  });

  it('an event that is applied already changes nothing', () => {
    const current = row(6, 6, { source: 'a', sourceKind: 'updated', digest: 'a' });
    expect(planChanges(current, [change('a', 6)], CUSTOMER)).toEqual({
      apply: null,
      applied: ['a'],
      stale: [],
      fetch: null,
      contested: null,
      steps: [{ id: 'a', outcome: 'applied', superseded: false }],
    });
  });
});

describe('evidence that misleads', () => {
  it('an update that undoes another one of its second does not pass for the creation', () => {
    const created = change('c', 6, { kind: 'created', digest: 'A' });
    const there = change('u', 6, { digest: 'B' });
    const back = change('v', 6, { digest: 'A' });
    expect(planChanges(null, [created, there, back], CUSTOMER)).toMatchObject({
      apply: null,
      fetch: { after: 6 },
    });
    const afterCreation = row(6, 6, { source: 'c', sourceKind: 'created', digest: 'A' });
    expect(planChanges(afterCreation, [back], CUSTOMER)).toMatchObject({ apply: { id: 'v' } });
    const afterBack = row(6, 6, { source: 'v', sourceKind: 'updated', digest: 'A' });
    expect(planChanges(afterBack, [there], CUSTOMER)).toMatchObject({ apply: null, fetch: { ids: ['u'] } });
  });

  it('a deletion that a later state contradicts asks Stripe, alone or beside that state', () => {
    const deleted = change('d', 10, { kind: 'deleted' });
    expect(planChanges(row(12, 12), [deleted], CUSTOMER)).toMatchObject({ fetch: { ids: ['d'], after: 12 } });
    expect(planChanges(null, [deleted, change('u', 12)], CUSTOMER)).toMatchObject({ fetch: { after: 12 } });
    expect(planChanges(row(12, 12), [deleted], COUPON)).toMatchObject({ stale: ['d'], fetch: null });
  });
});

describe('what becomes of a read', () => {
  it('is stored where it lies wholly after the row, and settles the changes before its interval', () => {
    const plan = planRead(
      row(5, 6),
      { asOf: 8, asOfUntil: 9 },
      [
        { id: 'a', created: 6 },
        { id: 'b', created: 8 },
      ],
      6,
    );
    expect(plan).toEqual({
      store: true,
      settled: ['a'],
      waiting: ['b'],
      after: 9,
      steps: [{ id: 'a', outcome: 'fetched', superseded: true }],
    });
  });

  it('is not stored where the clock cannot tell it from the row', () => {
    expect(planRead(row(5, 8), { asOf: 8, asOfUntil: 9 }, [{ id: 'a', created: 8 }], 7)).toMatchObject({
      store: false,
      waiting: ['a'],
    });
  });

  it('settles nothing where it is not newer than the row and may be older than what it was to pass', () => {
    const late = [{ id: 'deletion', created: 5 }];
    expect(planRead(row(20, 20), { asOf: 19, asOfUntil: 41 }, late, 20)).toEqual({
      store: false,
      settled: [],
      waiting: ['deletion'],
      after: 20,
      steps: [],
    });
    expect(planRead(row(20, 45), { asOf: 19, asOfUntil: 41 }, late, 20)).toMatchObject({ after: 45 });
    expect(planRead(row(20, 20), { asOf: 21, asOfUntil: 22 }, late, 20)).toMatchObject({
      store: true,
      settled: ['deletion'],
      after: null,
    });
  });
});

describe('an object that cannot be read', () => {
  const NOT_READABLE = { retrievable: false, recreatable: true };
  const held = row(5, 5, { source: 'b', sourceKind: 'updated', digest: 'b' });

  it('takes the last change of a second by id, whichever comes first', () => {
    expect(planChanges(held, [change('a', 5)], NOT_READABLE)).toMatchObject({ apply: null, stale: ['a'] });
    expect(planChanges(held, [change('c', 5)], NOT_READABLE)).toMatchObject({ apply: { id: 'c' } });
  });

  it('takes a deletion before any update of its second', () => {
    const deletion = change('a', 5, { kind: 'deleted' });
    expect(planChanges(held, [deletion], NOT_READABLE)).toMatchObject({ apply: { id: 'a', deleted: true } });
    const tombstone = row(5, 5, { source: 'a', sourceKind: 'deleted', deleted: true, digest: 'a' });
    expect(planChanges(tombstone, [change('c', 5)], NOT_READABLE)).toMatchObject({
      apply: null,
      stale: ['c'],
    });
  });

  it('takes a change of a second that a listing showed', () => {
    expect(planChanges(row(4, 5), [change('a', 5)], NOT_READABLE)).toMatchObject({ apply: { id: 'a' } });
  });
});

describe('what the row and a change make of each other', () => {
  const older = row(1, 4);
  const covering = row(5, 8);
  const creation = row(6, 6, { source: 'c', sourceKind: 'created', digest: 'born' });
  const written = row(6, 6, { source: 'w', sourceKind: 'updated', digest: 'w' });
  const tombstone = row(6, 6, { source: 'd', sourceKind: 'deleted', deleted: true });
  const created = change('x', 6, { kind: 'created' });
  const updated = change('x', 6);
  const deleted = change('x', 6, { kind: 'deleted' });
  const same = change('x', 6, { digest: 'row' });

  it.each([
    ['no row', null, updated, CUSTOMER, 'apply'],
    ['an older row', older, updated, CUSTOMER, 'apply'],
    ['an older row, and a deletion', older, deleted, CUSTOMER, 'delete'],
    ['a newer row', row(7, 9), updated, CUSTOMER, 'stale'],
    ['a newer row that a creation is behind', row(7, 9), created, CUSTOMER, 'stale'],
    ['a newer row that denies a deletion', row(7, 9), deleted, CUSTOMER, 'fetch'],
    ['a newer row of another life', row(7, 9), deleted, COUPON, 'stale'],
    ['a row of the same state', covering, same, CUSTOMER, 'same'],
    ['a row of the same time and another state', covering, updated, CUSTOMER, 'fetch'],
    ['a row that an update of the second wrote', written, updated, CUSTOMER, 'fetch'],
    ['a row that the creation wrote', creation, updated, CUSTOMER, 'apply'],
    ['a row that a creation wrote, but perhaps a second one', creation, updated, COUPON, 'fetch'],
    ['a row of the second, and its creation', written, created, CUSTOMER, 'stale'],
    ['a row of the second, and perhaps a second creation', written, created, COUPON, 'fetch'],
    ['a row of the second, and its deletion', written, deleted, CUSTOMER, 'delete'],
    ['a row of the second, and perhaps the end of an earlier life', written, deleted, COUPON, 'fetch'],
    ['a tombstone of the second', tombstone, updated, CUSTOMER, 'stale'],
    ['a tombstone of the second, and perhaps a next life', tombstone, created, COUPON, 'fetch'],
    ['an older tombstone', row(1, 4, { deleted: true }), updated, CUSTOMER, 'fetch'],
    ['an older tombstone, and another life', row(1, 4, { deleted: true }), created, COUPON, 'revive'],
    ['a newer tombstone', row(7, 7, { deleted: true }), created, COUPON, 'stale'],
  ] as const)('%s', (_name, current, given, traits, expected) => {
    const plan = planChanges(current, [given], traits);
    const outcome =
      plan.fetch !== null
        ? 'fetch'
        : plan.stale.length > 0
          ? 'stale'
          : plan.apply === null
            ? 'same'
            : plan.apply.deleted
              ? 'delete'
              : current?.deleted
                ? 'revive'
                : 'apply';
    expect(outcome).toBe(expected);
  });
});
