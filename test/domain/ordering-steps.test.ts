import { describe, expect, it } from 'vitest';
import type { SecondEnd } from '../../src/domain/chain.js';
import { planChanges, planRead } from '../../src/domain/ordering.js';
import { CUSTOMER, change, row } from './pending-changes.js';

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
