/**
 * From the start of a worker's process to its first applied event: the account runs, its worker was stopped, and an
 * event waits. Beside what a bare worker of Temporal needs for its first workflow.
 *
 *   npm run bench -- worker-start [--runs 3] [--json]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { inWorld, until, type World } from './backfill-world.js';
import { figure } from './figure.js';
import { ledgerCounts, openAccount } from './live-account.js';
import { bundleRawChildren, startRawChildren } from './raw-children.js';

const ACCOUNT = 'bench';

/** All that a change brings about in workflows is over by then. */
const RESTED_MS = 2_000;

await figure(
  { name: 'worker-start', says: "seconds from a worker's start to the first applied event" },
  async ({ runs, withinMs, say, add, note }) => {
    const bundle = await bundleRawChildren();
    try {
      const world = { seed: 1, objects: {}, latencyMs: 0, perEndpoint: null, withinMs, say };
      await inWorld(world, async (built) => {
        await built.simulator.control({ visibility: { kind: 'none' } });
        const first = await built.startWorker();
        await openAccount(built, ACCOUNT);
        await first.stop();
        for (let run = 1; run <= runs; run += 1) {
          const seconds = await startToApplied(built);
          const bare = await startToFirstWorkflow(built, bundle.path);
          say(`Run ${run}: ${seconds.toFixed(2)} s beside ${bare.toFixed(2)} s.`);
          const baseline = { what: 'a bare worker, one workflow', value: bare };
          add([{ what: 'start to applied', unit: 's', value: seconds, baseline, wanted: { atMost: 5 } }]);
        }
      });
    } finally {
      bundle.remove();
    }
    note('Both with a prebuilt bundle of the workflows.');
  },
);

async function startToApplied(world: World): Promise<number> {
  const { simulator, signal } = world;
  const before = (await ledgerCounts(world, ACCOUNT)).settled;
  await simulator.control({ create: { object: 'customer' } });
  await sleep(500, undefined, { signal });
  const began = performance.now();
  // Looked for beside the start: the event may be applied before the worker says that it runs.
  const [worker, seconds] = await Promise.all([
    world.startWorker(),
    until(signal, 20, async () => {
      const { settled } = await ledgerCounts(world, ACCOUNT);
      return settled > before ? (performance.now() - began) / 1000 : null;
    }),
  ]);
  // A workflow task that is on its way to a worker that ends comes back only after Temporal's time-out of 10 s.
  await sleep(RESTED_MS, undefined, { signal });
  await worker.stop();
  return seconds;
}

async function startToFirstWorkflow(world: World, bundle: string): Promise<number> {
  const began = performance.now();
  const raw = await startRawChildren(world, bundle);
  await raw.perSecond('childWithOneActivity', 1, 1);
  const seconds = (performance.now() - began) / 1000;
  await raw.stop();
  return seconds;
}
