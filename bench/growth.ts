/**
 * Does a change cost more when much is there: a page of events into the ledger, its claim, the apply of an entity, and
 * the upsert of a listed page, with a million rows in ledger and table beside ten thousand, in turns.
 *
 *   npm run bench -- growth [--runs 3] [--rows 1000000] [--beside 10000] [--pages 12] [--entities 40] [--json]
 */
import type { Pool } from 'pg';
import { applyWithin } from '../activities/apply-changes.js';
import type { ActivityDeps } from '../activities/deps.js';
import { claimEvents } from '../src/postgres/claim-events.js';
import { insertEvents } from '../src/postgres/insert-events.js';
import { migrate } from '../src/postgres/migrate.js';
import { createPool } from '../src/postgres/pool.js';
import { takeFence } from '../src/postgres/take-fence.js';
import { upsertPage } from '../src/postgres/upsert-page.js';
import { compositeKeys, storedObjects } from '../src/stripe/stored-objects.js';
import { type Figure, figure, spreadOf } from './figure.js';
import { accessesOf, explainingPool } from './growth-plans.js';
import { ACCOUNT, changedPage, fill } from './growth-tables.js';
import { inPostgres } from './in-postgres.js';

const STEPS = ['insert an event', 'claim it', 'apply it', 'upsert a listed row'] as const;
type Step = (typeof STEPS)[number];
type Times = Record<Step, number[]>;

/** Tells the statements apart; what is left is the apply's, with its lock and the change feed. */
const STATEMENTS = [
  ['insert an event', /insert into stripe_sync\.events/],
  ['claim it', /with fence as/],
  ['upsert a listed row', /jsonb_array_elements\(\$2::jsonb\) with ordinality/],
  ['apply it', /./],
] as const satisfies readonly (readonly [Step, RegExp])[];

const quiet = () => undefined;

await figure(
  {
    name: 'growth',
    says: 'microseconds per change in large tables beside small ones',
    within: 900,
    options: { rows: '1000000', beside: '10000', pages: '12', entities: '40' },
  },
  async (given) => {
    await inPostgres(given, (url) => measure(url, given));
  },
);

async function measure(server: string, { runs, values, say, add, note }: Figure): Promise<void> {
  const pools: Pool[] = [];
  try {
    const sizes = [Number(values.beside), Number(values.rows)];
    const [small, large] = await Promise.all(sizes.map((rows) => database(server, rows, pools)));
    if (small === undefined || large === undefined) throw new Error('There are two sizes.');
    say(`There are ${sizes.join(' and ')} rows.`);
    const entities = Number(values.entities);
    let step = 0;
    const both = async (pages: number) => {
      const times = { small: noTimes(), large: noTimes() };
      for (let page = 0; page < pages; page += 1) {
        step += 1;
        // In turns, so that what else the machine does falls on both.
        const turns = [
          () => changes(small, step, entities, times.small),
          () => changes(large, step, entities, times.large),
        ];
        for (const turn of step % 2 === 0 ? turns : turns.reverse()) await turn();
      }
      return times;
    };
    await both(3);
    for (let run = 1; run <= runs; run += 1) {
      const times = await both(Number(values.pages));
      const median = (found: Times, name: Step) => spreadOf(found[name]).median;
      const total = (found: Times) => STEPS.slice(0, 3).reduce((sum, name) => sum + median(found, name), 0);
      const of = (what: string, value: number, beside: number) => ({
        ...{ what, unit: 'us', value, wanted: { ratioAtMost: 1.2 } },
        baseline: { what: `with ${sizes[0]} rows`, value: beside },
      });
      add([
        ...STEPS.map((name) => of(name, median(times.large, name), median(times.small, name))),
        of('the first three together', total(times.large), total(times.small)),
      ]);
      say(`Run ${run} of ${runs}.`);
    }
    for (const line of await accesses(large, step + 1)) note(line);
    note(await roomOf(large));
  } finally {
    for (const pool of pools) await pool.end();
  }
}

interface Filled {
  readonly url: string;
  readonly pool: Pool;
  readonly rows: number;
}

async function database(server: string, rows: number, pools: Pool[]): Promise<Filled> {
  const url = new URL(server);
  const admin = createPool({ connectionString: server, applicationName: 'bench' });
  await admin.query(`create database rows_${rows}`);
  await admin.end();
  url.pathname = `/rows_${rows}`;
  await migrate({ connectionString: url.href });
  const pool = createPool({
    ...{ connectionString: url.href, applicationName: 'bench', statementTimeoutMs: 0 },
  });
  pools.push(pool);
  await fill(pool, rows);
  return { url: url.href, pool, rows };
}

function noTimes(): Times {
  return { 'insert an event': [], 'claim it': [], 'apply it': [], 'upsert a listed row': [] };
}

/** One page of changes through all steps, each step's time per change in microseconds. */
async function changes(
  { pool, rows }: Pick<Filled, 'pool' | 'rows'>,
  step: number,
  entities: number,
  times: Times,
): Promise<void> {
  const timed = async (name: Step, count: number, work: () => Promise<unknown>) => {
    const began = performance.now();
    await work();
    times[name].push(((performance.now() - began) * 1000) / count);
  };
  const page = await changedPage(pool, rows, step);
  const size = page.eventIds.length;
  await timed('insert an event', size, () =>
    insertEvents(pool, {
      ...{ account: ACCOUNT, page: page.events, source: 'poll', seenAt: page.at },
      ...{ objects: storedObjects(), keyFields: compositeKeys() },
    }),
  );
  const fence = `step ${step}`;
  await takeFence(pool, { account: ACCOUNT, fetchId: fence, cursor: null, anchor: 0, lagSeconds: 5 });
  await timed('claim it', size, async () => {
    const claimed = await claimEvents(pool, { account: ACCOUNT, fence, claimedBy: fence, limit: 500 });
    if (claimed.length !== size) throw new Error(`${claimed.length} of ${size} events were claimed.`);
  });
  const deps: ActivityDeps = {
    pool,
    stripe: () => {
      throw new Error('Nothing here has to be read.');
    },
    log: { info: quiet, warn: quiet, error: quiet },
    stopping: new AbortController().signal,
  };
  const apply = async (index: number) => {
    const objectId = page.objectIds[index] ?? '';
    const time = { signal: deps.stopping, attempt: 1, endsAt: performance.now() + 60_000 };
    const ids = [page.eventIds[index] ?? ''];
    const input = { account: ACCOUNT, object: 'customer', objectId, ids, apiVersion: null };
    const { tally } = await applyWithin(deps, { ...input, hydrate: 'payload' }, time);
    if (tally.applied !== 1) throw new Error(`The change of ${objectId} was not applied.`);
  };
  const few = Math.min(entities, size);
  for (let index = 0; index < few; index += 1) await timed('apply it', 1, () => apply(index));
  // What is left would wait in the inbox, and be claimed with the next page.
  for (let index = few; index < size; index += 1) await apply(index);
  await timed('upsert a listed row', size, async () => {
    const { written } = await upsertPage(pool, {
      ...{ account: ACCOUNT, object: 'customer', table: 'customers', keyFields: ['id'], source: 'bench' },
      ...{ page: page.customers, asOf: page.at + 2, asOfUntil: page.at + 3, isOneOfMany: true },
    });
    if (written !== size) throw new Error(`${written} of ${size} rows were written.`);
  });
}

async function accesses({ url, rows }: Filled, step: number): Promise<string[]> {
  const explaining = explainingPool(url);
  try {
    const plans = await explaining.plansOf(() =>
      changes({ pool: explaining.pool, rows }, step, 1, noTimes()),
    );
    const left = new Set(plans);
    return STATEMENTS.map(([name, text]) => {
      const own = [...left].filter((plan) => text.test(plan));
      for (const plan of own) left.delete(plan);
      return `${name}: ${accessesOf(own).join(', ')}`;
    });
  } finally {
    await explaining.pool.end();
  }
}

async function roomOf({ pool }: Filled): Promise<string> {
  const { rows } = await pool.query<{ ledger: number; text: number; customers: number }>(
    `select pg_total_relation_size('stripe_sync.events') / (select count(*) from stripe_sync.events) as ledger,
       (select avg(length(event::text))::bigint from (select event from stripe_sync.events limit 1000) as first) as text,
       pg_total_relation_size('stripe.customers') / (select count(*) from stripe.customers) as customers`,
  );
  const { ledger, text, customers } = rows[0] ?? {
    ledger: Number.NaN,
    text: Number.NaN,
    customers: Number.NaN,
  };
  return `Bytes with indexes: ${ledger} an event in the ledger, whose text has ${text}; ${customers} a customer.`;
}
