import { describe, expect, it } from 'vitest';
import { advanceCursor, firstUnsettledSecond } from '../../src/domain/cursor.js';

const stretch = (id: string, created: number, readAt: number) => ({ id, created, readAt, events: 1 });

describe('the cursor', () => {
  const trail = (readAt: number) => [
    stretch('a', 100, readAt),
    stretch('b', 102, readAt),
    stretch('c', 103, readAt),
  ];

  it('moves to the newest event of a settled second, and leaves the rest of the trail', () => {
    expect(advanceCursor(null, trail(108), 5)).toEqual({
      cursor: { id: 'b', created: 102 },
      trail: [stretch('c', 103, 108)],
    });
  });

  it('does not enter a second whose end was not behind the lag when it was read', () => {
    expect(advanceCursor(null, trail(107), 5).cursor).toEqual({ id: 'a', created: 100 });
    expect(advanceCursor(null, trail(105), 5).cursor).toBeNull();
  });

  it('does not pass a stretch that was last read before it settled, whatever was read behind it', () => {
    const [a, , c] = trail(200);
    const early = stretch('b', 102, 105);
    expect(
      advanceCursor(
        null,
        [a, early, c].flatMap((entry) => entry ?? []),
        5,
      ).cursor?.id,
    ).toBe('a');
  });

  it('never goes back, not even where the list is out of order', () => {
    const cursor = { id: 'x', created: 104 };
    expect(advanceCursor(cursor, trail(200), 5).cursor).toBe(cursor);
  });

  it('goes on within its own second, since the trail holds only what lies past it', () => {
    const cursor = { id: 'x', created: 103 };
    expect(advanceCursor(cursor, [stretch('c', 103, 200)], 5).cursor).toEqual({ id: 'c', created: 103 });
  });

  it('takes a second as settled once its end plus the lag has passed', () => {
    expect(firstUnsettledSecond(108, 5)).toBe(103);
    expect(firstUnsettledSecond(108, 0)).toBe(108);
  });
});
