/** An account that takes live changes only, opened without the check and the schedules of a start. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AccountInput } from '../workflows/account.js';
import { type AccountSettings, DEFAULT_SETTINGS } from '../workflows/settings.js';
import { until, type World } from './backfill-world.js';

export async function openAccount(
  { client, taskQueue, pool, signal }: World,
  account: string,
  settings: Partial<AccountSettings> = {},
): Promise<void> {
  const backfill = { ...DEFAULT_SETTINGS.backfill, enabled: false };
  const input: AccountInput = { account, settings: { ...DEFAULT_SETTINGS, backfill, ...settings } };
  await client.workflow.start('account', { workflowId: account, taskQueue, args: [input] });
  await until(signal, 100, async () => {
    const { rowCount } = await pool.query(
      'select from stripe_sync.accounts where account = $1 and looked_at is not null',
      [account],
    );
    return rowCount === 0 ? null : true;
  });
}

/** Ends it at once, with what it was doing: it was measured. */
export async function endAccount({ client }: World, account: string): Promise<void> {
  await client.workflow.getHandle(account).terminate('measured');
}

export interface LedgerCounts {
  readonly pending: number;
  readonly settled: number;
}

export async function ledgerCounts({ pool }: World, account: string): Promise<LedgerCounts> {
  const { rows } = await pool.query<LedgerCounts>(
    `select count(*) filter (where outcome is null)::integer as pending,
       count(*) filter (where outcome is not null)::integer as settled
     from stripe_sync.events where account = $1`,
    [account],
  );
  return rows[0] ?? { pending: 0, settled: 0 };
}

/** Changes at an even rate, each a new customer, for so long. */
export async function changesAt(world: World, perSecond: number, seconds: number): Promise<number> {
  const { simulator, signal } = world;
  const began = performance.now();
  let made = 0;
  for (let elapsed = 0; elapsed < seconds; elapsed = (performance.now() - began) / 1000) {
    for (; made < Math.min(elapsed, seconds) * perSecond; made += 1) {
      await simulator.control({ create: { object: 'customer', fields: { email: `${made}@bench.example` } } });
    }
    await sleepUntil(began + (made / perSecond) * 1000, signal);
  }
  return made;
}

async function sleepUntil(at: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(1, at - performance.now()), undefined, { signal });
}
