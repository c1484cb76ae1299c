/**
 * A backfill of customers from a simulator without latency, beside raw upserts of the same pages and a bare loop that
 * lists and upserts; and from one that takes 100 ms a page, beside a script that lists page by page and writes row by
 * row. More of what happens in one backfill: bench/backfill.ts.
 *
 * The script is measured on its first few thousand objects.
 *
 *   npm run bench -- backfill [--runs 3] [--customers 20000] [--latency 100] [--script 3000] [--json]
 */
import { isRight, measureBackfill } from './backfill-measure.js';
import { inWorld } from './backfill-world.js';
import { figure, type Measured } from './figure.js';
import { bareLoop, scriptBackfill } from './script-baseline.js';

const WALKERS = 8;

await figure(
  {
    name: 'backfill',
    says: 'objects a second, from the first page asked for to the last one committed',
    within: 400,
    options: { customers: '20000', latency: '100', script: '3000' },
  },
  async ({ runs, values, withinMs, say, add }) => {
    const customers = Number(values.customers);
    const settings = { customers, invoices: 0, limit: 0, traffic: 0 };
    const of = (latencyMs: number) => ({
      ...{ seed: 1, objects: { customer: customers }, latencyMs, perEndpoint: null },
      withinMs: withinMs / (2 * runs),
      say: () => undefined,
    });
    for (let run = 1; run <= runs; run += 1) {
      const fast = await inWorld(of(0), async (world) => {
        const report = await measureBackfill(world, { ...settings, latency: 0 });
        const [type] = report.types;
        if (type === undefined || !isRight(report)) throw new Error('The tables differ from the truth.');
        const bare = await bareLoop(world.pool, world.simulator, WALKERS);
        return { stored: type.perSecondStored, raw: type.raw.perSecond, bare };
      });
      const latency = Number(values.latency);
      const slow = await inWorld(of(latency), async (world) => {
        const report = await measureBackfill(world, { ...settings, latency });
        const [type] = report.types;
        if (type === undefined || !isRight(report)) throw new Error('The tables differ from the truth.');
        // Afterwards, since the simulator's count of pages begins with the first; and its raw rows switched this off.
        await world.simulator.control({ faults: { latency: { fixedMs: latency } } });
        const script = await scriptBackfill(world.pool, world.simulator, Number(values.script));
        return { stored: type.perSecondStored, script };
      });
      say(`Run ${run}: ${Math.round(fast.stored)} and ${Math.round(slow.stored)} objects a second.`);
      const what = 'no latency';
      add([
        {
          ...{ what, unit: '/s', value: fast.stored, wanted: { atLeast: 15_000, ratioAtLeast: 0.5 } },
          baseline: { what: 'raw upserts, no listing', value: fast.raw },
        },
        {
          ...{ what: `${what}, beside`, unit: '/s', value: fast.stored },
          baseline: { what: `a bare loop, ${WALKERS} walkers`, value: fast.bare },
        },
        {
          ...{ what: `${latency} ms a page`, unit: '/s', value: slow.stored, wanted: { ratioAtLeast: 10 } },
          baseline: { what: 'a script, row by row', value: slow.script },
        },
      ] satisfies Measured[]);
    }
  },
);
