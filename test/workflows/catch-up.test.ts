import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { tableOf } from '../../src/stripe/catalog.js';
import { watchEffects } from '../support/effects.js';
import { createSync, eventually, type Sync } from '../support/sync.js';
import { createWorkerProcesses } from '../support/worker-processes.js';

let sync: Sync | null = null;
let shares: Watch | null = null;
const workers = createWorkerProcesses();
afterEach(async () => {
  await workers.killAll();
  await shares?.end();
  shares = null;
  await sync?.close();
  sync = null;
});

interface Settled {
  readonly together: number;
  readonly byEntities: number;
  readonly twice: number;
}

/** What applied the changes since a second of Stripe's clock: whoever goes through an entity is claimed for it. */
async function settled({ database, account }: Sync, since: number): Promise<Settled> {
  const { rows } = await database.pool.query<Settled>(
    `select count(*) filter (where claimed_by is null and outcome <> 'ignored')::int as together,
       count(*) filter (where claimed_by is not null)::int as "byEntities",
       count(*) filter (where attempts <> 1 and outcome <> 'ignored')::int as twice
     from stripe_sync.events where account = $1 and created >= to_timestamp($2)`,
    [account, since],
  );
  if (rows[0] === undefined) throw new Error('a count has one row');
  return rows[0];
}

/** An account that has seen all there is, and whose worker has ended. */
async function openedAccount(over: Parameters<Sync['start']>[0]): Promise<Sync> {
  const opened = await createSync({ seed: 61 });
  opened.simulator.create('customer');
  opened.simulator.advanceClock(30);
  const worker = await workers.start(opened);
  await opened.start({ poll: { everySeconds: 0.5, slowestSeconds: 0.5, waitSeconds: 5 }, ...over });
  await eventually(async () => {
    const { backfill, cursor, caughtUp } = await opened.status();
    return backfill?.state === 'done' && cursor !== null && caughtUp ? null : 'the first backfill runs';
  });
  await worker.end('SIGKILL');
  return opened;
}

/** Changes of many hours, in which nobody looked. */
function missHours(opened: Sync, changes: number): number {
  const since = Math.floor(opened.simulator.now()) + 1;
  for (let made = 0; made < changes; made += 4) {
    opened.simulator.advanceClock(45);
    opened.simulator.makeChanges(4);
  }
  opened.simulator.advanceClock(600);
  return since;
}

interface Watch {
  /** What it saw. */
  end(): Promise<readonly number[]>;
}

/** The shares of the catch-up that `status` shows, from now on. */
function watchShares(of: Sync): Watch {
  const seen: number[] = [];
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const { catchUp } = await of.status().catch(() => ({ catchUp: null }));
      if (catchUp) seen.push(catchUp.share);
      await sleep(150);
    }
  })();
  return {
    async end() {
      isOver = true;
      await watching;
      return seen;
    },
  };
}

describe('an account that is far behind', () => {
  it('catches up by whole pages, whatever is killed, and then goes on through its entities', async () => {
    sync = await openedAccount({ catchUp: { sliceSeconds: 2, walkers: 3 } });
    const { simulator, account, database } = sync;
    const tables = ['customer', 'invoice', 'payment_intent', 'charge', 'subscription'];
    const effects = await watchEffects(database, tables.map(tableOf));
    const since = missHours(sync, 1_600);
    const behind = simulator.events().filter(({ created }) => created >= since).length;
    expect(behind).toBeGreaterThan(1_600);
    simulator.setFaults({ latency: { fixedMs: 250, jitterMs: 100 } });
    simulator.startTraffic({ changesPerSecond: 3 });

    let worker = await workers.start(sync);
    shares = watchShares(sync);
    for (const pause of [1_500, 2_000]) {
      await sleep(pause);
      await worker.end('SIGKILL');
      worker = await workers.start(sync);
    }
    await eventually(async () => {
      const { catchUp, caughtUp } = await (sync as Sync).status();
      return catchUp === null && caughtUp ? null : `${catchUp?.share ?? 0} of it is listed`;
    });
    // What the traffic left while the worker was gone is a backlog as well.
    simulator.stopTraffic();
    await sync.rested(since);
    const caughtUpAt = Math.floor(simulator.now()) + 1;
    await eventually(async () => (simulator.now() > caughtUpAt ? null : 'the second is not over'));
    simulator.startTraffic({ changesPerSecond: 3 });
    await sleep(6_000);
    simulator.stopTraffic();
    simulator.setFaults({});
    await sync.rested(since);
    const seen = await shares.end();
    const old = await settled(sync, since);
    const live = await settled(sync, caughtUpAt);
    console.log(
      `${behind} events behind: ${old.together} applied together, ${old.byEntities} through entities; ` +
        `afterwards ${live.together} and ${live.byEntities}; seen at ${seen.map((share) => share.toFixed(2)).join(' ')}`,
    );
    expect(old.together).toBeGreaterThan(behind * 0.7);
    expect(live.byEntities).toBeGreaterThan(0);
    expect(live.together).toBe(0);
    expect(old.twice).toBe(0);
    expect(seen.length).toBeGreaterThan(0);
    const { differences, equal } = await sync.compared();
    expect(differences).toEqual([]);
    expect(equal).toBeGreaterThan(300);
    expect(await effects.stepsBack(account)).toEqual([]);
    const times = [...(await effects.settled(account)).values()];
    expect(times.filter((count) => count !== 1)).toEqual([]);
    await worker.end('SIGKILL');
  }, 240_000);

  it('takes an entity for each change where it is to, and none that an entity need not decide where it is not', async () => {
    for (const entities of ['never', 'always'] as const) {
      sync = await openedAccount({ entities });
      const { simulator } = sync;
      const since = Math.floor(simulator.now()) + 1;
      simulator.advanceClock(2);
      const worker = await workers.start(sync);
      let last: string | null = null;
      for (let round = 0; round < 15; round += 1) {
        if (last !== null) simulator.update('customer', last, { name: `in round ${round}` });
        last = String(simulator.create('customer').id);
        // No two changes of an object in one second: the order of those is what an entity may be needed for.
        simulator.advanceClock(2);
        await sleep(300);
      }
      await sync.rested(since);
      const { together, byEntities, twice } = await settled(sync, since);
      console.log(`entities ${entities}: ${together} together, ${byEntities} through entities`);
      expect([together, byEntities]).toEqual(entities === 'always' ? [0, 29] : [29, 0]);
      expect(twice).toBe(0);
      expect((await sync.compared()).differences).toEqual([]);
      await worker.end('SIGKILL');
      await sync.close();
      sync = null;
    }
  }, 240_000);
});
