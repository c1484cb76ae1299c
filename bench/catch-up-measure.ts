/** One catch-up in a world of its own: how fast, what it asked, what it cost, and whether the tables equal the truth. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Entities } from '../src/domain/backlog.js';
import type { AccountStatus } from '../workflows/messages.js';
import { DEFAULT_SETTINGS } from '../workflows/settings.js';
import type { Baseline } from './backfill-baseline.js';
import { type ProcessorTime, processorTime, spentSince } from './backfill-cpu.js';
import { type Equality, equality } from './backfill-outcome.js';
import { inWorld, until, type World, type WorldOptions } from './backfill-world.js';
import { rawCatchUp } from './catch-up-baseline.js';

export interface Settings {
  readonly events: number;
  readonly mix: 'customers' | 'traffic';
  readonly latency: number;
  readonly limit: number;
  readonly entities: Entities;
}

export interface Report {
  readonly settings: Settings;
  readonly events: number;
  /** From the first request of the worker to the last event's outcome. */
  readonly seconds: number;
  readonly perSecond: number;
  /** Of what the limit lets through; null without one. */
  readonly shareOfCeiling: number | null;
  readonly requests: number;
  readonly refused: number;
  readonly outcomes: Readonly<Record<string, number>>;
  /** Changes that went through an entity of their own. */
  readonly byEntities: number;
  /** Once before and once afterwards, since the machine's own speed drifts. */
  readonly raw: Baseline;
  readonly shareOfRaw: number;
  readonly processor: ProcessorTime;
  readonly workerPeakMiB: number | null;
  readonly tables: Equality;
}

const ACCOUNT = 'bench';
const CUSTOMERS = 2_000;

/** The account runs, its worker ends, events happen, and a worker starts again. */
export function measureCatchUp(
  settings: Settings,
  { withinMs, say }: Pick<WorldOptions, 'withinMs' | 'say'>,
  profiling: readonly string[] = [],
): Promise<Report> {
  const world = {
    seed: 1,
    objects: settings.mix === 'customers' ? { customer: CUSTOMERS } : {},
    latencyMs: settings.latency,
    perEndpoint: settings.limit === 0 ? null : settings.limit,
    withinMs,
    say,
  };
  return inWorld(world, (built) => measure(built, settings, say, profiling));
}

export function isRight({ tables }: Report): boolean {
  return tables.differences.length === 0 && tables.unsettledEvents === 0;
}

async function measure(
  world: World,
  how: Settings,
  say: (line: string) => void,
  profiling: readonly string[],
): Promise<Report> {
  const { simulator, pool, client, taskQueue, signal } = world;
  await simulator.control({ faults: {}, limits: {} });
  // An event before all others, so that there is a cursor.
  await simulator.control({ create: { object: 'customer' } });
  await simulator.control({ advanceClock: 60 });
  const first = await world.startWorker();
  await client.workflow.start('account', {
    workflowId: ACCOUNT,
    taskQueue,
    args: [
      {
        account: ACCOUNT,
        settings: {
          ...DEFAULT_SETTINGS,
          entities: how.entities,
          // So that the first cursor is there soon.
          poll: { ...DEFAULT_SETTINGS.poll, slowestSeconds: 1, waitSeconds: 5 },
          backfill: { ...DEFAULT_SETTINGS.backfill, types: how.mix === 'customers' ? ['customer'] : null },
        },
      },
    ],
  });
  const openedAt = await until(signal, 200, async () => {
    const status = await client.workflow
      .getHandle(ACCOUNT)
      .query<AccountStatus>('status')
      .catch(() => null);
    return status?.backfill?.state === 'done' && status.caughtUp ? (status.cursor?.created ?? null) : null;
  });
  await first.kill();
  say('The account is open; its worker has ended.');
  const known = (await simulator.lines('events')).length;
  await makeBacklog(world, how);
  const events = (await simulator.lines('events')).length - known;
  say(`${events} events wait.`);
  const rawBefore = await rawCatchUp(pool, simulator);
  await simulator.control({
    faults: how.latency === 0 ? {} : { latency: { fixedMs: how.latency } },
    limits: how.limit === 0 ? {} : { perEndpointPerSecond: how.limit },
  });
  const before = await simulator.requestStats();
  const worker = await world.startWorker(profiling);
  const names = new Map([
    [worker.pid, 'worker'],
    [simulator.pid, 'simulator'],
  ]);
  const processorBefore = processorTime(names);
  const beganAt = await until(signal, 5, async () => {
    const { requests } = await simulator.requestStats();
    return countOf(requests) > countOf(before.requests) ? Date.now() / 1000 : null;
  });
  // Seldom, because it is no small part of what PostgreSQL has to do meanwhile.
  await until(signal, 300, async () => {
    const { rows } = await pool.query<{ count: number; open: number }>(
      `select count(*)::int as count, count(*) filter (where outcome is null)::int as open
       from stripe_sync.events where account = $1`,
      [ACCOUNT],
    );
    return Number(rows[0]?.count) >= events && Number(rows[0]?.open) === 0 ? true : null;
  });
  const processor = spentSince(processorBefore, processorTime(names));
  const stats = await simulator.requestStats();
  const { rows } = await pool.query<{ last: number; entities: number }>(
    `select extract(epoch from max(applied_at))::float8 as last,
       count(*) filter (where claimed_by is not null)::int as entities
     from stripe_sync.events where account = $1 and applied_at > to_timestamp($2)`,
    [ACCOUNT, beganAt],
  );
  const outcomes = await outcomesOf(world);
  const seconds = Number(rows[0]?.last) - beganAt;
  say('The account has caught up.');
  await sleep(1_000, undefined, { signal });
  const tables = await equality(world, ACCOUNT, how.mix === 'customers' ? ['customer'] : [], openedAt);
  const workerPeakMiB = worker.peakMemory();
  await worker.stop();
  const raw = both(rawBefore, await rawCatchUp(pool, simulator));
  const perSecond = events / seconds;
  return {
    settings: how,
    events,
    seconds,
    perSecond,
    shareOfCeiling: how.limit === 0 ? null : perSecond / (how.limit * 100),
    requests: countOf(stats.requests) - countOf(before.requests),
    refused: (stats.answers['429'] ?? 0) - (before.answers['429'] ?? 0),
    outcomes,
    byEntities: Number(rows[0]?.entities),
    raw,
    shareOfRaw: perSecond / raw.perSecond,
    processor,
    workerPeakMiB,
    tables,
  };
}

function both(a: Baseline, b: Baseline): Baseline {
  const rows = a.rows + b.rows;
  const seconds = a.seconds + b.seconds;
  return { rows, seconds, perSecond: rows / seconds };
}

function countOf(requests: Readonly<Record<string, number>>): number {
  return Object.values(requests).reduce((sum, count) => sum + count, 0);
}

async function makeBacklog({ simulator }: World, { events, mix }: Settings): Promise<void> {
  if (mix === 'traffic') {
    for (let made = 0; made < events / 2; made += 3) {
      await simulator.control({ advanceClock: 10, makeChanges: 3 });
    }
  } else {
    const truth = await simulator.lines<{ object: string; id: string }>('truth');
    const ids = truth.filter(({ object }) => object === 'customer').map(({ id }) => id);
    for (let made = 0; made < events; made += 1) {
      const update = {
        object: 'customer',
        id: ids[made % ids.length] ?? '',
        fields: { name: `Name ${made}` },
      };
      await simulator.control(made % 10 === 0 ? { advanceClock: 5, update } : { update });
    }
  }
  await simulator.control({ advanceClock: 600 });
}

async function outcomesOf({ pool }: World): Promise<Record<string, number>> {
  const { rows } = await pool.query<{ outcome: string | null; count: number }>(
    'select outcome, count(*)::int as count from stripe_sync.events where account = $1 group by 1 order by 1',
    [ACCOUNT],
  );
  return Object.fromEntries(rows.map(({ outcome, count }) => [outcome ?? 'none', Number(count)]));
}
