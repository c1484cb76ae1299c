import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from '@temporalio/worker';
import { afterEach, describe, expect, it } from 'vitest';
import { workflowBundlePath } from '../../src/temporal/worker.js';
import { historiesOf } from '../support/histories.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

let sync: Sync | null = null;
afterEach(async () => {
  await sync?.close();
  sync = null;
});

describe('the history of an account', () => {
  it('stays under 5,000 events a run under load, and every run replays', async () => {
    sync = await createSync({ seed: 41, visibility: { kind: 'none' } });
    const { simulator, client, account } = sync;
    await sync.work();
    await sync.start({ backfill: { enabled: false }, childStartsPerRun: 150, entities: 'always' });
    await eventually(async () => ((await sync?.status())?.caughtUp ? null : 'not caught up'));
    const since = Math.floor(simulator.now());
    for (let burst = 0; burst < 4; burst += 1) {
      for (let made = 0; made < 110; made += 1)
        simulator.create('customer', { email: `c${burst}.${made}@load.example` });
      await sleep(1_000);
    }
    await sync.rested(since);
    const histories = await historiesOf(client, account);
    const runs = histories.filter(({ type }) => type === 'account');
    expect(runs.length).toBeGreaterThan(1);
    expect(Math.max(...runs.map(({ history }) => history.events?.length ?? 0))).toBeLessThan(5_000);

    const replayed = histories.filter(({ workflowId }, index) => workflowId === account || index % 20 === 0);
    const results = Worker.runReplayHistories(
      { workflowBundle: { codePath: workflowBundlePath() } },
      replayed.map(({ workflowId, history }) => ({ workflowId, history })),
    );
    let count = 0;
    for await (const result of results) {
      count += 1;
      expect(result.error).toBeUndefined();
    }
    expect(count).toBe(replayed.length);
  }, 180_000);

  it('grows by at most three activities a minute once traffic has stopped', async () => {
    sync = await createSync({ seed: 42 });
    const { simulator, client, account } = sync;
    simulator.makeChanges(10);
    await sync.work();
    await sync.start();
    await sync.rested(Math.floor(simulator.now()));
    await eventually(async () =>
      (await sync?.status())?.backfill?.state === 'done' ? null : 'the backfill runs',
    );
    await sleep(5_000);
    const activities = async () => {
      const histories = await historiesOf(client, account);
      return histories
        .flatMap(({ history }) => history.events ?? [])
        .filter((event) => event.activityTaskScheduledEventAttributes).length;
    };
    const before = await activities();
    await sleep(60_000);
    expect((await activities()) - before).toBeLessThanOrEqual(3);
    expect((await activities()) - before).toBeGreaterThan(0);
  }, 180_000);
});
