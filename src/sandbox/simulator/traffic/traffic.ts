/**
 * Live traffic: business flows that run through each other, a change at a time. Which changes are made follows from the
 * seed; only when they are made follows from the machine.
 */
import type { Changes } from '../changes.js';
import type { Random } from '../random.js';
import type { Store } from '../store.js';
import { changeSubscription, checkout, manualInvoice, renewal } from './billing-flows.js';
import {
  broad,
  burst,
  deleteCustomer,
  editCustomer,
  flip,
  inlinePrice,
  newCustomer,
  offer,
  promotion,
  recreated,
  unannounced,
} from './catalog-flows.js';
import { dispute, oneOffPayment, payout, refund } from './payment-flows.js';
import { createWorld, type Flow, type World } from './world.js';

export interface TrafficOptions {
  readonly changesPerSecond: number;
}

export interface Traffic {
  start(options: TrafficOptions): void;
  stop(): void;
  running(): TrafficOptions | undefined;
  /** Makes at least so many changes at once. */
  make(count: number): void;
}

const WEIGHTS: readonly (readonly [number, (world: World) => Flow | undefined])[] = [
  [8, newCustomer],
  [14, editCustomer],
  [4, deleteCustomer],
  [7, offer],
  [2, inlinePrice],
  [3, recreated],
  [3, promotion],
  [3, unannounced],
  [3, broad],
  [12, burst],
  [6, flip],
  [12, checkout],
  [8, renewal],
  [7, changeSubscription],
  [5, manualInvoice],
  [10, oneOffPayment],
  [6, refund],
  [2, dispute],
  [2, payout],
];

const TOTAL_WEIGHT = WEIGHTS.reduce((sum, [weight]) => sum + weight, 0);

/** So many flows run through each other at most. */
const FLOWS_AT_ONCE = 24;
const TICK_MS = 40;

export function createTraffic(store: Store, changes: Changes, random: Random): Traffic {
  const world = createWorld(store, changes, random);
  const flows: Flow[] = [];
  let timer: NodeJS.Timeout | undefined;
  let running: TrafficOptions | undefined;

  /** Starts a flow; one that is over in a single moment has nothing left to run. */
  const newFlow = (): Flow | undefined => {
    let draw = random.next() * TOTAL_WEIGHT;
    for (const [weight, flow] of WEIGHTS) {
      draw -= weight;
      if (draw < 0) return flow(world);
    }
    return editCustomer(world);
  };

  const step = (): void => {
    if (flows.length === 0 || (flows.length < FLOWS_AT_ONCE && random.chance(0.3))) {
      const flow = newFlow();
      if (flow === undefined) return;
      flows.push(flow);
    }
    const index = random.integer(0, flows.length - 1);
    if (flows[index]?.next().done === true) flows.splice(index, 1);
  };

  const make = (count: number): number => {
    const before = changes.made();
    while (changes.made() - before < count) step();
    return changes.made() - before;
  };

  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
    running = undefined;
  };

  return {
    make: (count) => void make(count),
    running: () => running,
    stop,
    start(options) {
      if (!(options.changesPerSecond > 0)) {
        throw new RangeError(
          `Traffic needs a rate above 0 changes a second, and ${options.changesPerSecond} is none.`,
        );
      }
      stop();
      running = options;
      let last = performance.now();
      let due = 0;
      timer = setInterval(() => {
        const at = performance.now();
        // After a long stall of the process, a second's worth is made up for and no more.
        due = Math.min(due + ((at - last) / 1000) * options.changesPerSecond, options.changesPerSecond + 1);
        last = at;
        // A burst makes more than what is due, and the debt is paid by waiting.
        if (due >= 1) due -= make(Math.floor(due));
      }, TICK_MS);
    },
  };
}
