/**
 * How fast a first backfill is on this machine, and what it asks of Stripe. Simulator, PostgreSQL, Temporal dev server
 * and worker run here, each in a process of its own.
 *
 *   npm run build && node dist/bench/backfill.js [--preset polite|fast] [--customers 50000] [--invoices 20000]
 *     [--latency 100] [--limit 25] [--traffic 5] [--within 600] [--profile DIR] [--json]
 *
 * Latency in milliseconds a request, limit in requests a second and endpoint, traffic in changes a second; 0 for none.
 * `profile` keeps a CPU profile of the worker. `polite` is what Stripe is like, `fast` what is left when nothing but this machine limits.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startAccount } from '../src/cli/start-account.js';
import { type Baseline, rawUpserts } from './backfill-baseline.js';
import { type ProcessorTime, processorTime, spentSince } from './backfill-cpu.js';
import { backfillEnded, type Equality, equality, type Repeated, repeatedOf } from './backfill-outcome.js';
import { inWorld, type World } from './backfill-world.js';

const PRESETS = {
  polite: { customers: 50_000, invoices: 20_000, latency: 100, limit: 25, traffic: 5 },
  fast: { customers: 20_000, invoices: 0, latency: 0, limit: 0, traffic: 0 },
} as const;

interface Settings {
  readonly customers: number;
  readonly invoices: number;
  readonly latency: number;
  readonly limit: number;
  readonly traffic: number;
}

interface TypeReport {
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

interface Report {
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

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      preset: { type: 'string', default: 'polite' },
      customers: { type: 'string' },
      invoices: { type: 'string' },
      latency: { type: 'string' },
      limit: { type: 'string' },
      traffic: { type: 'string' },
      within: { type: 'string', default: '600' },
      profile: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const preset = PRESETS[values.preset as keyof typeof PRESETS];
  if (preset === undefined) throw new Error(`There is no preset ${values.preset}: polite or fast.`);
  const settings: Settings = {
    customers: Number(values.customers ?? preset.customers),
    invoices: Number(values.invoices ?? preset.invoices),
    latency: Number(values.latency ?? preset.latency),
    limit: Number(values.limit ?? preset.limit),
    traffic: Number(values.traffic ?? preset.traffic),
  };
  const world = {
    seed: 1,
    objects: { customer: settings.customers, invoice: settings.invoices },
    latencyMs: settings.latency,
    perEndpoint: settings.limit === 0 ? null : settings.limit,
    withinMs: Number(values.within) * 1000,
    say,
  };
  const profiling =
    values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(values.profile)}`];
  const report = await inWorld(world, (built) => measure(built, settings, profiling));
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
  if (!isRight(report)) process.exitCode = 1;
}

async function measure(world: World, settings: Settings, profiling: readonly string[]): Promise<Report> {
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

function isRight({ tables }: Report): boolean {
  return tables.differences.length === 0 && tables.unsettledEvents === 0;
}

function textOf(report: Report): string {
  const { settings, requests, refused, tables } = report;
  const whole = (count: number) => Math.round(count).toLocaleString('en');
  const share = (part: number) => `${(part * 100).toFixed(1)} %`;
  const lines = [
    `${whole(settings.customers)} customers and ${whole(settings.invoices)} invoices, ${settings.latency} ms a request, ` +
      `${settings.limit === 0 ? 'no limit' : `${settings.limit} requests a second and endpoint`}, ` +
      `${settings.traffic} changes a second`,
    `all        ${report.seconds.toFixed(2)} s, ${whole(report.perSecond)} objects a second`,
  ];
  for (const type of report.types) {
    const ceiling = type.shareOfCeiling === null ? '' : `, ${share(type.shareOfCeiling)} of the ceiling`;
    lines.push(
      `${type.object.padEnd(9)}  ${whole(type.objects)} on ${type.pages} pages: ${whole(type.perSecond)} a second${ceiling}; ` +
        `until committed ${whole(type.perSecondStored)} a second`,
      `           raw upserts ${whole(type.raw.perSecond)} rows a second: ${share(type.shareOfRaw)} of it`,
      `           listed twice: ${type.repeated.pages} pages (${share(type.repeated.pagesShare)}), ` +
        `${type.repeated.objects} objects (${share(type.repeated.objectsShare)})`,
    );
  }
  const kinds = Object.entries(requests).map(([kind, count]) => `${count} ${kind}`);
  const processor = Object.entries(report.processor)
    .filter(([, seconds]) => seconds >= 0.05)
    .map(([name, seconds]) => `${name} ${seconds.toFixed(1)} s`);
  lines.push(
    `requests   ${kinds.join(', ')}; ${refused.count} answered 429 (${share(refused.share)})`,
    `processor  ${processor.join(', ')}`,
    `worker     ${report.workerPeakMiB === null ? 'unknown' : `${report.workerPeakMiB.toFixed(0)} MiB`} at most`,
    `tables     ${tables.differences.length} differ after ${report.changesMeanwhile} changes meanwhile ` +
      `(${whole(tables.equal)} rows and ${tables.tombstones} tombstones equal), ${tables.unsettledEvents} events without outcome`,
    ...tables.differences
      .slice(0, 10)
      .map(({ object, id, kind, keys }) => `  ${object} ${id}: ${kind} ${keys ?? ''}`),
    isRight(report) ? "tables equal Stripe's truth" : "tables DIFFER from Stripe's truth",
  );
  return `${lines.join('\n')}\n`;
}

await main();
