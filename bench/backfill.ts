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
import { isRight, measureBackfill, type Report, type Settings } from './backfill-measure.js';
import { inWorld } from './backfill-world.js';

const PRESETS = {
  polite: { customers: 50_000, invoices: 20_000, latency: 100, limit: 25, traffic: 5 },
  fast: { customers: 20_000, invoices: 0, latency: 0, limit: 0, traffic: 0 },
} as const;

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
  const report = await inWorld(world, (built) => measureBackfill(built, settings, profiling));
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
  if (!isRight(report)) process.exitCode = 1;
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
