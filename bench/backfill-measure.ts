/** One backfill in a world of its own: how fast, what it asked, what it cost, and whether the tables equal the truth. */
import { startAccount } from '../src/cli/start-account.js';
import { type Baseline, rawUpserts } from './backfill-baseline.js';
import { type ProcessorTime, processorTime, spentSince } from './backfill-cpu.js';
import { backfillEnded, type Equality, equality, type Repeated, repeatedOf } from './backfill-outcome.js';
import type { World } from './backfill-world.js';

export interface Settings {
  readonly customers: number;
  readonly invoices: number;
  readonly latency: number;
  readonly limit: number;
  readonly traffic: number;
}

export interface TypeReport {
  readonly object: string;
  readonly objects: number;
  readonly pages: number;
  /** From the first page that was read to the last; and from the first until the listing was over and committed. */
  readonly perSecond: number;
  readonly perSecondStored: number;
  /** Of what the limit lets through; null without one. */
  readonly shareOfCeiling: number | null;
  readonly repeated: Repeated;
  readonly raw: Baseline;
  readonly shareOfRaw: number;
}

export interface Report {
  readonly settings: Settings;
  readonly seconds: number;
  readonly perSecond: number;
  readonly types: readonly TypeReport[];
  readonly requests: Readonly<Record<string, number>>;
  readonly refused: { readonly count: number; readonly share: number; readonly reasons: object };
  readonly changesMeanwhile: number;
  readonly workerPeakMiB: number | null;
  /** Seconds of processor time from the account's start to the end of its backfill. */
  readonly processor: ProcessorTime;
  readonly tables: Equality;
}

const LISTS = {
  customer: { table: 'customers', path: '/v1/customers' },
  invoice: { table: 'invoices', path: '/v1/invoices' },
} as const;

const ACCOUNT = 'bench';
const say = (line: string) => process.stderr.write(`${line}\n`);

export async function measureBackfill(
  world: World,
  settings: Settings,
  profiling: readonly string[] = [],
): Promise<Report> {
  const { simulator, pool, client, taskQueue } = world;
  const types = [
    ...(settings.customers > 0 ? (['customer'] as const) : []),
    ...(settings.invoices > 0 ? (['invoice'] as const) : []),
  ];
  const worker = await world.startWorker(profiling);
  if (settings.traffic > 0) await simulator.control({ traffic: { changesPerSecond: settings.traffic } });
  const before = await simulator.stats();
  const began = Date.now() / 1000;
  const names = new Map([
    [worker.pid, 'worker'],
    [simulator.pid, 'simulator'],
  ]);
  const processorBefore = processorTime(names);
  await startAccount(client, taskQueue, ACCOUNT, { types });
  say(`The account runs; listing ${types.join(' and ')}.`);
  const listed = await backfillEnded(world, ACCOUNT);
  const stats = await simulator.stats();
  const processor = spentSince(processorBefore, processorTime(names));
  say('The backfill is over.');
  await simulator.control({ traffic: null });
  const tables = await equality(world, ACCOUNT, types);
  const workerPeakMiB = worker.peakMemory();
  await worker.stop();

  const reports: TypeReport[] = [];
  for (const object of types) {
    const listing = listed.find((type) => type.object === object);
    const served = stats.pages[LISTS[object].path];
    if (listing === undefined || served === undefined) throw new Error(`${object} was not listed.`);
    const raw = await rawUpserts(pool, simulator, LISTS[object]);
    const perSecond = served.differentObjects / (served.lastAt - served.firstAt);
    const perSecondStored = served.differentObjects / (listing.endedAt - served.firstAt);
    reports.push({
      object,
      objects: served.differentObjects,
      pages: served.pages,
      perSecond,
      perSecondStored,
      shareOfCeiling: settings.limit === 0 ? null : perSecond / (settings.limit * 100),
      repeated: repeatedOf(served),
      raw,
      shareOfRaw: perSecondStored / raw.perSecond,
    });
  }
  const firstAt = Math.min(...types.map((object) => stats.pages[LISTS[object].path]?.firstAt ?? began));
  const seconds = Math.max(...listed.map((type) => type.endedAt)) - firstAt;
  const all = Object.values(stats.requests).reduce((sum, count) => sum + count, 0);
  const refused = stats.answers['429'] ?? 0;
  return {
    settings,
    seconds,
    perSecond: reports.reduce((sum, { objects }) => sum + objects, 0) / seconds,
    types: reports,
    requests: stats.requests,
    refused: { count: refused, share: refused / all, reasons: stats.rateLimited },
    changesMeanwhile: stats.changes - before.changes,
    workerPeakMiB,
    processor,
    tables,
  };
}

export function isRight({ tables }: Report): boolean {
  return tables.differences.length === 0 && tables.unsettledEvents === 0;
}
