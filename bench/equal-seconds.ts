/**
 * How often several changes of one object in one second are put in order without a request to Stripe, and by what.
 * The simulator's traffic, its events as `/v1/events` lists them, handed on poll by poll as they surface, and the
 * planner of the apply path; no PostgreSQL and no Temporal, so that thousands of seconds take one.
 *
 *   npm run build && node dist/bench/equal-seconds.js [--seconds 600] [--rate 10] [--poll 1] [--seed 1]
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { kindOf, traitsOf } from '../activities/entity-traits.js';
import { endOfSecond, type KnownChange } from '../src/domain/chain.js';
import { type CurrentRow, type PendingChange, planChanges, planRead } from '../src/domain/ordering.js';
import { createSimulator, type Simulator, type VisibilityProfile } from '../src/sandbox/simulator/index.js';
import { storedObjects } from '../src/stripe/stored-objects.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    rate: { type: 'string', default: '10' },
    poll: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
  },
});

interface TrafficEvent {
  readonly pending: PendingChange;
  readonly known: KnownChange;
  readonly changedAt: number;
  readonly visibleAt: number;
  readonly sequence: number;
}

interface Entity {
  readonly object: string;
  /** In the true order. */
  readonly events: TrafficEvent[];
}

const WAYS = [
  'same state',
  'created first',
  'deleted last',
  'previous_attributes',
  'a read',
  'asked',
] as const;
type Way = (typeof WAYS)[number];

async function main(): Promise<void> {
  const profiles: Record<string, VisibilityProfile | undefined> = {
    'at once': { kind: 'none' },
    'late, as by default': undefined,
  };
  const report = [];
  for (const [surfacing, visibility] of Object.entries(profiles)) {
    const entities = await traffic(visibility);
    const without = tally(entities, false);
    const together = tally(entities, true);
    report.push({ surfacing, ...together, requestsWithoutChains: without.requests });
  }
  process.stderr.write(`${tableOf(report)}\n`);
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}

/** Makes the traffic on a clock of its own, and reads the events over HTTP. */
async function traffic(visibility: VisibilityProfile | undefined): Promise<Entity[]> {
  let at = 1_800_000_000_000;
  const simulator = await createSimulator({
    seed: Number(values.seed),
    machineNow: () => at,
    ...(visibility === undefined ? {} : { visibility }),
    limits: { perSecond: 1e6, perEndpointPerSecond: 1e6 },
  });
  try {
    const step = 1000 / Number(values.rate);
    for (let made = 0; made < Number(values.seconds) * Number(values.rate); made += 1) {
      simulator.makeChanges(1);
      at += step;
    }
    at += 3_600_000;
    return entitiesOf(simulator, await listAll(simulator));
  } finally {
    await simulator.close();
  }
}

interface ListedEvent {
  readonly id: string;
  readonly api_version: string | null;
  readonly data: { readonly object: unknown; readonly previous_attributes?: unknown };
}

async function listAll(simulator: Simulator): Promise<Map<string, ListedEvent>> {
  const listed = new Map<string, ListedEvent>();
  for (let after = ''; ; ) {
    const response = await fetch(`${simulator.url}/v1/events?limit=100${after}`, {
      headers: { Authorization: `Bearer ${simulator.apiKey}` },
    });
    if (!response.ok) throw new Error(`The simulator answered ${response.status}: ${await response.text()}`);
    const page = (await response.json()) as { data: ListedEvent[]; has_more: boolean };
    for (const event of page.data) listed.set(event.id, event);
    const last = page.data.at(-1);
    if (!page.has_more || last === undefined) return listed;
    after = `&starting_after=${last.id}`;
  }
}

function entitiesOf(simulator: Simulator, listed: ReadonlyMap<string, ListedEvent>): Entity[] {
  const stored = new Set(storedObjects());
  const entities = new Map<string, Entity>();
  for (const { id, type, object, objectId, created, ...times } of simulator.events()) {
    const event = listed.get(id);
    if (event === undefined) throw new Error(`The event ${id} is not listed.`);
    if (objectId === undefined || !stored.has(object)) continue;
    const { data, api_version: apiVersion } = event;
    const state = JSON.stringify(data.object);
    const common = { id, kind: kindOf(type), digest: createHash('md5').update(state).digest('hex') };
    const previousAttributes =
      data.previous_attributes === undefined ? null : JSON.stringify(data.previous_attributes);
    const key = `${object}/${objectId}`;
    const entity = entities.get(key) ?? { object, events: [] };
    entities.set(key, entity);
    entity.events.push({
      ...times,
      pending: { ...common, created, usable: apiVersion === simulator.apiVersion },
      known: { ...common, apiVersion, state, previousAttributes },
    });
  }
  for (const { events } of entities.values()) events.sort((a, b) => a.sequence - b.sequence);
  return [...entities.values()];
}

interface Tally {
  /** Events, and seconds in which an object changed more than once. */
  readonly events: number;
  readonly cases: number;
  readonly settledBy: Record<Way, number>;
  /** Share of the cases that needed no request. */
  readonly withoutRequest: number;
  readonly requests: number;
  /** Objects that do not end in Stripe's state: none, or something is wrong. */
  readonly wrong: number;
}

function tally(entities: readonly Entity[], useChains: boolean): Tally {
  const settledBy = Object.fromEntries(WAYS.map((way) => [way, 0])) as Record<Way, number>;
  let [events, requests, wrong] = [0, 0, 0];
  for (const entity of entities) {
    const run = mirror(entity, useChains);
    events += entity.events.length;
    requests += run.requests;
    if (!run.right) wrong += 1;
    for (const [second, count] of countBySecond(entity.events)) {
      if (count > 1) settledBy[wayOf(entity, second, run)] += 1;
    }
  }
  const cases = Object.values(settledBy).reduce((sum, count) => sum + count, 0);
  const withoutRequest = Number((1 - settledBy.asked / Math.max(1, cases)).toFixed(3));
  return { events, cases, settledBy, withoutRequest, requests, wrong };
}

function countBySecond(events: readonly TrafficEvent[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { pending } of events) counts.set(pending.created, (counts.get(pending.created) ?? 0) + 1);
  return counts;
}

interface Run {
  readonly right: boolean;
  readonly requests: number;
  readonly asked: ReadonlySet<number>;
  readonly chained: ReadonlySet<number>;
  /** Seconds whose changes were, in part or all, behind a read already. */
  readonly read: ReadonlySet<number>;
}

/** Hands an entity's events on as they surface, and plans, writes and reads as the activities do. */
function mirror({ object, events }: Entity, useChains: boolean): Run {
  const traits = traitsOf(object);
  const poll = Number(values.poll);
  const passes = new Map<number, TrafficEvent[]>();
  for (const event of events) {
    const pass = Math.ceil(event.visibleAt / poll);
    passes.set(pass, [...(passes.get(pass) ?? []), event]);
  }
  const seen: TrafficEvent[] = [];
  const [asked, chained, read] = [new Set<number>(), new Set<number>(), new Set<number>()];
  let row: CurrentRow | null = null;
  let requests = 0;
  for (const [pass, batch] of [...passes].sort(([a], [b]) => a - b)) {
    seen.push(...batch);
    const changes = batch.map((event) => event.pending);
    let plan = planChanges(row, changes, traits);
    if (plan.contested !== null && useChains) {
      const second = plan.contested;
      const known = seen.filter(({ pending }) => pending.created === second).map((event) => event.known);
      const end = endOfSecond(second, known, traits);
      if (end !== null) {
        plan = planChanges(row, changes, traits, end);
        if (plan.fetch === null) chained.add(second);
      }
    }
    for (const { created } of changes)
      if (row?.sourceKind === null && created <= row.asOfUntil) read.add(created);
    const applied = batch.find(({ pending }) => pending.id === plan.apply?.id);
    if (plan.apply !== null && applied !== undefined) {
      const { id: source, version, deleted } = plan.apply;
      const { kind: sourceKind, digest } = applied.pending;
      row = { ...version, deleted, source, sourceKind, digest };
    }
    if (plan.fetch === null) continue;
    requests += 1;
    const waiting = new Set(plan.fetch.ids);
    for (const { id, created } of changes) if (waiting.has(id)) asked.add(created);
    const at = Math.floor(Math.max(pass * poll, plan.fetch.after + 3));
    const version = { asOf: at - 1, asOfUntil: at };
    const found = events.filter((event) => event.changedAt <= at).at(-1);
    if (found === undefined || !planRead(row, version, [], plan.fetch.after).store)
      throw new Error('a read settles what asked for it');
    const { digest, kind } = found.pending;
    row = { ...version, deleted: kind === 'deleted', source: `read:${at}`, sourceKind: null, digest };
  }
  const last = events.at(-1)?.pending;
  const right = row?.digest === last?.digest && row?.deleted === (last?.kind === 'deleted');
  return { right, requests, asked, chained, read };
}

function wayOf({ events }: Entity, second: number, { asked, chained, read }: Run): Way {
  if (asked.has(second)) return 'asked';
  if (chained.has(second)) return 'previous_attributes';
  if (read.has(second)) return 'a read';
  const changes = events.filter(({ pending }) => pending.created === second).map(({ pending }) => pending);
  if (changes.some(({ kind }) => kind === 'deleted')) return 'deleted last';
  if (new Set(changes.map(({ digest }) => digest)).size === 1) return 'same state';
  return 'created first';
}

function tableOf(report: readonly (Tally & { surfacing: string; requestsWithoutChains: number })[]): string {
  const rows: [string, (entry: (typeof report)[number]) => string | number][] = [
    ['events surface', (entry) => entry.surfacing],
    ['cases', (entry) => entry.cases],
    ...WAYS.map((way): (typeof rows)[number] => [`  ${way}`, (entry) => entry.settledBy[way]]),
    ['without a request', (entry) => `${(entry.withoutRequest * 100).toFixed(1)} %`],
    ['requests', (entry) => entry.requests],
    ['  without previous_attributes', (entry) => entry.requestsWithoutChains],
  ];
  return rows
    .map(([name, of]) => name.padEnd(32) + report.map((entry) => String(of(entry)).padStart(22)).join(''))
    .join('\n');
}

await main();
