import { describe, expect, it } from 'vitest';
import type { SecondEnd } from '../../src/domain/chain.js';
import { type CurrentRow, type PendingChange, planChanges, planRead } from '../../src/domain/ordering.js';

const CUSTOMER = { retrievable: true, recreatable: false };
const COUPON = { retrievable: true, recreatable: true };

function change(id: string, created: number, over: Partial<PendingChange> = {}): PendingChange {
  return { id, created, kind: 'updated', digest: id, usable: true, ...over };
}

function row(asOf: number, asOfUntil: number, over: Partial<CurrentRow> = {}): CurrentRow {
  return { asOf, asOfUntil, deleted: false, source: 'backfill:1', sourceKind: null, digest: 'row', ...over };
}

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

describe('a second whose end is known', () => {
  const end = (digest: string, order: readonly string[], second = 6): SecondEnd => ({
    second,
    digest,
    order,
  });
  const pair = [change('b', 6), change('a', 6)];

  it('is asked for where states of one second contest, and only there', () => {
    expect(planChanges(null, pair, CUSTOMER).contested).toBe(6);
    expect(planChanges(row(5, 8), [change('a', 6)], CUSTOMER).contested).toBe(6);
    expect(planChanges(row(1, 4), [change('a', 6)], CUSTOMER).contested).toBeNull();
    expect(planChanges(null, [change('a', 6, { usable: false })], CUSTOMER)).toMatchObject({
      fetch: { ids: ['a'] },
      contested: null,
    });
    const tombstone = row(1, 4, { deleted: true });
    expect(planChanges(tombstone, [change('a', 6)], CUSTOMER).contested).toBeNull();
    expect(planChanges(tombstone, pair, CUSTOMER).contested).toBeNull();
    const withDeletion = [change('d', 5, { kind: 'deleted' }), change('a', 6)];
    expect(planChanges(null, withDeletion, CUSTOMER).contested).toBeNull();
    expect(planChanges(null, pair, CUSTOMER, end('a', ['c'])).contested).toBeNull();
  });

  it('takes an older row, or none, there without a read', () => {
    for (const current of [null, row(1, 5)]) {
      const plan = planChanges(current, pair, CUSTOMER, end('a', ['b', 'a']));
      expect(plan).toMatchObject({
        apply: { id: 'a', version: { asOf: 6, asOfUntil: 6 } },
        applied: ['a'],
        stale: ['b'],
        fetch: null,
      });
    }
  });

  it('takes the row of the creation there, since all else of that second follows it', () => {
    const creation = row(6, 6, { source: 'c', sourceKind: 'created', digest: 'born' });
    const plan = planChanges(creation, pair, CUSTOMER, end('b', ['c', 'a', 'b']));
    expect(plan).toMatchObject({ apply: { id: 'b' }, stale: ['a'], fetch: null });
    // Back in the state of the creation: the row says from now on that an update wrote it.
    const back = [change('a', 6), change('b', 6, { digest: 'born' })];
    expect(planChanges(creation, back, CUSTOMER, end('born', ['c', 'a', 'b']))).toMatchObject({
      apply: { id: 'b' },
    });
  });

  it('leaves a row alone that is there already', () => {
    const written = row(6, 6, { source: 'w', sourceKind: 'updated', digest: 'w' });
    const plan = planChanges(written, [change('a', 6)], CUSTOMER, end('w', ['a', 'w']));
    expect(plan).toMatchObject({ apply: null, applied: [], stale: ['a'], fetch: null });
    const listed = row(5, 8, { digest: 'w' });
    const both = [change('a', 6), change('w', 6)];
    expect(planChanges(listed, both, CUSTOMER, end('w', ['a', 'w']))).toMatchObject({
      apply: null,
      applied: ['w'],
      stale: ['a'],
      fetch: null,
    });
  });

  it('does not move a row within the second: a change that is still missing might make it a step back', () => {
    const written = row(6, 6, { source: 'w', sourceKind: 'updated', digest: 'w' });
    expect(planChanges(written, [change('a', 6)], CUSTOMER, end('a', ['w', 'a']))).toMatchObject({
      apply: null,
      fetch: { ids: ['a'], after: 6 },
      contested: null,
    });
  });

  it('says nothing of another second, of changes it has not seen, or of an end that is not at hand', () => {
    const fetch = { ids: ['b', 'a'], after: 6 };
    expect(planChanges(null, pair, CUSTOMER, end('a', ['b', 'a'], 5))).toMatchObject({ fetch });
    expect(planChanges(null, pair, CUSTOMER, end('a', ['a']))).toMatchObject({ fetch });
    expect(planChanges(null, pair, CUSTOMER, end('z', ['b', 'a', 'z']))).toMatchObject({ fetch });
  });

  it('does not store a creation whose state came back by a change that is not at hand', () => {
    const changes = [change('c', 6, { kind: 'created' }), change('a', 6), change('b', 6)];
    expect(planChanges(null, changes, CUSTOMER, end('c', ['c', 'a', 'b', 'v']))).toMatchObject({
      apply: null,
      fetch: { after: 6 },
    });
  });

  it('does not spare the read that payloads of another API version need', () => {
    const foreign = [change('b', 6, { usable: false }), change('a', 6)];
    expect(planChanges(null, foreign, CUSTOMER).contested).toBeNull();
    expect(planChanges(null, foreign, CUSTOMER, end('b', ['a', 'b']))).toMatchObject({ fetch: { after: 6 } });
  });

  it('does not move the row of a creation that may have been another life', () => {
    const creation = row(6, 6, { source: 'c', sourceKind: 'created', digest: 'born' });
    expect(planChanges(creation, pair, COUPON, end('b', ['c', 'a', 'b']))).toMatchObject({
      apply: null,
      fetch: { after: 6 },
    });
  });

  it('goes before the order of ids where the object cannot be read', () => {
    const unreadable = { retrievable: false, recreatable: false };
    expect(planChanges(null, pair, unreadable)).toMatchObject({ apply: { id: 'b' }, contested: 6 });
    expect(planChanges(null, pair, unreadable, end('a', ['b', 'a']))).toMatchObject({
      apply: { id: 'a' },
      stale: ['b'],
      contested: null,
    });
    const written = row(6, 6, { source: 'w', sourceKind: 'updated', digest: 'w' });
    expect(planChanges(written, pair, unreadable, end('w', ['a', 'b', 'w']))).toMatchObject({
      apply: null,
      stale: ['b', 'a'],
    });
    expect(planChanges(written, pair, unreadable, end('a', ['w', 'b', 'a']))).toMatchObject({
      apply: { id: 'a' },
    });
  });
});

describe('the steps of a plan', () => {
  it('are in the order of time: by second, a creation first, then by evidence, a deletion last', () => {
    const changes = [
      change('a', 7),
      change('b', 6),
      change('c', 6),
      change('d', 6, { kind: 'created' }),
      change('e', 5),
    ];
    const plan = planChanges(null, changes, CUSTOMER);
    expect(plan.steps.map((step) => step.id)).toEqual(['e', 'd', 'b', 'c', 'a']);
    expect(plan.steps.map((step) => step.superseded)).toEqual([true, true, true, true, false]);
    expect(plan.steps.map((step) => step.outcome)).toEqual(['stale', 'stale', 'stale', 'stale', 'applied']);
    const deletion = [
      change('a', 6, { kind: 'deleted' }),
      change('b', 6),
      change('c', 6, { kind: 'created' }),
    ];
    expect(planChanges(null, deletion, CUSTOMER).steps.map((step) => step.id)).toEqual(['c', 'b', 'a']);
    const chain: SecondEnd = { second: 6, digest: 'a', order: ['c', 'b', 'a'] };
    const pending = [change('a', 6), change('b', 6), change('c', 6)];
    expect(planChanges(null, pending, CUSTOMER, chain).steps).toEqual([
      { id: 'c', outcome: 'stale', superseded: true },
      { id: 'b', outcome: 'stale', superseded: true },
      { id: 'a', outcome: 'applied', superseded: false },
    ]);
  });

  it('end with those whose state the row has, where nothing but ids tells their order', () => {
    const unreadable = { retrievable: false, recreatable: false };
    const changes = [change('a', 6, { digest: 'c' }), change('b', 6), change('c', 6)];
    expect(planChanges(null, changes, unreadable).steps).toEqual([
      { id: 'b', outcome: 'stale', superseded: true },
      { id: 'a', outcome: 'applied', superseded: false },
      { id: 'c', outcome: 'applied', superseded: false },
    ]);
  });

  it('leave out what waits for a read', () => {
    const plan = planChanges(row(6, 6), [change('a', 6), change('b', 5)], CUSTOMER);
    expect(plan.steps).toEqual([{ id: 'b', outcome: 'stale', superseded: true }]);
  });

  it('say that the state of the row was passed in the same plan', () => {
    const plan = planChanges(row(5, 6), [change('s', 6, { digest: 'row' }), change('n', 9)], CUSTOMER);
    expect(plan.steps).toEqual([
      { id: 's', outcome: 'applied', superseded: true },
      { id: 'n', outcome: 'applied', superseded: false },
    ]);
  });

  it('of a read are in the order of their seconds, then of their ids', () => {
    const pending = [
      { id: 'b', created: 5 },
      { id: 'c', created: 4 },
      { id: 'a', created: 5 },
    ];
    expect(planRead(null, { asOf: 8, asOfUntil: 9 }, pending, 7).steps).toEqual([
      { id: 'c', outcome: 'fetched', superseded: true },
      { id: 'a', outcome: 'fetched', superseded: false },
      { id: 'b', outcome: 'fetched', superseded: false },
    ]);
    expect(planRead(row(8, 9), { asOf: 8, asOfUntil: 9 }, pending, 7).steps).toMatchObject([
      { id: 'c', outcome: 'stale', superseded: true },
      { id: 'a', superseded: true },
      { id: 'b', superseded: true },
    ]);
  });
});
