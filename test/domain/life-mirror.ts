/** A mirror of one object that works as the activities do: plan, write under the guard, read where asked. */
import { expect } from 'vitest';
import { endOfSecond } from '../../src/domain/chain.js';
import { type CurrentRow, planChanges, planRead } from '../../src/domain/ordering.js';
import { readInterval } from '../../src/domain/read-interval.js';
import { standing, type Version } from '../../src/domain/version.js';
import { type Life, type LifeEvent, textOf } from './life-model.js';

export interface Pace {
  /** Tenths of a second that a request takes, and when in them Stripe looks and answers (in tenths of the time). */
  readonly took: number;
  readonly looked: number;
  readonly answered: number;
  /** Whether the `Date` of the answer is that of a second ago. */
  readonly cached: boolean;
}

interface Snapshot {
  readonly version: Version;
  /** Index of the true state; -1 before the creation. */
  readonly index: number;
}

type Row = CurrentRow & { readonly index: number };

export function createMirror(life: Life) {
  const { states, events, recreatable } = life;
  const traits = { retrievable: true, recreatable };
  const ledger = new Set<LifeEvent>();
  const outcomes = new Map<string, string>();
  const pages: Snapshot[] = [];
  let now = 1_000;
  let row: Row | null = null;
  let settles = 0;
  let asked = 0;
  let evidence = 0;

  /** Stripe's answer to a request that is sent now. */
  function request({ took, looked, answered, cached }: Pace): Snapshot {
    const sent = now;
    const seen = sent + Math.floor((took * looked) / 10);
    const written = seen + Math.floor(((sent + took - seen) * answered) / 10);
    now += took;
    const version = readInterval({
      date: Math.floor(written / 10) - (cached ? 1 : 0),
      durationMs: took * 100,
    });
    if (version === null) throw new Error('the answer has a date');
    return { version, index: states.filter((state) => state.readable <= seen).length - 1 };
  }

  function write(next: Row): void {
    if (row !== null) expect(next.index).toBeGreaterThanOrEqual(row.index);
    row = next;
  }

  function rowOf({ version, index }: Snapshot, source: string): Row {
    const state = states[index];
    if (state === undefined) throw new Error('there was nothing to read');
    return {
      ...version,
      deleted: state.deleted,
      source,
      sourceKind: null,
      digest: textOf(state.state),
      index,
    };
  }

  function settled(ids: readonly string[], outcome: string): void {
    for (const id of ids) {
      expect(outcomes.has(id)).toBe(false);
      outcomes.set(id, outcome);
    }
  }

  const waiting = (ids: readonly string[]) =>
    events.filter(({ pending }) => ids.includes(pending.id) && !outcomes.has(pending.id));

  /** A page of a listing, which shows nothing deleted and takes no entity's lock. */
  function writePage(page: Snapshot, pace: Pace): void {
    const shown = states[page.index];
    if (shown === undefined || shown.deleted) return;
    if (row === null || row.asOfUntil < page.version.asOf) {
      write(rowOf(page, `page:${page.version.asOf}:${page.index}`));
    } else if (standing(page.version, row) === 'overlapping') {
      if (row.digest === textOf(shown.state) && !row.deleted) return;
      settle([], Math.max(row.asOfUntil, page.version.asOfUntil), pace);
    }
  }

  function settle(ids: readonly string[], from: number, pace: Pace): void {
    settles += 1;
    for (let reads = 1, after: number | null = from; after !== null; reads += 1) {
      expect(reads).toBeLessThanOrEqual(6);
      if (reads > 2) now += 5;
      now = Math.max(now, (after + 3) * 10 + 1);
      const read = request(pace);
      asked += 1;
      const changes = waiting(ids).map(({ pending }) => pending);
      const plan = planRead(row, read.version, changes, after);
      if (plan.store) write(rowOf(read, `read:${now}`));
      expect(plan.steps.map((step) => step.id)).toEqual(plan.settled);
      settled(plan.settled, plan.store ? 'fetched' : 'stale');
      after = plan.after ?? (read.version.asOf > after ? null : after);
    }
  }

  function apply(ids: readonly string[], pace: Pace, between: () => void): void {
    for (let round = 1; ; round += 1) {
      const pending = waiting(ids);
      const changes = pending.map((event) => event.pending);
      if (changes.length === 0) return;
      const seen = row;
      let plan = planChanges(seen, changes, traits);
      if (plan.contested !== null) {
        const second = plan.contested;
        const known = [...ledger].filter((event) => event.pending.created === second);
        const end = endOfSecond(
          second,
          known.map((event) => event.known),
          traits,
        );
        const again = end === null ? plan : planChanges(seen, changes, traits, end);
        if (plan.fetch !== null && again.fetch === null) evidence += 1;
        plan = again;
      }
      if (round === 1) between();
      const fetched = plan.fetch?.ids ?? [];
      expect([...plan.applied, ...plan.stale, ...fetched].sort()).toEqual(changes.map((c) => c.id).sort());
      expect(plan.steps.map((step) => step.id).sort()).toEqual([...plan.applied, ...plan.stale].sort());
      if (plan.apply !== null) {
        const { id, version, deleted } = plan.apply;
        const event = pending.find((entry) => entry.pending.id === id);
        if (event === undefined) throw new Error('the plan applies one of its changes');
        if (row !== seen && row !== null && row.asOfUntil >= version.asOf) continue;
        const { kind, digest } = event.pending;
        write({ ...version, deleted, source: id, sourceKind: kind, digest, index: event.index });
      }
      settled(plan.applied, 'applied');
      settled(plan.stale, 'stale');
      if (plan.fetch !== null) settle(plan.fetch.ids, plan.fetch.after, pace);
      return;
    }
  }

  return {
    wait: (tenths: number) => {
      now += tenths;
    },
    /** Lists some of the events that are visible by now, and hands them on unless they are to be held back. */
    receive(picks: readonly number[], held: boolean, pace: Pace, pageBetween: number | null): void {
      const visible = events.filter((event) => event.readable <= now);
      const batch = picks.flatMap((pick) => visible[pick % Math.max(1, visible.length)] ?? []);
      for (const event of batch) ledger.add(event);
      if (held) return;
      apply(
        batch.map(({ pending }) => pending.id),
        pace,
        () => {
          const page = pageBetween === null ? undefined : pages.splice(pageBetween % pages.length || 0, 1)[0];
          if (page !== undefined && page.index >= 0 && states[page.index]?.deleted === false) {
            if (row === null || row.asOfUntil < page.version.asOf)
              write(rowOf(page, `page:${page.version.asOf}:${page.index}`));
            else pages.push(page);
          }
        },
      );
    },
    listPage: (pace: Pace) => {
      pages.push(request(pace));
    },
    writePage: (pick: number, pace: Pace) => {
      const [page] = pages.splice(pages.length === 0 ? 0 : pick % pages.length, 1);
      if (page !== undefined) writePage(page, pace);
    },
    /** Everything that has not arrived yet arrives, a few at a time. */
    finish(order: readonly number[], size: number, pace: Pace) {
      now = Math.max(now, (states.at(-1)?.readable ?? 0) + 1);
      const rank = (event: LifeEvent) => order[events.indexOf(event) % Math.max(1, order.length)] ?? 0;
      const rest = events
        .filter(({ pending }) => !outcomes.has(pending.id))
        .sort((a, b) => rank(a) - rank(b));
      for (let at = 0; at < rest.length; at += size) {
        const batch = rest.slice(at, at + size);
        for (const event of batch) ledger.add(event);
        apply(
          batch.map(({ pending }) => pending.id),
          pace,
          () => undefined,
        );
      }
      for (const page of pages.splice(0)) writePage(page, pace);
      return { row, outcomes, settles, asked, evidence };
    },
  };
}
