/** The past of a simulated account: objects of the two years before its start, which no event tells of. */
import type { Simulator } from './simulator/index.js';

/** What a small business has after two years. Each type draws on those above it. */
const HISTORY: readonly (readonly [object: string, count: number])[] = [
  ['customer', 300],
  ['product', 20],
  ['price', 40],
  ['coupon', 5],
  ['tax_rate', 3],
  ['payment_method', 120],
  ['subscription', 80],
  ['invoice', 150],
  ['payment_intent', 150],
  ['charge', 150],
  ['refund', 20],
  ['payout', 24],
];

/**
 * Gives a simulator that nothing has happened in yet a history to be listed. Does nothing to one that has
 * events or objects already, such as a sandbox that is resumed.
 *
 * @returns how many objects it made, of the types that it names; 0 where it did nothing
 */
export function seedHistory(simulator: Pick<Simulator, 'events' | 'truth' | 'createMany'>): number {
  const isEmpty =
    simulator.events().length === 0 && HISTORY.every(([object]) => !simulator.truth().get(object)?.size);
  if (!isEmpty) return 0;
  return HISTORY.reduce((made, [object, count]) => made + simulator.createMany(object, count).length, 0);
}
