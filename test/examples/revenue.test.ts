import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Handlers } from '../../src/handlers/index.js';
import { loadHandlers } from '../../src/handlers/load-handlers.js';
import { createHandlerRoom, type HandlerRoom } from '../handlers/handler-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

let database: TestDatabase;
let handlers: Handlers;
let room: HandlerRoom;

beforeAll(async () => {
  database = await createMigratedDatabase();
  await database.pool.query(readFileSync(join(ROOT, 'examples/revenue/schema.sql'), 'utf8'));
  handlers = await loadHandlers('examples/revenue/handlers.ts', ROOT);
  room = createHandlerRoom(database.pool);
});
afterAll(() => database?.drop());

describe('the example that books revenue', () => {
  it('books a paid invoice, a refund, and a refund that failed', async () => {
    const invoice = { id: 'in_1', object: 'invoice', currency: 'eur', amount_paid: 2_500 };
    const refund = { id: 're_1', object: 'refund', currency: 'eur', amount: 900 };
    const june = Date.UTC(2026, 5, 30, 23, 59, 59) / 1000;
    const paid = await room.receive('invoice.paid', invoice, june);
    const refunded = await room.receive('refund.created', refund, june + 1);
    const failed = await room.receive('refund.failed', refund, june + 2);
    // The row is further on than the event: what counts is what the event says.
    await room.apply(handlers, [paid], { data: { ...invoice, amount_paid: 0 }, superseded: true });
    await room.apply(handlers, [refunded, failed], { data: refund });

    const bookings = await database.pool.query(
      `select event_id, kind, object_id, currency, amount from revenue.bookings where account = $1 order by id`,
      [room.account],
    );
    expect(bookings.rows).toEqual([
      { event_id: paid, kind: 'payment', object_id: 'in_1', currency: 'eur', amount: '2500' },
      { event_id: refunded, kind: 'refund', object_id: 're_1', currency: 'eur', amount: '-900' },
      { event_id: failed, kind: 'failed refund', object_id: 're_1', currency: 'eur', amount: '900' },
    ]);
    const months = await database.pool.query(
      `select month::date::text, amount, bookings from revenue.months where account = $1 order by month`,
      [room.account],
    );
    expect(months.rows).toEqual([
      { month: '2026-06-01', amount: '2500', bookings: '1' },
      { month: '2026-07-01', amount: '0', bookings: '2' },
    ]);
  });

  it('books nothing where an event lacks what a booking needs', async () => {
    const paid = await room.receive('invoice.paid', { id: 'in_2', object: 'invoice', currency: 'eur' });
    // amount_paid is missing, and the column takes no null.
    await expect(room.apply(handlers, [paid])).rejects.toThrow(/null value in column "amount"/);
    const { rows } = await database.pool.query('select 1 from revenue.bookings where event_id = $1', [paid]);
    expect(rows).toEqual([]);
  });
});
