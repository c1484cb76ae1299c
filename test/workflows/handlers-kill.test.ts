import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Simulator } from '../../src/sandbox/simulator/index.js';
import { createSync, type Sync } from '../support/sync.js';
import { createWorkerProcesses } from '../support/worker-processes.js';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const KILLS = 20;

const folder = mkdtempSync(join(tmpdir(), 'stripe-sync-kill-'));
let sync: Sync | null = null;
const workers = createWorkerProcesses();
afterEach(async () => {
  await workers.killAll();
  await sync?.close();
  sync = null;
  rmSync(folder, { recursive: true, force: true });
});

/**
 * The example's handlers as they are, between two waits: a transaction is open for long enough to be killed before
 * the booking, after it, and while it commits.
 */
function slowHandlers(): string {
  const file = join(folder, 'handlers.ts');
  writeFileSync(
    file,
    `import { setTimeout as sleep } from 'node:timers/promises';
     import { defineHandlers, type Handler } from 'durable-stripe-sync';
     import revenue from ${JSON.stringify(join(ROOT, 'examples', 'revenue', 'handlers.ts'))};
     const slowly = (handler: Handler): Handler => async (context) => {
       await sleep(Math.random() * 60);
       await handler(context);
       if (Math.random() < 0.7) await sleep(Math.random() * 120);
     };
     export default defineHandlers(
       Object.fromEntries(Object.entries(revenue).map(([type, handler]) => [type, slowly(handler as Handler)])),
     );`,
  );
  return file;
}

/** Transactions of workers that have made a booking, or are at it, and have not committed it. */
async function openBookings({ database }: Sync): Promise<number> {
  const { rows } = await database.pool.query<{ open: number }>(
    `select count(distinct pid)::int as open from pg_locks
     where relation = 'revenue.bookings'::regclass and pid <> pg_backend_pid()`,
  );
  return rows[0]?.open ?? 0;
}

/** Waits until a booking is open, which the next kill may tear; false where that takes too long. */
async function isBooking(sync: Sync, seconds: number): Promise<boolean> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    if ((await openBookings(sync)) > 0) return true;
    await sleep(15);
  }
  return false;
}

/** What a payment does: the invoice and three events of it, of one second. */
function pay(simulator: Simulator, invoice: string | undefined): void {
  if (invoice === undefined) return;
  simulator.update(
    'invoice',
    invoice,
    { status: 'paid', amount_paid: Math.ceil(Math.random() * 10_000), amount_remaining: 0 },
    { event: ['invoice.updated', 'invoice.paid', 'invoice.payment_succeeded'] },
  );
}

describe('workers with handlers that are killed', () => {
  it(`${KILLS} times at random, in the middle of bookings too, leave each booking there exactly once`, async () => {
    sync = await createSync({ seed: 47 });
    const { simulator, database, account } = sync;
    await database.pool.query(readFileSync(join(ROOT, 'examples', 'revenue', 'schema.sql'), 'utf8'));
    const handlers = ['--handlers', slowHandlers()];
    simulator.createMany('customer', 40);
    const open = simulator.createMany('invoice', 400);

    // Two at a time, of which one is killed, so that there is always somebody to go on, and to meet a dead one's locks.
    let pair = await Promise.all([workers.start(sync, handlers), workers.start(sync, handlers)]);
    await sync.start();
    const since = await sync.opened();
    simulator.startTraffic({ changesPerSecond: 4 });
    const paying = setInterval(() => pay(simulator, open.pop()), 200);
    const end = () => {
      clearInterval(paying);
      simulator.stopTraffic();
    };
    onTestFinished(end);

    let torn = 0;
    for (let count = 0; count < KILLS; count += 1) {
      if (count % 2 === 0) torn += (await isBooking(sync, 4)) ? 1 : 0;
      else await sleep(Math.random() * 1_500);
      const [victim, survivor] = Math.random() < 0.5 ? pair : [pair[1], pair[0]];
      await victim.end('SIGKILL');
      pair = [survivor, await workers.start(sync, handlers)];
      if (count === KILLS - 3) end();
    }
    await sync.rested(since);

    const { rows: events } = await database.pool.query<{ id: string; type: string; outcome: string }>(
      `select id, type, outcome from stripe_sync.events
       where account = $1 and type in ('invoice.paid', 'refund.created', 'refund.failed')`,
      [account],
    );
    const { rows: bookings } = await database.pool.query<{ id: string; times: number }>(
      `select event_id as id, count(*)::int as times from revenue.bookings where account = $1 group by 1`,
      [account],
    );
    const { rows: wrong } = await database.pool.query(
      `select b.event_id, b.amount, e.event->'data'->'object' as object
       from revenue.bookings b join stripe_sync.events e on e.account = b.account and e.id = b.event_id
       where b.account = $1 and b.amount is distinct from case e.type
         when 'invoice.paid' then (e.event #>> '{data,object,amount_paid}')::bigint
         when 'refund.created' then -(e.event #>> '{data,object,amount}')::bigint
         else (e.event #>> '{data,object,amount}')::bigint end`,
      [account],
    );
    const truth = simulator
      .events()
      .filter(({ type, created }) => created >= since && type === 'invoice.paid')
      .map(({ id }) => id);

    expect(events.map(({ id }) => id)).toEqual(expect.arrayContaining(truth));
    expect(events.filter(({ outcome }) => !['applied', 'stale', 'fetched'].includes(outcome))).toEqual([]);
    expect(bookings.filter(({ times }) => times !== 1)).toEqual([]);
    expect(bookings.map(({ id }) => id).sort()).toEqual(events.map(({ id }) => id).sort());
    expect(wrong).toEqual([]);
    // It was a test: much was booked, and kills met bookings that were open.
    expect(truth.length).toBeGreaterThan(100);
    expect(torn).toBeGreaterThan(2);
  }, 600_000);
});
