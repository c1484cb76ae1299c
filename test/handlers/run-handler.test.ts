import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createHandlerRunner } from '../../src/handlers/run-handler.js';
import type { TestDatabase } from '../support/database.js';
import { type HandlerRoom, NOTE } from './handler-room.js';
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

describe('a handler', () => {
  it('gets the event, the row, the account and a transaction that commits with the change', async () => {
    const seen: unknown[] = [];
    const handlers = onPaid(async (context) => {
      const { account, event, row, superseded } = context;
      seen.push({ account, id: event.id, amount: event.data.object.amount_paid, row, superseded });
      const { rows, rowCount } = await context.tx.query<{ two: number }>('select $1::int + 1 as two', [1]);
      seen.push({ rows, rowCount });
      await note(context);
    });
    await room.apply(handlers, [paid], { superseded: true, data: { id: 'in_1', status: 'void' } });
    expect(seen).toEqual([
      {
        account: room.account,
        id: paid,
        amount: 500,
        row: {
          id: 'row_1',
          data: { id: 'in_1', status: 'void' },
          deleted: false,
          asOf: new Date(1_000),
          asOfUntil: new Date(2_000),
        },
        superseded: true,
      },
      { rows: [{ two: 2 }], rowCount: 1 },
    ]);
    expect(await room.notes()).toEqual([paid]);
  });

  it('may be a function without a promise, and may leave values out', async () => {
    let ran = 0;
    await room.apply(
      onPaid(() => {
        ran += 1;
      }),
      [paid],
    );
    await room.apply(
      onPaid(({ tx }) => tx.query('select 1')),
      [paid],
    );
    expect(ran).toBe(1);
  });

  it('of an event type runs for events of that type only; * takes what has none of its own', async () => {
    const voided = await room.receive('invoice.voided', { id: 'in_1', object: 'invoice' });
    const ran: string[] = [];
    const own = onPaid(({ event }) => void ran.push(`own ${event.type}`));
    await room.apply(own, [paid, voided]);
    await room.apply({ ...own, '*': ({ event }) => void ran.push(`any ${event.type}`) }, [paid, voided]);
    expect(ran).toEqual(['own invoice.paid', 'own invoice.paid', 'any invoice.voided']);
    const wants = (handlers: object, type: string) => createHandlerRunner(handlers, { pool }).wants(type);
    expect([wants(own, 'invoice.paid'), wants(own, 'invoice.voided'), wants(own, 'constructor')]).toEqual([
      true,
      false,
      false,
    ]);
    expect([wants({ '*': () => {} }, 'invoice.voided'), wants({ '*': () => {} }, '')]).toEqual([true, false]);
  });

  it('cannot change what the next one of the batch gets to see', async () => {
    const again = await room.receive('invoice.paid', { id: 'in_1', object: 'invoice' });
    const seen: unknown[] = [];
    const handlers = onPaid(({ row }) => {
      const data = row.data as unknown as { tags: string[] };
      seen.push([...data.tags]);
      data.tags.push('changed');
    });
    await room.apply(handlers, [paid, again], { data: { tags: ['a'] } });
    expect(seen).toEqual([['a'], ['a']]);
  });

  it('sees numbers beyond 2^53 rounded, and finds their digits in the ledger', async () => {
    await pool.query(
      `update stripe_sync.events set event = jsonb_set(event, '{data,object,amount_paid}', '9007199254740993')
       where id = $1`,
      [paid],
    );
    const seen: unknown[] = [];
    const handlers = onPaid(async ({ event, account, tx }) => {
      const { rows } = await tx.query<{ digits: string }>(
        `select event #>> '{data,object,amount_paid}' as digits from stripe_sync.events
         where account = $1 and id = $2`,
        [account, event.id],
      );
      seen.push(event.data.object.amount_paid, rows[0]?.digits);
    });
    await room.apply(handlers, [paid]);
    expect(seen).toEqual([9_007_199_254_740_992, '9007199254740993']);
  });
});

describe('a handler that throws', () => {
  it('takes its effect back, and what the transaction did before', async () => {
    const handlers = onPaid(async (context) => {
      await note(context);
      throw new RangeError('no such plan for jane@example.com');
    });
    const failure = await failureOf(
      room.apply(handlers, [paid], {
        before: async (client) => void (await client.query(NOTE, [room.account, 'before'])),
      }),
    );
    expect(failure).toMatchObject({ eventId: paid, eventType: 'invoice.paid' });
    expect(failure.message).toMatch(
      /^The handler for invoice\.paid failed: RangeError: no such plan for jane@example\.com \(.*run-handler\.test\.ts:\d+:\d+\)$/,
    );
    expect(await room.notes()).toEqual([]);
    expect(await openTransactions(pool)).toBe(0);
  });

  it('says in public which handler and what kind of error, and nothing of the data', async () => {
    const secret = 'jane@example.com';
    const odd = Object.assign(new Error(secret), { name: `Error of ${secret}` });
    const unreadable = Object.defineProperty(new Error('x'), 'message', {
      get() {
        throw new Error(secret);
      },
    });
    const thrown = [new TypeError(secret), odd, secret, { secret }, undefined, null, unreadable];
    const said: string[] = [];
    for (const each of thrown) {
      const failure = await failureOf(
        room.apply(
          onPaid(() => {
            throw each;
          }),
          [paid],
        ),
      );
      const { message: _words, stack: _stack, ...fields } = Object.getOwnPropertyDescriptors(failure);
      expect(JSON.stringify(fields)).not.toContain(secret);
      said.push(failure.publicMessage);
    }
    expect(said).toEqual([
      'The handler for invoice.paid failed (TypeError).',
      'The handler for invoice.paid failed (Error).',
      'The handler for invoice.paid failed (a thrown string).',
      'The handler for invoice.paid failed (a thrown object).',
      'The handler for invoice.paid failed (a thrown undefined).',
      'The handler for invoice.paid failed (a thrown object).',
      'The handler for invoice.paid failed (an error that cannot be read).',
    ]);
  });

  it('tells PostgreSQL’s code in public, and its words with the detail in the ledger alone', async () => {
    await pool.query('create table if not exists public.mails (mail text primary key)');
    const handlers = onPaid(async ({ tx }) => {
      await tx.query(`insert into public.mails values ('jane@example.com'), ('jane@example.com')`);
    });
    const failure = await failureOf(room.apply(handlers, [paid]));
    expect(failure.publicMessage).toBe('The handler for invoice.paid failed (error 23505 of PostgreSQL).');
    expect(failure.message).toMatch(/duplicate key value.*Key \(mail\)=\(jane@example\.com\)/);
  });

  it('gives words that a text column can hold', async () => {
    const handlers = onPaid(() => {
      throw new Error('a\0b');
    });
    const failure = await failureOf(room.apply(handlers, [paid]));
    const { rows } = await pool.query<{ said: string }>('select $1::text as said', [failure.message]);
    expect(rows[0]?.said).toContain('a\ufffdb');
  });
});

describe('a promise that a handler does not await', () => {
  it('fails the handler while its statement is under way, so that no half of it stays', async () => {
    const handlers = onPaid((context) => {
      void (async () => {
        await note(context, 'first half');
        await note(context, 'second half');
      })().catch(() => undefined);
    });
    const failure = await failureOf(room.apply(handlers, [paid]));
    expect(failure.publicMessage).toContain('ended before 1 of its statements did: await every tx.query');
    expect(await room.notes()).toEqual([]);
  });

  it('writes nothing once the handler has ended', async () => {
    let late: Promise<unknown> = Promise.resolve();
    const handlers = onPaid(async (context) => {
      await note(context, 'in time');
      late = sleep(30).then(() => note(context, 'late'));
      late.catch(() => undefined);
    });
    await room.apply(handlers, [paid]);
    await expect(late).rejects.toThrow(/takes no more statements/);
    await sleep(50);
    expect(await room.notes()).toEqual(['in time']);
  });
});
