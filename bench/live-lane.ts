/**
 * The live lane: how many changes a second go through entity children, each of an entity of its own, beside child
 * workflows without a sync in them on the same server in the same run. The number of children is what bounds it.
 *
 *   npm run bench -- live-lane [--runs 3] [--seconds 15] [--children 200] [--json]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { inWorld, until, type World } from './backfill-world.js';
import { figure, type Measured } from './figure.js';
import { endAccount, ledgerCounts, openAccount } from './live-account.js';
import { bundleRawChildren, type RawChildren, startRawChildren } from './raw-children.js';
import type { ParentInput } from './raw-children-workflows.js';

/** So many changes wait at any time, so that the lane never waits for one. */
const BACKLOG = 200;
/** Few are best where the server is alone, many where it shares the machine: the better of them counts. */
const RAW_IN_FLIGHT = [50, 200] as const;
const WARM_UP_SECONDS = 5;

await figure(
  {
    name: 'live-lane',
    says: 'changes a second through entity children',
    options: { seconds: '15', children: '200', profile: '' },
  },
  async ({ runs, values, withinMs, say, add, note }) => {
    const bundle = await bundleRawChildren();
    const world = { seed: 1, objects: {}, latencyMs: 0, perEndpoint: null, withinMs, say };
    const profiling = values.profile ? ['--cpu-prof', `--cpu-prof-dir=${values.profile}`] : [];
    try {
      await inWorld(world, async (built) => {
        await built.simulator.control({ visibility: { kind: 'none' } });
        const raw = await startRawChildren(built, bundle.path);
        await raw.perSecond('childWithOneActivity', 50, 50);
        const worker = await built.startWorker(profiling);
        for (let run = 1; run <= runs; run += 1) {
          const found = await oneRun(
            built,
            raw,
            `live-${run}`,
            Number(values.seconds),
            Number(values.children),
          );
          say(
            `Run ${run}: ${found.map(({ value, baseline }) => `${value.toFixed(1)} beside ${baseline?.value.toFixed(1)}`).join(', ')}.`,
          );
          add(found);
        }
        await worker.stop();
        await raw.stop();
      });
    } finally {
      bundle.remove();
    }
    note(
      'An empty child starts and ends in one workflow task; one with a local activity is what an entity is.',
    );
  },
);

async function oneRun(
  world: World,
  raw: RawChildren,
  account: string,
  seconds: number,
  children: number,
): Promise<Measured[]> {
  const lane = await liveLane(world, account, seconds);
  const best = async (child: ParentInput['child']) => {
    let most = 0;
    for (const inFlight of RAW_IN_FLIGHT)
      most = Math.max(most, await raw.perSecond(child, children, inFlight));
    return most;
  };
  const empty = await best('emptyChild');
  const withActivity = await best('childWithOneActivity');
  return [
    {
      what: 'changes applied',
      unit: '/s',
      value: lane,
      baseline: { what: 'empty children', value: empty },
      wanted: { ratioAtLeast: 0.7 },
    },
    {
      what: 'the same, beside',
      unit: '/s',
      value: lane,
      baseline: { what: 'children with a local activity', value: withActivity },
    },
  ];
}

async function liveLane(world: World, account: string, seconds: number): Promise<number> {
  await openAccount(world, account, { entities: 'always' });
  let offered = 0;
  const offer = async () => {
    const { settled } = await ledgerCounts(world, account);
    const due = settled + BACKLOG - offered;
    await Promise.all(
      Array.from({ length: Math.max(0, due) }, () => {
        offered += 1;
        const fields = { email: `${account}-${offered}@bench.example` };
        return world.simulator.control({ create: { object: 'customer', fields } });
      }),
    );
    return settled;
  };
  const during = async (forSeconds: number) => {
    const began = performance.now();
    const first = (await ledgerCounts(world, account)).settled;
    while (performance.now() - began < forSeconds * 1000) {
      await offer();
      await sleep(100, undefined, { signal: world.signal });
    }
    const last = (await ledgerCounts(world, account)).settled;
    return (last - first) / ((performance.now() - began) / 1000);
  };
  await during(WARM_UP_SECONDS);
  const perSecond = await during(seconds);
  // Children that are still open would share the server with those that are measured next.
  await until(world.signal, 100, async () =>
    (await ledgerCounts(world, account)).pending === 0 ? true : null,
  );
  await endAccount(world, account);
  return perSecond;
}
