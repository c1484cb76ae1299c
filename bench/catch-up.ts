/**
 * How fast an account catches up with a backlog of events, beside what this machine can do at all, and what it costs.
 *
 *   npm run build && node dist/bench/catch-up.js [--events 20000] [--mix customers|traffic] [--latency 0] [--limit 0]
 *     [--entities auto] [--within 600] [--profile DIR] [--json]
 *
 * Latency in milliseconds a request, limit in requests a second and endpoint; 0 for none. `customers` are updates of
 * 2,000 customers; `traffic` is what a shop's payments, invoices and subscriptions make.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isRight, measureCatchUp, type Report, type Settings } from './catch-up-measure.js';

const say = (line: string) => process.stderr.write(`${line}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '20000' },
      mix: { type: 'string', default: 'customers' },
      latency: { type: 'string', default: '0' },
      limit: { type: 'string', default: '0' },
      entities: { type: 'string', default: 'auto' },
      within: { type: 'string', default: '600' },
      profile: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const settings: Settings = {
    events: Number(values.events),
    mix: values.mix as Settings['mix'],
    latency: Number(values.latency),
    limit: Number(values.limit),
    entities: values.entities as Settings['entities'],
  };
  const profiling =
    values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(values.profile)}`];
  const report = await measureCatchUp(settings, { withinMs: Number(values.within) * 1000, say }, profiling);
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
  if (!isRight(report)) process.exitCode = 1;
}

function textOf(report: Report): string {
  const { settings, outcomes, raw, tables } = report;
  const whole = (count: number) => Math.round(count).toLocaleString('en');
  const share = (part: number) => `${(part * 100).toFixed(1)} %`;
  const ceiling = report.shareOfCeiling === null ? '' : `, ${share(report.shareOfCeiling)} of the ceiling`;
  const processor = Object.entries(report.processor)
    .filter(([, seconds]) => seconds >= 0.05)
    .map(([name, seconds]) => `${name} ${seconds.toFixed(1)} s`);
  const memory = report.workerPeakMiB === null ? 'unknown' : `${report.workerPeakMiB.toFixed(0)} MiB`;
  return `${[
    `${whole(report.events)} events (${settings.mix}), ${settings.latency} ms a request, entities ${settings.entities}`,
    `caught up  ${report.seconds.toFixed(2)} s, ${whole(report.perSecond)} events a second${ceiling}`,
    `raw        ${whole(raw.perSecond)} events a second: ${share(report.shareOfRaw)} of it`,
    `outcomes   ${Object.entries(outcomes)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')}; ${report.byEntities} through entities`,
    `requests   ${report.requests}; ${report.refused} answered 429`,
    `processor  ${processor.join(', ')}`,
    `worker     ${memory} at most`,
    `tables     ${tables.differences.length} differ (${whole(tables.equal)} rows equal), ` +
      `${tables.unsettledEvents} events without outcome`,
  ].join('\n')}\n`;
}

await main();
