import { afterEach, expect, it } from 'vitest';
import { type Receiver, startReceiver } from '../../src/webhooks/receiver.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

let sync: Sync | null = null;
let receiver: Receiver | null = null;
afterEach(async () => {
  await receiver?.close();
  await sync?.close();
  sync = null;
  receiver = null;
});

const SECRET = 'whsec_of_this_test';

/** An account whose Stripe delivers webhooks to a receiver, and whose list shows events as late as Stripe's does. */
async function delivering(delivery = {}): Promise<Sync> {
  sync = await createSync({ seed: 4 });
  const silent = () => undefined;
  receiver = await startReceiver({
    connectionString: sync.database.url,
    host: '127.0.0.1',
    port: 0,
    secretsOf: () => [SECRET],
    log: { info: silent, warn: silent },
  });
  await sync.work();
  // A poll that would take minutes, so that what is there sooner came by a webhook.
  await sync.start({ backfill: { enabled: false }, poll: { everySeconds: 20, slowestSeconds: 20 } });
  await eventually(async () => ((await sync?.status())?.caughtUp ? null : 'it has not begun'));
  sync.simulator.addWebhookEndpoint({
    url: `http://127.0.0.1:${receiver.port}/webhooks/${sync.account}`,
    secret: SECRET,
    delivery,
  });
  return sync;
}

interface Row {
  readonly id: string;
  readonly source: string;
  readonly outcome: string;
  /** From the delivery's row to the commit of its outcome. */
  readonly took: number;
}

async function settled({ database, account }: Sync): Promise<Row[]> {
  const { rows } = await database.pool.query<Row>(
    `select id, source, outcome, (extract(epoch from applied_at - recorded_at) * 1000)::float8 as took
     from stripe_sync.events where account = $1 and outcome is not null`,
    [account],
  );
  return rows;
}

it('a change is in its table a moment after its webhook, long before the next poll', async () => {
  const room = await delivering();
  room.simulator.startTraffic({ changesPerSecond: 2 });
  await new Promise((resolve) => setTimeout(resolve, 15_000));
  room.simulator.stopTraffic();
  await room.rested();
  const rows = (await settled(room)).filter(
    ({ source, outcome }) => source === 'webhook' && outcome === 'applied',
  );
  const took = rows.map((row) => row.took).toSorted((a, b) => a - b);
  expect(took.length).toBeGreaterThan(15);
  const median = took[Math.floor(took.length / 2)] ?? Number.NaN;
  console.info(`${took.length} changes by webhook: median ${median.toFixed(0)} ms from delivery to commit`);
  // Far below the rhythm of any poll; the figure itself is for the benchmark.
  expect(median).toBeLessThan(1_500);
}, 120_000);

it('nothing is missed where half of the webhooks are lost, and the rest come twice and in any order', async () => {
  const room = await delivering({ dropped: 0.5, duplicated: 0.5, shuffled: 1, shuffleSeconds: 3 });
  room.simulator.startTraffic({ changesPerSecond: 4 });
  await new Promise((resolve) => setTimeout(resolve, 30_000));
  room.simulator.stopTraffic();
  await room.rested();
  const rows = await settled(room);
  const bySource = (source: string) => rows.filter((row) => row.source === source).length;
  const { webhooks } = room.simulator.stats();
  expect(webhooks.dropped).toBeGreaterThan(20);
  expect(webhooks.duplicated).toBeGreaterThan(20);
  expect(bySource('webhook')).toBeGreaterThan(20);
  expect(bySource('poll')).toBeGreaterThan(20);
  expect(new Set(rows.map(({ id }) => id)).size).toBe(room.simulator.events().length);
  const { differences, equal } = await room.compared();
  expect(differences).toEqual([]);
  expect(equal).toBeGreaterThan(50);
}, 180_000);
