/**
 * Many accounts on one worker: what they cost while nothing happens, and whether one whose key was revoked and one whose
 * Stripe never answers slow down the others.
 *
 *   npm run build && node dist/bench/accounts.js [--accounts 200] [--idle 120] [--changes 10] [--poll 5] [--json]
 *
 * Idle for so many seconds; then so many changes, seen by polls at a fixed rhythm of so many seconds.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { AccountInput } from '../workflows/account.js';
import { type AccountSettings, DEFAULT_SETTINGS } from '../workflows/settings.js';
import { processorTime, spentSince } from './backfill-cpu.js';
import { inWorld, until, type World } from './backfill-world.js';
import { startTroublingProxy } from './troubling-proxy.js';

interface Settings {
  readonly accounts: number;
  readonly idle: number;
  readonly changes: number;
  readonly poll: number;
}

interface Report {
  readonly settings: Settings;
  /** Of one core, while nothing happened. */
  readonly idleShare: Readonly<Record<string, number>>;
  readonly idleRequestsPerMinute: number;
  readonly workerMiB: number | null;
  /** Seconds from a change to its row, over all accounts; and over those that work, while two do not. */
  readonly untroubled: Delays;
  readonly delays: Delays;
  readonly troubled: Readonly<Record<string, string | null>>;
}

interface Delays {
  readonly count: number;
  readonly median: number;
  readonly worst: number;
}

const REVOKED = 'revoked';
const HANGING = 'hanging';
const KEYS = { revoked: 'sk_test_revoked', hanging: 'sk_test_hanging' } as const;
const DAY = 86_400;
const say = (line: string) => process.stderr.write(`${line}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      accounts: { type: 'string', default: '200' },
      idle: { type: 'string', default: '120' },
      changes: { type: 'string', default: '10' },
      poll: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
    },
  });
  const settings: Settings = {
    accounts: Number(values.accounts),
    idle: Number(values.idle),
    changes: Number(values.changes),
    poll: Number(values.poll),
  };
  const world = {
    seed: 1,
    objects: {},
    latencyMs: 0,
    perEndpoint: null,
    withinMs: (settings.idle + 300) * 1000,
    say,
  };
  const report = await inWorld(world, (built) => measure(built, settings));
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
}

async function measure(world: World, settings: Settings): Promise<Report> {
  const { simulator } = world;
  const names = Array.from({ length: settings.accounts - 2 }, (_, index) => `account-${index + 1}`);
  const proxy = await startTroublingProxy(simulator.url, { apiKey: simulator.apiKey, ...KEYS });
  try {
    const worker = await world.startWorker([], {
      STRIPE_API_BASE: proxy.url,
      STRIPE_API_KEY_REVOKED: KEYS.revoked,
      STRIPE_API_KEY_HANGING: KEYS.hanging,
    });
    // What happened last is a day ago, so the accounts are quiet from the beginning.
    await simulator.control({ create: { object: 'customer' } });
    await simulator.control({ advanceClock: DAY });
    await startAll(world, names, DEFAULT_SETTINGS.poll);
    await until(world.signal, 500, async () => ((await opened(world)) >= names.length + 2 ? true : null));
    say(`${names.length + 2} accounts are open.`);
    await sleep(10_000, undefined, { signal: world.signal });

    const label = new Map([
      [worker.pid, 'worker'],
      [simulator.pid, 'simulator'],
    ]);
    const requests = async () =>
      Object.values((await simulator.requestStats()).requests).reduce((a, b) => a + b, 0);
    const asked = await requests();
    const before = processorTime(label);
    await sleep(settings.idle * 1000, undefined, { signal: world.signal });
    const spent = spentSince(before, processorTime(label));
    const idleRequestsPerMinute = (((await requests()) - asked) * 60) / settings.idle;
    const workerMiB = worker.peakMemory();
    say('Idle is measured.');

    await stopAll(world, [...names, REVOKED, HANGING]);
    await startAll(world, names, {
      ...DEFAULT_SETTINGS.poll,
      everySeconds: settings.poll,
      slowestSeconds: settings.poll,
    });
    await sleep(settings.poll * 2000, undefined, { signal: world.signal });
    const untroubled = await changesSeen(world, names.length + 2, settings, 'before');
    proxy.makeTrouble();
    say('One key is revoked, and one is never answered, from now on.');
    await sleep(settings.poll * 2000, undefined, { signal: world.signal });
    const delays = await changesSeen(world, names.length, settings, 'after');
    return {
      settings,
      idleShare: Object.fromEntries(
        Object.entries(spent).map(([name, seconds]) => [name, seconds / settings.idle]),
      ),
      idleRequestsPerMinute,
      workerMiB,
      untroubled,
      delays,
      troubled: {
        [REVOKED]: await troubleOf(world, REVOKED),
        [HANGING]: await troubleOf(world, HANGING),
      },
    };
  } finally {
    await proxy.close();
  }
}

/** Without the check that a start makes: it is not what is measured. */
async function startAll(
  { client, taskQueue }: World,
  names: readonly string[],
  poll: AccountSettings['poll'],
): Promise<void> {
  const settings = { ...DEFAULT_SETTINGS, poll, backfill: { ...DEFAULT_SETTINGS.backfill, enabled: false } };
  for (const account of [...names, REVOKED, HANGING]) {
    const input: AccountInput = { account, settings };
    await client.workflow.start('account', {
      workflowId: account,
      taskQueue,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
    });
  }
}

async function stopAll({ client, signal }: World, names: readonly string[]): Promise<void> {
  for (const account of names) await client.workflow.getHandle(account).signal('stop');
  for (const account of names)
    await until(signal, 100, async () =>
      (await client.workflow.getHandle(account).describe()).status.name === 'RUNNING' ? null : true,
    );
}

async function opened({ pool }: World): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::integer as count from stripe_sync.accounts where looked_at is not null`,
  );
  return rows[0]?.count ?? 0;
}

/** One change after the other, each seen by every account: how long its row took, by PostgreSQL's clock. */
async function changesSeen(
  { simulator, pool, signal }: World,
  accounts: number,
  { changes, poll }: Settings,
  label: string,
): Promise<Delays> {
  const delays: number[] = [];
  for (let change = 0; change < changes; change += 1) {
    const { rows: clock } = await pool.query<{ now: number }>(
      'select extract(epoch from clock_timestamp())::float8 as now',
    );
    const began = clock[0]?.now ?? 0;
    const email = `${label}-${change}@bench.example`;
    await simulator.control({ create: { object: 'customer', fields: { email } } });
    const seen = await until(signal, 250, async () => {
      const { rows } = await pool.query<{ at: number }>(
        `select extract(epoch from e.applied_at)::float8 as at
         from stripe.customers c join stripe_sync.events e on e.account = c.account and e.id = c.source
         where c.email = $1 and e.applied_at is not null`,
        [email],
      );
      const isLate = Date.now() / 1000 - began > poll * 6 + 30;
      return rows.length >= accounts || isLate ? rows.map(({ at }) => at - began) : null;
    });
    if (seen.length < accounts) say(`Only ${seen.length} of ${accounts} accounts saw change ${change + 1}.`);
    delays.push(...seen);
  }
  delays.sort((a, b) => a - b);
  return {
    count: delays.length,
    median: delays[Math.floor(delays.length / 2)] ?? Number.NaN,
    worst: delays.at(-1) ?? Number.NaN,
  };
}

async function troubleOf({ client }: World, account: string): Promise<string | null> {
  const status = await client.workflow.getHandle(account).query<{ trouble: string | null }>('status');
  return status.trouble;
}

function textOf({
  settings,
  idleShare,
  idleRequestsPerMinute,
  workerMiB,
  untroubled,
  delays,
  troubled,
}: Report): string {
  const share = (of: number) => `${(of * 100).toFixed(1)} %`;
  return `${[
    `${settings.accounts} accounts, idle for ${settings.idle} s`,
    `processor  ${Object.entries(idleShare)
      .filter(([, of]) => of >= 0.001)
      .map(([name, of]) => `${name} ${share(of)}`)
      .join(', ')} of a core`,
    `requests   ${idleRequestsPerMinute.toFixed(1)} a minute in all`,
    `worker     ${workerMiB === null ? 'unknown' : `${workerMiB.toFixed(0)} MiB`} at most`,
    `changes    ${delaysText(untroubled)}, by polls every ${settings.poll} s`,
    `troubled   ${delaysText(delays)}, while one key is revoked and one is never answered`,
    ...Object.entries(troubled).map(
      ([name, trouble]) => `${name.padEnd(9)}  ${trouble ?? 'no trouble is known'}`,
    ),
  ].join('\n')}\n`;
}

function delaysText({ count, median, worst }: Delays): string {
  return `${count} seen: median ${median.toFixed(2)} s, worst ${worst.toFixed(2)} s`;
}

await main();
