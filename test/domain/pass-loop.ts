/** The loop that reads a model of Stripe's list, pass by pass. */
import { expect } from 'vitest';
import { advanceCursor, type Position } from '../../src/domain/cursor.js';
import { type PassResult, pass, type Reading } from '../../src/domain/pass.js';
import { type ModelEvent, type ModelList, modelId } from './model-list.js';

const MAX_LAG = 300;

export interface Loop {
  reading: Reading;
  now: number;
  requests: number;
}

export const begin = (over: Partial<Reading> = {}): Loop => ({
  reading: { cursor: null, anchor: 0, trail: [], lookedAt: null, news: 0, reanchored: null, ...over },
  now: 0,
  requests: 0,
});

export interface PassOver {
  readonly lag?: number;
  readonly pageCap?: number;
  /** Seconds that one request takes. */
  readonly requestTakes?: number;
  /** The pass is given up after so many requests. */
  readonly crashAfter?: number;
  /** Told what was listed for the first time, with the reading before it. */
  readonly onNews?: (news: readonly Position[], reading: Reading) => void;
}

/** One pass of the loop over the model. Null where it was given up; what it had read is then in the loop. */
export function passOver(list: ModelList, loop: Loop, over: PassOver = {}): PassResult | null {
  const { lag = 5, pageCap = 10, requestTakes = 0, crashAfter = Infinity } = over;
  const steps = pass(loop.reading, { pageCap, lagSeconds: lag, maxLagSeconds: MAX_LAG, ourNow: loop.now });
  let step = steps.next();
  for (let made = 0; !step.done; made += 1) {
    loop.reading = step.value.reading;
    if (made >= crashAfter) return null;
    expect(made).toBeLessThan(10_000);
    const seen = over.onNews === undefined ? list.seen : new Set(list.seen);
    const answer = list.answer(step.value.request, loop.now);
    if (answer !== 'lost')
      over.onNews?.(
        answer.listed.filter(({ id }) => !seen.has(id)),
        loop.reading,
      );
    loop.requests += 1;
    loop.now += requestTakes;
    step = steps.next(answer);
  }
  loop.reading = step.value.reading;
  return step.value;
}

/** What the workflow does with a pass: the cursor moves. */
export function advance(loop: Loop, lag: number): void {
  const before = loop.reading.cursor;
  const moved = advanceCursor(before, loop.reading.trail, lag);
  expect(moved.cursor?.created ?? -1).toBeGreaterThanOrEqual(before?.created ?? -1);
  if (moved.cursor !== null && moved.cursor !== before)
    expect(moved.cursor.created + 1 + lag).toBeLessThanOrEqual(loop.now);
  loop.reading = { ...loop.reading, ...moved };
}

export const eventsOf = (drawn: readonly { at: number; delay: number; order: number }[]): ModelEvent[] =>
  drawn.map(({ at, delay, order }, index) => ({
    id: modelId(index, order),
    at,
    visibleAt: at + delay,
    order: order * 1_000 + index,
  }));

/** A steady stream: so many events a second, each visible after `delayOf` seconds. */
export function stream(perSecond: number, seconds: number, delayOf: (index: number) => number): ModelEvent[] {
  return new Array(perSecond * seconds).fill(null).map((_, index) => {
    const at = 1_000 + index / perSecond;
    return { id: modelId(index, index), at, visibleAt: at + delayOf(index), order: index };
  });
}
