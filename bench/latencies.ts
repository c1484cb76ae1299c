/** How long changes took to be committed, by the clock of the machine that everything runs on. */
import { readOutcomes } from '../src/postgres/read-outcomes.js';
import type { TrueEvent } from '../src/sandbox/simulator/index.js';
import type { World } from './backfill-world.js';

export interface Latency {
  readonly changedAt: number;
  /** Seconds; endless where the change was never committed. */
  readonly sinceVisible: number;
  readonly sinceChanged: number;
}

/** Of all events whose change was made in this span, in seconds of the simulator's clock. */
export async function latencies(
  { simulator, pool }: World,
  account: string,
  from: number,
  to = Number.POSITIVE_INFINITY,
): Promise<Latency[]> {
  const events = await simulator.lines<TrueEvent>('events');
  const settled = new Map((await readOutcomes(pool, account)).map(({ id, settledAt }) => [id, settledAt]));
  return events
    .filter(({ changedAt }) => changedAt >= from && changedAt < to)
    .map(({ id, changedAt, visibleAt }) => {
      const at = settled.get(id) ?? Number.POSITIVE_INFINITY;
      return { changedAt, sinceVisible: at - visibleAt, sinceChanged: at - changedAt };
    });
}
