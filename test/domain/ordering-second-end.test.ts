import { describe, expect, it } from 'vitest';
import type { SecondEnd } from '../../src/domain/chain.js';
import { planChanges } from '../../src/domain/ordering.js';
import { COUPON, CUSTOMER, change, row } from './pending-changes.js';

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
