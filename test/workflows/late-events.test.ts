import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { countLeaks } from '../../src/postgres/account-counts.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

let sync: Sync | null = null;
afterEach(async () => {
  await sync?.close();
  sync = null;
});

const RESCAN_SECONDS = 20;

/** Customers that exist at once and whose events surface 20 to 40 s later, among others that are on time. */
async function lateOnes({ simulator }: Sync, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let made = 0; made < count; made += 1) {
    const late = simulator.create(
      'customer',
      { email: `late${made}@surfacing.example` },
      { visibleAfterSeconds: 20 + (20 * made) / count },
    );
    ids.push(String(late.id));
    simulator.create('customer', { email: `steady${made}@flow.example` });
    await sleep(400);
  }
  return ids;
}

/** Others go on meanwhile: without them, the cursor has no reason to pass anybody. */
function steady({ simulator }: Sync) {
  const timer = setInterval(() => simulator.create('customer', { email: 'steady@flow.example' }), 1_000);
  return () => clearInterval(timer);
}

async function missing({ database, account }: Sync, ids: readonly string[]): Promise<number> {
  const { rows } = await database.pool.query<{ found: number }>(
    'select count(*)::int as found from stripe.customers where account = $1 and id = any($2)',
    [account, ids],
  );
  return ids.length - (rows[0]?.found ?? 0);
}

describe('events that surface 20 to 40 s late', () => {
  it('are in the tables within one rescan interval, are counted as leaks, and leave a lag that covers the next ones', async () => {
    sync = await createSync({ seed: 4, visibility: { kind: 'none' } });
    const it = sync;
    await it.work();
    await it.start({
      backfill: { enabled: false },
      rescan: { everySeconds: RESCAN_SECONDS, windowSeconds: 300 },
      poll: { waitSeconds: 5 },
    });
    await eventually(async () => ((await it.status()).caughtUp ? null : 'not caught up'));
    const stop = steady(it);
    try {
      const first = await lateOnes(it, 12);
      const lastVisible = Date.now() + 40_000;
      await eventually(
        async () => ((await missing(it, first)) === 0 ? null : `${await missing(it, first)} are missing`),
        100,
      );
      const seconds = (Date.now() - lastVisible) / 1_000;
      // The poll's own wait of 5 s comes on top: a rescan begins when a fetch returns.
      expect(seconds).toBeLessThan(RESCAN_SECONDS + 8);
      const leaks = await countLeaks(it.database.pool, it.account);
      expect(leaks).toBeGreaterThan(0);
      await eventually(async () =>
        (await it.status()).leaks === leaks ? null : 'the leaks are not counted',
      );
      const { lagSeconds, lateness } = await it.status();
      expect(lagSeconds).toBeGreaterThan(40);
      console.log(
        `${leaks} of ${first.length} were leaks, all in the tables ${Math.max(0, seconds).toFixed(1)} s after the ` +
          `last one surfaced; the lag went from 5 s to ${lagSeconds} s (worst ${lateness.maxSeconds} s)`,
      );
      expect(it.logged.filter((line) => line.includes('surfaced behind the cursor'))).toHaveLength(leaks);

      // The cursor is still where the short lag had let it go. What comes from now on finds the lag widened.
      const second = await lateOnes(it, 12);
      await eventually(
        async () => ((await missing(it, second)) === 0 ? null : `${await missing(it, second)} are missing`),
        100,
      );
      await sleep((RESCAN_SECONDS + 8) * 1_000);
      expect(await countLeaks(it.database.pool, it.account)).toBe(leaks);
      expect((await it.status()).lateness.count).toBeGreaterThan(leaks);
    } finally {
      stop();
    }
  }, 300_000);
});
