/**
 * What live changes feel of a backfill that goes as fast as Stripe allows, and how often Stripe refuses: a simulator that
 * answers after 100 ms and takes 25 requests a second and endpoint, with 5 changes a second all the while.
 *
 *   npm run bench -- polite-live [--runs 1] [--customers 50000] [--quiet 30] [--rate 5] [--json]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { backfillEnded } from './backfill-outcome.js';
import { inWorld, type World } from './backfill-world.js';
import { figure, type Measured, percentile } from './figure.js';
import { type Latency, latencies } from './latencies.js';
import { changesAt, openAccount } from './live-account.js';

const ACCOUNT = 'bench';
const WARM_UP_SECONDS = 5;
const LAST_SECONDS = 8;

await figure(
  {
    name: 'polite-live',
    says: 'refusals and live latency during a backfill at the limit of 25 requests a second',
    runs: 1,
    options: { customers: '50000', quiet: '30', rate: '5' },
  },
  async ({ runs, values, withinMs, say, add }) => {
    for (let run = 1; run <= runs; run += 1) {
      const objects = { customer: Number(values.customers) };
      const world = { seed: run, objects, latencyMs: 100, perEndpoint: 25, withinMs: withinMs / runs, say };
      add(await inWorld(world, (built) => oneRun(built, Number(values.rate), Number(values.quiet))));
    }
  },
);

async function oneRun(world: World, rate: number, quietSeconds: number): Promise<Measured[]> {
  const { simulator, client } = world;
  await world.startWorker();
  await openAccount(world, ACCOUNT);
  await changesAt(world, rate, WARM_UP_SECONDS);
  const quietFrom = Date.now() / 1000;
  await changesAt(world, rate, quietSeconds);
  const before = await simulator.requestStats();
  const quietTo = Date.now() / 1000;

  await client.workflow.getHandle(ACCOUNT).signal('resync', { types: ['customer'] });
  let isOver = false;
  const traffic = (async () => {
    while (!isOver) await changesAt(world, rate, 1);
  })();
  const [listed] = await backfillEnded(world, ACCOUNT);
  isOver = true;
  await traffic;
  const after = await simulator.requestStats();
  if (listed === undefined) throw new Error('Nothing was listed.');
  await sleep(LAST_SECONDS * 1000, undefined, { signal: world.signal });
  const quiet = await latencies(world, ACCOUNT, quietFrom, quietTo);
  const during = await latencies(world, ACCOUNT, listed.startedAt, listed.endedAt);

  const asked = sum(after.requests) - sum(before.requests);
  const refused = (after.answers['429'] ?? 0) - (before.answers['429'] ?? 0);
  return [
    { what: 'requests refused with 429', unit: '%', value: (refused / asked) * 100, wanted: { atMost: 2 } },
    {
      what: 'objects listed',
      unit: '/s',
      value: listed.rows / (listed.endedAt - listed.startedAt),
      baseline: { what: '25 requests a second', value: 2_500 },
    },
    ...latency('median', quiet, during, 0.5),
    ...latency('95th percentile', quiet, during, 0.95),
    { what: 'changes meanwhile', unit: '', value: during.length },
  ];
}

function latency(
  name: string,
  quiet: readonly Latency[],
  during: readonly Latency[],
  share: number,
): Measured[] {
  const at = (all: readonly Latency[]) =>
    percentile(
      all.map((one) => one.sinceVisible),
      share,
    );
  return [
    {
      what: `visible to committed during it: ${name}`,
      unit: 's',
      value: at(during),
      baseline: { what: 'without a backfill', value: at(quiet) },
      wanted: { ratioAtMost: 2 },
    },
  ];
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, count) => all + count, 0);
}
