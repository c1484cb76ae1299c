import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
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
    const plan = planRead(row(5, 6), { asOf: 8, asOfUntil: 9 }, [
      { id: 'a', created: 6 },
      { id: 'b', created: 8 },
    ]);
    expect(plan).toEqual({ store: true, settled: ['a'], waiting: ['b'], after: 9 });
  });

  it('is not stored where the clock cannot tell it from the row', () => {
    expect(planRead(row(5, 8), { asOf: 8, asOfUntil: 9 }, [{ id: 'a', created: 8 }])).toMatchObject({
      store: false,
      waiting: ['a'],
    });
  });
});

/** The truth of one object: its states in order, the last one Stripe's present state. */
interface History {
  readonly changes: readonly PendingChange[];
  readonly final: { readonly digest: string; readonly deleted: boolean };
}

const steps = fc.array(fc.record({ gap: fc.integer({ min: 0, max: 2 }), delete: fc.boolean() }), {
  minLength: 1,
  maxLength: 8,
});

/** @param states how many different states there are; few of them make changes that undo one another */
function historyOf(drawn: { gap: number; delete: boolean }[], recreatable: boolean, states = 1_000): History {
  const changes: PendingChange[] = [];
  let at = 100;
  let alive = false;
  drawn.forEach((step, index) => {
    at += step.gap;
    if (!alive && changes.length > 0 && !recreatable) return;
    const kind = !alive ? 'created' : step.delete ? 'deleted' : 'updated';
    alive = kind !== 'deleted';
    changes.push({
      id: `evt_${(index * 37) % 11}_${index}`,
      created: at,
      kind,
      digest: `state ${index % states}`,
      usable: true,
    });
  });
  const last = changes.at(-1);
  return { changes, final: { digest: last?.digest ?? '', deleted: last?.kind === 'deleted' } };
}

/** Runs batches through the planner as the apply path does, answering each read with the present state. */
function settle(history: History, batches: readonly PendingChange[][], traits: typeof CUSTOMER) {
  let current: CurrentRow | null = null;
  let now = 200;
  const shown: CurrentRow[] = [];
  for (const batch of batches) {
    let pending = batch;
    for (let round = 0; pending.length > 0; round += 1) {
      expect(round).toBeLessThan(10);
      const plan = planChanges(current, pending, traits);
      if (plan.apply !== null) {
        const applied = pending.find((entry) => entry.id === plan.apply?.id);
        if (applied === undefined) throw new Error('the plan applies one of its changes');
        const { version, deleted, id } = plan.apply;
        current = { ...version, deleted, source: id, sourceKind: applied.kind, digest: applied.digest };
        shown.push(current);
      }
      const left = new Set(plan.fetch?.ids ?? []);
      expect(new Set([...plan.applied, ...plan.stale, ...left])).toEqual(
        new Set(pending.map((entry) => entry.id)),
      );
      pending = pending.filter((entry) => left.has(entry.id));
      if (plan.fetch === null) break;
      now += 5;
      const read = { asOf: now - 1, asOfUntil: now };
      const outcome = planRead(current, read, pending);
      if (outcome.store) {
        const { digest, deleted } = history.final;
        current = {
          ...read,
          deleted,
          digest: deleted ? (current?.digest ?? digest) : digest,
          source: `read:${now}`,
          sourceKind: null,
        };
        shown.push(current);
      }
      pending = pending.filter((entry) => outcome.waiting.includes(entry.id));
    }
  }
  return { current, shown };
}

describe('any order of arrival', () => {
  it.each([
    { name: 'an object with an id of Stripe', traits: CUSTOMER, states: 1_000 },
    { name: 'an object that is created again under its id', traits: COUPON, states: 1_000 },
    { name: 'an object whose changes undo one another', traits: CUSTOMER, states: 2 },
    { name: 'a recreated object whose changes undo one another', traits: COUPON, states: 2 },
  ])('ends in the final state of $name, with no step back', ({ traits, states }) => {
    fc.assert(
      fc.property(
        steps,
        fc.array(fc.nat(), { maxLength: 24 }),
        fc.array(fc.integer({ min: 1, max: 4 })),
        (drawn, shuffle, sizes) => {
          const history = historyOf(drawn, traits.recreatable, states);
          const { changes } = history;
          const arrivals = [...changes, ...shuffle.map((pick) => changes[pick % changes.length])]
            .flatMap((entry, index) =>
              entry === undefined
                ? []
                : [{ entry, key: shuffle[index % Math.max(1, shuffle.length)] ?? index }],
            )
            .sort((a, b) => a.key - b.key)
            .map(({ entry }) => entry);
          const batches: PendingChange[][] = [];
          const settled = new Set<string>();
          let taken = 0;
          for (let index = 0; taken < arrivals.length; index += 1) {
            const size = sizes[index % Math.max(1, sizes.length)] ?? 1;
            const batch = arrivals.slice(taken, taken + size).filter((entry) => !settled.has(entry.id));
            for (const entry of batch) settled.add(entry.id);
            batches.push([...new Map(batch.map((entry) => [entry.id, entry])).values()]);
            taken += size;
          }
          const { current, shown } = settle(history, batches, traits);
          expect(current?.deleted).toBe(history.final.deleted);
          if (!history.final.deleted) expect(current?.digest).toBe(history.final.digest);
          if (states < 1_000) return;
          const order = shown.map((state) => Number(state.digest.replace('state ', '')));
          expect(order).toEqual([...order].sort((a, b) => a - b));
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
