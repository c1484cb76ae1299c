import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createStripeClient } from '../../src/stripe/client.js';
import { createActivityRoom } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createPollLoop } from '../support/poll-loop.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const SEEDS = 20;
const SECONDS = 20;
const CHANGES_PER_SECOND = 8;

interface Page {
  readonly data: readonly { readonly id: string }[];
  readonly has_more: boolean;
}

/** A cursor as it is mostly written: once a second it lists what comes after the newest event, and moves to it. */
async function naivePoll(url: string, apiKey: string, begin: string, isOver: () => boolean) {
  const client = createStripeClient({ apiKey, baseUrl: url });
  const seen = new Set<string>();
  let newest = begin;
  while (!isOver()) {
    let more = true;
    while (more) {
      const { body } = await client.get(`/v1/events?limit=100&ending_before=${newest}`);
      const { data, has_more } = body as Page;
      for (const { id } of data) seen.add(id);
      newest = data[0]?.id ?? newest;
      more = has_more;
    }
    await sleep(1_000);
  }
  client.close();
  return seen;
}

/** Both cursors beside each other on one Stripe, with events that surface up to 3 s late. */
async function compare(seed: number) {
  const room = await createActivityRoom(database, { seed, visibility: { p50: 0.4, p99: 2, max: 3 } });
  const { simulator } = room;
  simulator.create('customer', {}, { created: room.now() - 60, visibleAfterSeconds: 0 });
  const [first] = simulator.events();
  const loop = createPollLoop(room);
  await loop.open();
  let over = false;
  simulator.startTraffic({ changesPerSecond: CHANGES_PER_SECOND });
  const naive = naivePoll(simulator.url, simulator.apiKey, first?.id ?? '', () => over);
  await loop.run(SECONDS);
  simulator.stopTraffic();
  await loop.run(6);
  over = true;
  const naivelySeen = await naive;
  const ours = new Set(loop.handedOn.map(({ id }) => id));
  const ledger = new Map((await room.ledger()).map((entry) => [entry.id, entry]));
  const events = simulator.events().filter(({ id }) => id !== first?.id);
  // What has no table, or no id, is settled in the ledger at once and never handed on.
  const isOurs = (id: string) => ours.has(id) || ledger.get(id)?.outcome === 'ignored';
  return {
    events: events.length,
    naiveMissed: events.filter(({ id }) => !naivelySeen.has(id)).length,
    weMissed: events.filter(({ id }) => !isOurs(id)).length,
    doubled: loop.handedOn.length - ours.size,
  };
}

describe('a cursor that always moves to the newest event', () => {
  it(`misses events on the same Stripe on which ours misses none, for ${SEEDS} seeds`, async () => {
    const seeds = new Array(SEEDS).fill(null).map((_, index) => index + 1);
    const compared = await Promise.all(seeds.map(compare));
    const sum = (key: keyof (typeof compared)[number]) =>
      compared.reduce((total, entry) => total + entry[key], 0);
    const losing = compared.filter(({ naiveMissed }) => naiveMissed > 0).length;
    console.log(
      `over ${SEEDS} seeds and ${sum('events')} events: the naive cursor missed ${sum('naiveMissed')} ` +
        `(in ${losing} of ${SEEDS} seeds), ours missed ${sum('weMissed')}`,
    );
    expect(sum('events')).toBeGreaterThan(SEEDS * SECONDS);
    expect(losing).toBe(SEEDS);
    expect(sum('weMissed')).toBe(0);
    expect(sum('doubled')).toBe(0);
  }, 120_000);
});
