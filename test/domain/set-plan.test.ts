import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { endOfSecond, type KnownChange } from '../../src/domain/chain.js';
import { type CurrentRow, type PendingChange, type Plan, planChanges } from '../../src/domain/ordering.js';
import { type EntityChange, type PlannedChange, planTogether } from '../../src/domain/set-plan.js';
import { standing } from '../../src/domain/version.js';
import { drawnSteps, type Life, lifeOf } from './life-model.js';

const KEY = 'obj_1';
const VERSION = '2026-10-28.endive';

interface Told {
  readonly pending: PendingChange;
  readonly known: KnownChange;
}

function entityChange({ pending, known }: Told): EntityChange {
  const { digest: _, ...rest } = pending;
  return { ...rest, key: KEY, evidence: () => known };
}

const together = (events: readonly Told[], recreatable = false) =>
  planTogether(events.map(entityChange), { retrievable: true, recreatable });

/** What the write does with a row, from what src/postgres/apply-together.ts promises. */
function carriedOut(
  row: CurrentRow | null,
  planned: readonly PlannedChange[],
  events: readonly Told[],
  recreatable: boolean,
) {
  const winner = planned.find(({ part }) => part === 'state' || part === 'deletion');
  const created = (id: string) =>
    events.find(({ pending }) => pending.id === id)?.pending.created ?? Number.NaN;
  if (winner === undefined) return { applied: null, stale: [] as string[] };
  const isFree =
    row === null ||
    (row.asOfUntil < created(winner.id) && (!row.deleted || winner.part === 'deletion' || recreatable));
  if (isFree) {
    return { applied: winner.id, stale: planned.filter(({ part }) => part === 'older').map(({ id }) => id) };
  }
  const stale = planned.filter(
    ({ id, doubtful }) => row !== null && row.asOf > created(id) && (!doubtful || row.deleted),
  );
  return { applied: null, stale: stale.map(({ id }) => id) };
}

/** What the entity decides with the row in its hands. */
function decided(row: CurrentRow | null, events: readonly Told[], recreatable: boolean): Plan {
  const traits = { retrievable: true, recreatable };
  const changes = events.map(({ pending }) => pending);
  const plan = planChanges(row, changes, traits);
  if (plan.contested === null) return plan;
  const known = events
    .filter(({ pending }) => pending.created === plan.contested)
    .map((event) => event.known);
  const end = endOfSecond(plan.contested, known, traits);
  return end === null ? plan : planChanges(row, changes, traits, end);
}

/** A row as an event or a listing left it: any of the life's states, with the second in which it was current. */
function rowOf(life: Life, index: number, isRead: boolean): CurrentRow | null {
  const event = life.events[index];
  if (event === undefined) return null;
  const { pending } = event;
  return {
    asOf: isRead ? pending.created - 1 : pending.created,
    asOfUntil: isRead ? pending.created + 1 : pending.created,
    deleted: pending.kind === 'deleted',
    source: isRead ? 'backfill:1' : pending.id,
    sourceKind: isRead ? null : pending.kind,
    digest: pending.digest,
  };
}

describe('changes that are planned together', () => {
  it('end as the entity would have decided them with the row in its hands, or are left to it', () => {
    let written = 0;
    let stale = 0;
    let ties = 0;
    fc.assert(
      fc.property(
        drawnSteps,
        fc.boolean(),
        fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }),
        fc.integer({ min: -2, max: 10 }),
        fc.boolean(),
        (steps, recreatable, kept, rowAt, isRead) => {
          const life = lifeOf(steps, recreatable);
          const row = rowOf(life, rowAt, isRead);
          // What wrote the row is settled, so it is not among the changes.
          const events = life.events.filter(
            ({ pending }, index) => kept[index % 20] && pending.id !== row?.source,
          );
          if (events.length === 0) return;
          const planned = together(events, recreatable);
          expect(planned.length === 0 || planned.length === events.length).toBe(true);
          const done = carriedOut(row, planned, events, recreatable);
          const plan = decided(row, events, recreatable);
          if (done.applied !== null) {
            written += 1;
            expect(plan.fetch).toBeNull();
            const winner = events.find(({ pending }) => pending.id === done.applied)?.pending;
            const chosen = events.find(({ pending }) => pending.id === plan.apply?.id)?.pending;
            expect([chosen?.created, chosen?.digest, chosen?.kind === 'deleted']).toEqual([
              winner?.created,
              winner?.digest,
              winner?.kind === 'deleted',
            ]);
            if (events.filter(({ pending }) => pending.created === winner?.created).length > 1) ties += 1;
          } else if (done.stale.length === events.length) {
            stale += 1;
            expect(plan.apply).toBeNull();
            expect(plan.fetch).toBeNull();
          }
          for (const id of done.stale) expect(plan.apply?.id).not.toBe(id);
          if (row !== null && done.applied !== null) {
            const { created } = events.find(({ pending }) => pending.id === done.applied)?.pending ?? {
              created: 0,
            };
            expect(standing({ asOf: created, asOfUntil: created }, row)).toBe('newer');
          }
        },
      ),
      { numRuns: 20_000 },
    );
    // It decides something.
    expect(written).toBeGreaterThan(3_000);
    expect(stale).toBeGreaterThan(100);
    expect(ties).toBeGreaterThan(300);
  });

  const told = (
    id: string,
    created: number,
    over: Partial<PendingChange> = {},
    state: object = { id },
  ): Told => {
    const text = JSON.stringify(state);
    const pending = { id, created, kind: 'updated', digest: text, usable: true, ...over } as const;
    return {
      pending,
      known: {
        id,
        kind: pending.kind,
        apiVersion: VERSION,
        digest: text,
        state: text,
        previousAttributes: null,
      },
    };
  };
  const partsOf = (events: readonly Told[], recreatable = false) =>
    Object.fromEntries(together(events, recreatable).map(({ id, part }) => [id, part]));

  it('take the newest, and let the others be older', () => {
    expect(partsOf([told('b', 2), told('a', 1), told('c', 3)])).toEqual({
      a: 'older',
      b: 'older',
      c: 'state',
    });
  });

  it('know what follows a creation in its second', () => {
    expect(partsOf([told('b', 1), told('a', 1, { kind: 'created' })])).toEqual({ a: 'older', b: 'state' });
  });

  it('are left where one second holds two updates that do not tell which was first', () => {
    expect(partsOf([told('a', 1), told('b', 1)])).toEqual({});
  });

  it('are left where the payload of the newest must not be stored', () => {
    expect(partsOf([told('a', 1), told('b', 2, { usable: false })])).toEqual({});
    expect(partsOf([told('a', 1, { usable: false }), told('b', 2)])).toEqual({ a: 'older', b: 'state' });
    expect(partsOf([told('a', 1), told('b', 2, { usable: false, kind: 'deleted' })])).toEqual({
      a: 'older',
      b: 'deletion',
    });
  });

  it('are left where a deletion is followed by something that cannot be, and taken where the id may come back', () => {
    const events = [told('a', 1, { kind: 'deleted' }), told('b', 2)];
    expect(partsOf(events)).toEqual({});
    expect(partsOf(events, true)).toEqual({ a: 'older', b: 'state' });
  });

  it('are left where JavaScript would round what has to be compared', () => {
    const inexact = (id: string) => ({ ...entityChange(told(id, 1)), evidence: () => null });
    expect(planTogether([inexact('a'), inexact('b')], { retrievable: true, recreatable: false })).toEqual([]);
  });

  it('alone on their row, are what they would be among others: a row that is not there weighs nothing', () => {
    for (const kind of ['created', 'updated', 'deleted'] as const)
      for (const usable of [true, false])
        for (const retrievable of [true, false])
          for (const recreatable of [true, false]) {
            const traits = { retrievable, recreatable };
            const event = told('a', 1, { kind, usable });
            const { apply, fetch, contested } = planChanges(null, [event.pending], traits);
            expect(contested).toBeNull();
            const doubtful = kind === 'deleted' && !recreatable;
            expect(planTogether([entityChange(event)], traits)).toEqual(
              apply === null || fetch !== null
                ? []
                : [{ id: 'a', key: KEY, part: apply.deleted ? 'deletion' : 'state', doubtful }],
            );
          }
  });

  it('of one row do not keep those of others', () => {
    const other = { ...entityChange(told('c', 1)), key: 'obj_2' };
    const planned = planTogether([...[told('a', 1), told('b', 1)].map(entityChange), other], {
      retrievable: true,
      recreatable: false,
    });
    expect(planned).toEqual([{ id: 'c', key: 'obj_2', part: 'state', doubtful: false }]);
  });
});
