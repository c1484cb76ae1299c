/**
 * A backlog of events from a simulator without latency, beside the same pages in bare statements; and from one that
 * takes 100 ms a request and answers 25 a second, beside what that limit lets through. More of what happens in one
 * catch-up: bench/catch-up.ts.
 *
 *   npm run bench -- catch-up [--runs 3] [--events 20000] [--latency 100] [--limit 25] [--json]
 */
import { isRight, measureCatchUp } from './catch-up-measure.js';
import { figure, type Measured } from './figure.js';

await figure(
  {
    name: 'catch-up',
    says: "events a second into the ledger and applied, from a starting worker's first request to the last outcome",
    within: 600,
    options: { events: '20000', latency: '100', limit: '25' },
  },
  async ({ runs, values, withinMs, say, add }) => {
    const [events, latency, limit] = [values.events, values.latency, values.limit].map(Number) as [
      number,
      number,
      number,
    ];
    const one = async (at: { readonly latency: number; readonly limit: number }) => {
      const settings = { ...at, events, mix: 'customers', entities: 'auto' } as const;
      const report = await measureCatchUp(settings, {
        withinMs: withinMs / (2 * runs),
        say: () => undefined,
      });
      if (!isRight(report)) throw new Error('The tables differ from the truth.');
      return report;
    };
    for (let run = 1; run <= runs; run += 1) {
      const fast = await one({ latency: 0, limit: 0 });
      const slow = await one({ latency, limit });
      say(`Run ${run}: ${Math.round(fast.perSecond)} and ${Math.round(slow.perSecond)} events a second.`);
      add([
        {
          ...{
            what: 'no latency',
            unit: '/s',
            value: fast.perSecond,
            wanted: { atLeast: 8_000, ratioAtLeast: 0.5 },
          },
          baseline: { what: 'bare statements', value: fast.raw.perSecond },
        },
        {
          ...{ what: `${latency} ms, ${limit} requests a second`, unit: '/s', value: slow.perSecond },
          wanted: { ratioAtLeast: 0.8 },
          baseline: { what: 'what the limit lets through', value: limit * 100 },
        },
        {
          what: 'requests refused',
          unit: '%',
          value: (100 * slow.refused) / slow.requests,
          wanted: { atMost: 2 },
        },
      ] satisfies Measured[]);
    }
  },
);
