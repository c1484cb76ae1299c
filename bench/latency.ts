/**
 * How long a change takes to its row at 5 events a second: without webhooks from the moment at which Stripe's list of
 * events shows it, since nobody can see it before; with webhooks from the change itself, since they come first. The
 * list shows events as late as it does at Stripe: half of them within 0.4 s, one of a hundred after 2 s.
 *
 *   npm run bench -- latency [--runs 1] [--seconds 60] [--rate 5] [--json]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../src/sandbox/ports.js';
import { inWorld, type World } from './backfill-world.js';
import { figure, type Measured, percentile } from './figure.js';
import { latencies } from './latencies.js';
import { changesAt, endAccount, openAccount } from './live-account.js';

const SECRET = 'whsec_bench';
const WARM_UP_SECONDS = 5;
/** The last change is visible after 3 s at most. */
const LAST_SECONDS = 8;

await figure(
  {
    name: 'latency',
    says: 'seconds from visible to committed',
    runs: 1,
    options: { seconds: '60', rate: '5' },
  },
  async ({ runs, values, withinMs, say, add, note }) => {
    const world = { seed: 1, objects: {}, latencyMs: 0, perEndpoint: null, withinMs, say };
    const seconds = Number(values.seconds);
    const rate = Number(values.rate);
    await inWorld(world, async (built) => {
      const port = await freePort();
      const variables = { STRIPE_WEBHOOK_SECRET: SECRET };
      await built.startWorker([], variables, ['--webhooks', String(port)]);
      for (let run = 1; run <= runs; run += 1) {
        const polled = await changesOf(built, `polled-${run}`, rate, seconds);
        const alone = spreadOf(
          'without webhooks',
          'visible',
          polled.map((one) => one.sinceVisible),
        );
        say(`Run ${run}: ${polled.length} changes without webhooks.`);
        const account = `pushed-${run}`;
        await built.simulator.control({
          addWebhookEndpoint: { url: `http://127.0.0.1:${port}/webhooks/${account}`, secret: SECRET },
        });
        const pushed = await changesOf(built, account, rate, seconds);
        const told = spreadOf(
          'with webhooks',
          'changed',
          pushed.map((one) => one.sinceChanged),
        );
        say(`Run ${run}: ${pushed.length} changes with webhooks.`);
        add([...alone, ...told]);
      }
      note(
        `${rate} changes a second for ${seconds} s, each a new customer; one poll a second while events flow.`,
      );
    });
  },
);

async function changesOf(world: World, account: string, rate: number, seconds: number) {
  await openAccount(world, account);
  await changesAt(world, rate, WARM_UP_SECONDS);
  const from = Date.now() / 1000;
  await changesAt(world, rate, seconds);
  await sleep(LAST_SECONDS * 1000, undefined, { signal: world.signal });
  const found = await latencies(world, account, from);
  await endAccount(world, account);
  return found;
}

function spreadOf(how: string, since: 'visible' | 'changed', seconds: readonly number[]): Measured[] {
  const isPolled = since === 'visible';
  return [
    {
      what: `${how}, ${since} to committed: median`,
      unit: 's',
      value: percentile(seconds, 0.5),
      ...(isPolled && { wanted: { atMost: 0.8 } }),
    },
    { what: `${how}: 95th percentile`, unit: 's', value: percentile(seconds, 0.95) },
    {
      what: `${how}: 99th percentile`,
      unit: 's',
      value: percentile(seconds, 0.99),
      ...(isPolled && { wanted: { atMost: 2.5 } }),
    },
  ];
}
