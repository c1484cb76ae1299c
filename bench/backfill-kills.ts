/**
 * A backfill whose worker is killed again and again, at random moments, while changes go on: do the tables end equal to
 * Stripe, and how much is listed twice.
 *
 *   npm run build && node dist/bench/backfill-kills.js [--customers 50000] [--invoices 20000] [--kills 10] [--latency 100]
 *     [--limit 25] [--traffic 5] [--seed 1] [--within 600] [--json]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startAccount } from '../src/cli/start-account.js';
import { createRandom } from '../src/sandbox/simulator/random.js';
import {
  backfillEnded,
  type Equality,
  equality,
  type ListedType,
  type Repeated,
  repeatedOf,
} from './backfill-outcome.js';
import { inWorld, type World } from './backfill-world.js';

interface Settings {
  readonly customers: number;
  readonly invoices: number;
  readonly kills: number;
  readonly latency: number;
  readonly limit: number;
  readonly traffic: number;
  readonly seed: number;
}

interface Report {
  readonly settings: Settings;
  /** When the worker was killed: pages that had been listed, of all types. */
  readonly killedAtPages: readonly number[];
  readonly pages: number;
  readonly repeated: Readonly<Record<string, Repeated>>;
  readonly repeatedShare: number;
  readonly listed: readonly ListedType[];
  readonly tables: Equality;
}

const ACCOUNT = 'bench';
const PATHS = { customer: '/v1/customers', invoice: '/v1/invoices' } as const;
const MOST_REPEATED = 0.1;
const say = (line: string) => process.stderr.write(`${line}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      customers: { type: 'string', default: '50000' },
      invoices: { type: 'string', default: '20000' },
      kills: { type: 'string', default: '10' },
      latency: { type: 'string', default: '100' },
      limit: { type: 'string', default: '25' },
      traffic: { type: 'string', default: '5' },
      seed: { type: 'string', default: '1' },
      within: { type: 'string', default: '600' },
      json: { type: 'boolean', default: false },
    },
  });
  const settings: Settings = {
    customers: Number(values.customers),
    invoices: Number(values.invoices),
    kills: Number(values.kills),
    latency: Number(values.latency),
    limit: Number(values.limit),
    traffic: Number(values.traffic),
    seed: Number(values.seed),
  };
  const world = {
    seed: settings.seed,
    objects: { customer: settings.customers, invoice: settings.invoices },
    latencyMs: settings.latency,
    perEndpoint: settings.limit === 0 ? null : settings.limit,
    withinMs: Number(values.within) * 1000,
    say,
  };
  const report = await inWorld(world, (built) => killAgainAndAgain(built, settings));
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
  if (!isRight(report)) process.exitCode = 1;
}

async function killAgainAndAgain(world: World, settings: Settings): Promise<Report> {
  const { simulator, client, taskQueue, signal } = world;
  const types = [
    ...(settings.customers > 0 ? (['customer'] as const) : []),
    ...(settings.invoices > 0 ? (['invoice'] as const) : []),
  ];
  const random = createRandom(settings.seed, 'kills');
  const expected = Math.ceil(settings.customers / 100) + Math.ceil(settings.invoices / 100);
  const pagesSoFar = async () => {
    const { pages } = await simulator.stats();
    return Object.values(PATHS).reduce((sum, path) => sum + (pages[path]?.pages ?? 0), 0);
  };

  let worker = await world.startWorker();
  if (settings.traffic > 0) await simulator.control({ traffic: { changesPerSecond: settings.traffic } });
  await startAccount(client, taskQueue, ACCOUNT, { types });
  // Spread over the whole of it, a kill somewhere in each part.
  const moments = Array.from(
    { length: settings.kills },
    (_, kill) => ((kill + random.next()) / settings.kills) * expected * 0.98,
  );
  const killedAtPages: number[] = [];
  for (const moment of moments) {
    await reached(moment);
    // A page takes a while on each of its stages, and the kill may fall into any of them.
    await sleep(random.next() * (settings.latency + 50), undefined, { signal });
    await worker.kill();
    killedAtPages.push(await pagesSoFar());
    say(`Kill ${killedAtPages.length} after ${killedAtPages.at(-1)} of ${expected} pages.`);
    worker = await world.startWorker();
  }
  const listed = await backfillEnded(world, ACCOUNT);
  const { pages } = await simulator.stats();
  say('The backfill is over.');
  await simulator.control({ traffic: null });
  const tables = await equality(world, ACCOUNT, types);
  await worker.stop();
  const repeated = Object.fromEntries(types.map((object) => [object, repeatedOf(pages[PATHS[object]])]));
  const served = types.map((object) => pages[PATHS[object]]);
  const different = served.reduce((sum, list) => sum + (list?.differentPages ?? 0), 0);
  const again = Object.values(repeated).reduce((sum, list) => sum + list.pages, 0);
  return {
    settings,
    killedAtPages,
    pages: served.reduce((sum, list) => sum + (list?.pages ?? 0), 0),
    repeated,
    repeatedShare: again / different,
    listed,
    tables,
  };

  async function reached(moment: number): Promise<void> {
    while ((await pagesSoFar()) < moment) await sleep(20, undefined, { signal });
  }
}

function isRight({ settings, killedAtPages, repeatedShare, tables }: Report): boolean {
  return (
    killedAtPages.length === settings.kills &&
    repeatedShare < MOST_REPEATED &&
    tables.differences.length === 0 &&
    tables.unsettledEvents === 0
  );
}

function textOf(report: Report): string {
  const { settings, repeated, tables } = report;
  const share = (part: number) => `${(part * 100).toFixed(1)} %`;
  const lines = [
    `killed     ${report.killedAtPages.length} times, after ${report.killedAtPages.join(', ')} pages (seed ${settings.seed})`,
    `pages      ${report.pages} in all; ${share(report.repeatedShare)} were asked for twice`,
    ...Object.entries(repeated).map(
      ([object, again]) =>
        `           ${object}: ${again.pages} pages asked for twice (${share(again.pagesShare)}), ` +
        `${again.objects} objects (${share(again.objectsShare)})`,
    ),
    `tables     ${tables.differences.length} differ, ${tables.unsettledEvents} events without outcome`,
    ...tables.differences
      .slice(0, 10)
      .map(({ object, id, kind, keys }) => `  ${object} ${id}: ${kind} ${keys ?? ''}`),
    isRight(report) ? 'It ended equal.' : 'It did NOT end as it has to.',
  ];
  return `${lines.join('\n')}\n`;
}

await main();
