import type { Pool } from 'pg';
import { expect } from 'vitest';
import type { HandlerContext } from '../../src/handlers/define-handlers.js';
import { HandlerFailure } from '../../src/handlers/handler-failure.js';
import { defineHandlers } from '../../src/handlers/index.js';
import { createPool } from '../../src/postgres/pool.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createHandlerRoom, type HandlerRoom, NOTE, NOTES } from './handler-room.js';

/** A database for the handlers of one test file, with a table for their notes, and a pool of three connections. */
export async function createHandlerDatabase(): Promise<{ database: TestDatabase; pool: Pool }> {
  const database = await createMigratedDatabase();
  const pool = createPool({ connectionString: database.url, applicationName: 'handlers', max: 3 });
  await pool.query(NOTES);
  return { database, pool };
}

/** An account, and the id of an event in its ledger that tells of a paid invoice. */
export async function createPaidRoom(pool: Pool): Promise<{ room: HandlerRoom; paid: string }> {
  const room = createHandlerRoom(pool);
  const paid = await room.receive('invoice.paid', { id: 'in_1', object: 'invoice', amount_paid: 500 });
  return { room, paid };
}

type Paid = (context: HandlerContext<'invoice.paid'>) => unknown;
export const onPaid = (handler: Paid) => defineHandlers({ 'invoice.paid': handler });
export const note = (
  { tx, account, event }: Pick<HandlerContext, 'tx' | 'account' | 'event'>,
  text = event.id,
) => tx.query(NOTE, [account, text]);

export async function failureOf(applied: Promise<void>): Promise<HandlerFailure> {
  const error = await applied.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HandlerFailure);
  return error as HandlerFailure;
}

/** Sessions that are inside a transaction, this one aside. */
export async function openTransactions(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ open: number }>(
    `select count(*)::int as open from pg_stat_activity
     where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()`,
  );
  return rows[0]?.open ?? -1;
}
