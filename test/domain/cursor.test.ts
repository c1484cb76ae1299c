import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanceCursor, type Cursor, marksOf, usefulMarks } from '../../src/domain/cursor.js';

describe('the cursor', () => {
  const marks = [
    { id: 'c', created: 103 },
    { id: 'b', created: 102 },
    { id: 'a', created: 100 },
  ];

  it('moves to the newest mark in a settled second', () => {
    expect(advanceCursor(null, marks, 108, 5)).toEqual({ id: 'b', created: 102 });
  });

  it('does not enter a second whose end is not behind the lag yet', () => {
    expect(advanceCursor(null, marks, 107, 5)).toEqual({ id: 'a', created: 100 });
    expect(advanceCursor(null, marks, 105, 5)).toBeNull();
  });

  it('never goes back', () => {
    const cursor = { id: 'x', created: 104 };
    expect(advanceCursor(cursor, marks, 200, 5)).toBe(cursor);
  });

  it('goes on within its own second, since a walk lists only what lies past it', () => {
    const cursor = { id: 'x', created: 103 };
    expect(advanceCursor(cursor, marks, 200, 5)).toEqual({ id: 'c', created: 103 });
  });

  it("stays where it is while Stripe's clock is unknown", () => {
    expect(advanceCursor({ id: 'x', created: 1 }, marks, null, 5)).toEqual({ id: 'x', created: 1 });
  });

  it('takes the event listed newest of each second as its mark', () => {
    const walk = [
      { id: 'd', created: 7 },
      { id: 'c', created: 7 },
      { id: 'b', created: 6 },
      { id: 'a', created: 6 },
    ];
    expect(marksOf(walk)).toEqual([
      { id: 'd', created: 7 },
      { id: 'b', created: 6 },
    ]);
  });

  it('moves the same whether or not useless marks were left out', () => {
    const seconds = fc.uniqueArray(fc.integer({ min: 0, max: 2_000 }), { maxLength: 60 });
    fc.assert(
      fc.property(
        seconds,
        fc.integer({ min: 0, max: 2_500 }),
        fc.integer({ min: 5, max: 300 }),
        (created, now, lag) => {
          const all = created.sort((a, b) => b - a).map((second) => ({ id: `e${second}`, created: second }));
          const kept = usefulMarks(all, now, { floorSeconds: 5, maxSeconds: 300 });
          expect(advanceCursor(null, kept, now, lag)).toEqual(advanceCursor(null, all, now, lag));
          expect(kept.length).toBeLessThanOrEqual(301);
        },
      ),
    );
  });
});

/** An event of the model: times in seconds with fractions, `order` its arbitrary place within its second. */
interface ModelEvent {
  readonly id: string;
  readonly at: number;
  readonly visibleAt: number;
  readonly order: number;
}

const createdOf = (event: ModelEvent) => Math.floor(event.at);

/** What Stripe's list shows at `now`: newest second first, in an arbitrary but stable order within it. */
function listAt(events: readonly ModelEvent[], now: number): ModelEvent[] {
  return events
    .filter((event) => event.visibleAt <= now)
    .sort((a, b) => createdOf(b) - createdOf(a) || b.order - a.order);
}

/** One pass of the loop over the model's list: what it sees, and where its cursor goes. */
function passOver(
  events: readonly ModelEvent[],
  cursor: Cursor | null,
  now: number,
  lag: number,
  cap: number,
) {
  const list = listAt(events, now);
  const place = cursor === null ? list.length : list.findIndex((event) => event.id === cursor.id);
  const walked = list.slice(0, place).slice(-cap);
  const positions = walked.map((event) => ({ id: event.id, created: createdOf(event) }));
  return { seen: positions, cursor: advanceCursor(cursor, marksOf(positions), Math.floor(now), lag) };
}

const LAG = 5;
const model = fc.record({
  events: fc.array(
    fc.record({
      at: fc.float({ min: 0, max: 120, noNaN: true }),
      delay: fc.float({ min: 0, max: LAG, noNaN: true }),
      order: fc.nat(),
    }),
    { maxLength: 60 },
  ),
  gaps: fc.array(fc.float({ min: Math.fround(0.1), max: 20, noNaN: true }), { minLength: 1, maxLength: 60 }),
  cap: fc.integer({ min: 1, max: 30 }),
});

function eventsOf(drawn: { at: number; delay: number; order: number }[]): ModelEvent[] {
  return drawn.map(({ at, delay, order }, index) => ({
    id: `evt_${(order * 7919 + index) % 1000}_${index}`,
    at,
    visibleAt: at + delay,
    order: order * 1000 + index,
  }));
}

describe('a cursor over an eventually consistent list', () => {
  it('misses nothing that becomes visible within the lag, whatever the times, orders and page caps', () => {
    fc.assert(
      fc.property(model, ({ events: drawn, gaps, cap }) => {
        const events = eventsOf(drawn);
        const seen = new Set<string>();
        let cursor: Cursor | null = null;
        let now = 0;
        const passAt = (time: number) => {
          const result = passOver(events, cursor, time, LAG, cap);
          for (const { id } of result.seen) seen.add(id);
          expect(result.cursor?.created ?? -1).toBeGreaterThanOrEqual(cursor?.created ?? -1);
          if (result.cursor !== null)
            expect(result.cursor.created + 1 + LAG).toBeLessThanOrEqual(Math.floor(time));
          cursor = result.cursor;
        };
        for (const gap of gaps) {
          now += gap;
          passAt(now);
        }
        for (let round = 0; round <= events.length; round += 1) passAt(Math.max(now, 130) + 10 + round);
        expect([...seen].sort()).toEqual(events.map((event) => event.id).sort());
      }),
      { numRuns: 500 },
    );
  });

  it('would miss events in this model if it always moved to the newest one', () => {
    const late: ModelEvent = { id: 'late', at: 1, visibleAt: 4, order: 1 };
    const early: ModelEvent = { id: 'early', at: 2, visibleAt: 2, order: 1 };
    expect(passOver([late, early], null, 3, LAG, 10)).toMatchObject({
      seen: [{ id: 'early' }],
      cursor: null,
    });
    const naive = { id: 'early', created: 2 };
    expect(passOver([late, early], naive, 10, 0, 10).seen).toEqual([]);
  });
});
