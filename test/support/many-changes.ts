/** Changes of many objects, a dozen to the second, so that many seconds hold several of one object. */
import type { Simulator } from '../../src/sandbox/simulator/index.js';

/** Objects all of whose changes raise an event. */
export const CHANGED = ['customer', 'product', 'price', 'coupon', 'subscription', 'invoice'];

/** Random numbers below 1 that the seed determines. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** Traffic, and then more and more changes of the objects that it left, a dozen to the second. */
export function makeManyChanges(simulator: Simulator, random: () => number, count: number): void {
  simulator.makeChanges(400);
  const living = () =>
    CHANGED.flatMap((object) =>
      [...(simulator.truth().get(object) ?? [])].flatMap(([id, { deleted }]) =>
        deleted ? [] : [{ object, id }],
      ),
    );
  let objects = living();
  for (let made = 1; simulator.events().length < count; made += 1) {
    if (made % 12 === 0) simulator.advanceClock(1);
    const { object, id } = objects[Math.floor(random() * objects.length)] ?? { object: '', id: '' };
    if (made % 97 === 0 && ['customer', 'coupon'].includes(object)) {
      simulator.remove(object, id);
      objects = living();
    } else {
      simulator.update(object, id, { metadata: { made: String(Math.floor(random() * 50)) } });
    }
  }
  // Every change lies in a second that a read is wholly past, so that nobody has to wait.
  simulator.advanceClock(10);
}
