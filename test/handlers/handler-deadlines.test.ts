import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPool } from '../../src/postgres/pool.js';
import type { TestDatabase } from '../support/database.js';
import { createHandlerRoom, type HandlerRoom } from './handler-room.js';
import {
  createHandlerDatabase,
  createPaidRoom,
  failureOf,
  note,
  onPaid,
  openTransactions,
} from './paid-room.js';

let database: TestDatabase;
let pool: Pool;
let room: HandlerRoom;
let paid: string;

beforeAll(async () => {
  ({ database, pool } = await createHandlerDatabase());
});
afterAll(async () => {
  await pool?.end();
  await database?.drop();
});
beforeEach(async () => {
  ({ room, paid } = await createPaidRoom(pool));
});

describe('a handler that runs out of time', () => {
  it('fails, takes its effect back, and hears of it', async () => {
    let heard: AbortSignal | null = null;
    const handlers = onPaid(async (context) => {
      heard = context.signal;
      await note(context);
      await sleep(5_000, undefined, { signal: context.signal });
    });
    const begun = performance.now();
    const failure = await failureOf(room.apply(handlers, [paid], { timeoutMs: 150 }));
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(failure.publicMessage).toBe('The handler for invoice.paid did not end within 0.15 s.');
    expect(heard).toMatchObject({ aborted: true });
    expect(await room.notes()).toEqual([]);
  });

  it('writes nothing later, and cannot reach the next user of its connection', async () => {
    const single = createPool({ connectionString: database.url, applicationName: 'single', max: 1 });
    const alone = createHandlerRoom(single);
    const id = await alone.receive('invoice.paid', { id: 'in_1', object: 'invoice' });
    let outcome: Promise<unknown> = Promise.resolve();
    const handlers = onPaid((context) => {
      outcome = sleep(300).then(() => note(context, 'late'));
      return outcome;
    });
    try {
      await failureOf(alone.apply(handlers, [id], { timeoutMs: 100 }));
      await expect(outcome).rejects.toThrow(/is over, so its transaction takes no more statements/);
      await alone.apply(
        onPaid((context) => note(context, 'the next')),
        [id],
      );
      expect(await alone.notes()).toEqual(['the next']);
    } finally {
      await single.end();
    }
  });

  it('loses its connection where a statement goes on, and the server frees its locks', async () => {
    const lock = [8_001, 7];
    const handlers = onPaid(async (context) => {
      await note(context);
      await context.tx.query('select pg_advisory_xact_lock($1, $2)', lock);
      await Promise.all([context.tx.query('select pg_sleep(30)'), note(context, 'behind it')]);
    });
    const begun = performance.now();
    await failureOf(room.apply(handlers, [paid], { timeoutMs: 200 }));
    expect(performance.now() - begun).toBeLessThan(4_000);
    await expect.poll(() => openTransactions(pool), { timeout: 2_000 }).toBe(0);
    const { rows } = await pool.query('select pg_try_advisory_lock($1, $2) as free', lock);
    expect(rows).toEqual([{ free: true }]);
    expect(await room.notes()).toEqual([]);
    // The pool is whole: as many connections as before can be had.
    const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()]);
    for (const client of clients) client.release();
  });

  it('keeps its connection where the statement ends shortly after', async () => {
    const before = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
    const handlers = onPaid(({ tx }) => tx.query('select pg_sleep(0.4)'));
    await failureOf(room.apply(handlers, [paid], { timeoutMs: 200 }));
    const { rows } = await pool.query<{ pids: number[] }>(
      `select array_agg(pid) as pids from pg_stat_activity where application_name = 'handlers'`,
    );
    expect(rows[0]?.pids).toContain(before.rows[0]?.pid);
  });
});

describe('a handler whose attempt is given up', () => {
  it('ends with the reason, commits nothing, and is not blamed', async () => {
    const given = new AbortController();
    const reason = new Error('the activity was cancelled');
    let heard: AbortSignal | null = null;
    const handlers = onPaid(async (context) => {
      heard = context.signal;
      await note(context);
      setTimeout(() => given.abort(reason), 50);
      await sleep(3_000);
    });
    const begun = performance.now();
    await expect(room.apply(handlers, [paid], { signal: given.signal })).rejects.toBe(reason);
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(heard).toMatchObject({ aborted: true });
    expect(await room.notes()).toEqual([]);
  });

  it('does not begin', async () => {
    let ran = false;
    const handlers = onPaid(() => {
      ran = true;
    });
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(room.apply(handlers, [paid], { signal: gone })).rejects.toThrow('gone');
    expect(ran).toBe(false);
  });
});
