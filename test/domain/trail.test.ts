import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanceCursor } from '../../src/domain/cursor.js';
import { afterRead, dueStart, lookedAt, newsStart, type Trail, thinned } from '../../src/domain/trail.js';

const stretch = (id: string, created: number, readAt: number, events = 1) => ({
  id,
  created,
  readAt,
  events,
});

describe('a read of the list', () => {
  const listed = [
    { id: 'e', created: 12 },
    { id: 'd', created: 11 },
    { id: 'c', created: 11 },
    { id: 'b', created: 10 },
  ];

  it('leaves one stretch for each second that it listed', () => {
    expect(afterRead([], 0, { listed, toTheEnd: true, readAt: 15 })).toEqual([
      stretch('b', 10, 15),
      stretch('d', 11, 15, 2),
      stretch('e', 12, 15),
    ]);
  });

  it('replaces what it has read again, and keeps what lay before it', () => {
    const before = [stretch('a', 9, 10), stretch('b', 10, 11), stretch('d', 11, 12, 5)];
    expect(afterRead(before, 1, { listed, toTheEnd: true, readAt: 15 }).map(({ id }) => id)).toEqual([
      'a',
      'b',
      'd',
      'e',
    ]);
  });

  it('that ended on its way keeps the rest of a stretch with the time of its own last read', () => {
    const before = [stretch('b', 10, 11), stretch('z', 12, 13, 50)];
    expect(afterRead(before, 0, { listed: listed.slice(1), toTheEnd: false, readAt: 15 })).toEqual([
      stretch('b', 10, 15),
      stretch('d', 11, 15, 2),
      stretch('z', 12, 13, 48),
    ]);
  });

  it('to the end drops what Stripe no longer shows', () => {
    expect(afterRead([stretch('x', 10, 11)], 0, { listed: [], toTheEnd: true, readAt: 15 })).toEqual([]);
  });
});

describe('where to read next', () => {
  const trail = [stretch('a', 10, 12, 50), stretch('b', 11, 12, 50), stretch('c', 12, 12, 30)];

  it('for news leaves room on a page for twice the news of the last time', () => {
    expect(newsStart(trail, 0)).toBe(1);
    expect(newsStart(trail, 20)).toBe(2);
    expect(newsStart(trail, 500)).toBe(3);
    expect(newsStart([stretch('a', 10, 12, 3)], 0)).toBe(0);
  });

  it('behind the news waits until a page can be filled with what has settled since it was read', () => {
    const read = [stretch('a', 10, 14, 50), stretch('b', 11, 15, 50), stretch('c', 12, 15, 30)];
    expect(dueStart(read, 16, 5)).toBeNull();
    expect(dueStart(read, 17, 5)).toBe(0);
  });

  it('behind the news does not wait for ever', () => {
    expect(dueStart([stretch('a', 10, 12, 3)], 25, 5)).toBeNull();
    expect(dueStart([stretch('a', 10, 12, 3)], 26, 5)).toBe(0);
  });

  it('behind the news passes over what was read after it had settled', () => {
    expect(dueStart([stretch('a', 10, 40, 100), stretch('b', 11, 12, 100)], 50, 5)).toBe(1);
  });

  it('behind the news looks again whenever the age has doubled, however large the lag is', () => {
    const old = [stretch('a', 100, 104, 100)];
    expect(dueStart(old, 107, 300)).toBeNull();
    expect(dueStart(old, 108, 300)).toBe(0);
  });
});

describe('when a place was last looked at', () => {
  const trail = [stretch('a', 10, 15), stretch('b', 12, 20), stretch('c', 12, 18)];

  it('is when the stretch was read that it lies in', () => {
    expect(lookedAt(trail, 9, 30)).toBe(15);
    expect(lookedAt(trail, 11, 30)).toBe(20);
  });

  it('is the earliest time that it can be where a second has several stretches', () => {
    expect(lookedAt(trail, 10, 30)).toBe(15);
    expect(lookedAt(trail, 12, 30)).toBe(18);
  });

  it('is the last read to the end for what is newer than all, and unknown before the first', () => {
    expect(lookedAt(trail, 13, 30)).toBe(30);
    expect(lookedAt(trail, 13, null)).toBeNull();
    expect(lookedAt([], 13, null)).toBeNull();
  });
});

describe('a trail that grows long', () => {
  const long = fc
    .array(
      fc.record({
        step: fc.nat({ max: 3 }),
        age: fc.nat({ max: 400 }),
        events: fc.integer({ min: 1, max: 200 }),
      }),
      {
        maxLength: 500,
      },
    )
    .map((drawn): Trail => {
      let created = 1_000;
      return drawn.map(({ step, age, events }, index) => {
        created += step;
        return stretch(`evt_${index}`, created, created + age, events);
      });
    });

  it('is kept short, loses no events, and never lets the cursor go further than before', () => {
    fc.assert(
      fc.property(long, fc.integer({ min: 0, max: 300 }), (trail, lag) => {
        const short = thinned(trail, 300);
        const sum = (entries: Trail) => entries.reduce((total, { events }) => total + events, 0);
        expect(sum(short)).toBe(sum(trail));
        expect(short.length).toBeLessThanOrEqual(97);
        expect(short.at(-1)?.id).toBe(trail.at(-1)?.id);
        const [far, near] = [advanceCursor(null, trail, lag), advanceCursor(null, short, lag)];
        const place = (id: string | undefined) => trail.findIndex((entry) => entry.id === id);
        expect(place(near.cursor?.id)).toBeLessThanOrEqual(place(far.cursor?.id));
      }),
    );
  });

  it('becomes one stretch where even the largest lag has let all of it settle', () => {
    const backlog = new Array(800).fill(null).map((_, index) => stretch(`e${index}`, index, 5_000));
    expect(thinned(backlog, 300)).toEqual([stretch('e799', 799, 5_000, 800)]);
  });
});
