import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { HandlerContext } from '../../src/handlers/define-handlers.js';
import { HandlerFailure } from '../../src/handlers/handler-failure.js';
import { defineHandlers } from '../../src/handlers/index.js';
import { createHandlerRunner } from '../../src/handlers/run-handler.js';
import { createPool } from '../../src/postgres/pool.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createHandlerRoom, type HandlerRoom, NOTE, NOTES } from './handler-room.js';

let database: TestDatabase;
let pool: Pool;
let room: HandlerRoom;
let paid: string;

beforeAll(async () => {
  database = await createMigratedDatabase();
  pool = createPool({ connectionString: database.url, applicationName: 'handlers', max: 3 });
  await pool.query(NOTES);
  await pool.query(`create table public.parents (id int primary key)`);
  await pool.query(
    `create table public.children (parent int references public.parents deferrable initially deferred)`,
  );
});
afterAll(async () => {
  await pool?.end();
  await database?.drop();
});
beforeEach(async () => {
  room = createHandlerRoom(pool);
  paid = await room.receive('invoice.paid', { id: 'in_1', object: 'invoice', amount_paid: 500 });
});

type Paid = (context: HandlerContext<'invoice.paid'>) => unknown;
const onPaid = (handler: Paid) => defineHandlers({ 'invoice.paid': handler });
const note = ({ tx, account, event }: Pick<HandlerContext, 'tx' | 'account' | 'event'>, text = event.id) =>
  tx.query(NOTE, [account, text]);

async function failureOf(applied: Promise<void>): Promise<HandlerFailure> {
  const error = await applied.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HandlerFailure);
  return error as HandlerFailure;
}

/** Sessions that are inside a transaction, this one aside. */
async function openTransactions(): Promise<number> {
  const { rows } = await pool.query<{ open: number }>(
    `select count(*)::int as open from pg_stat_activity
     where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()`,
  );
  return rows[0]?.open ?? -1;
}

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
    expect(await openTransactions()).toBe(0);
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

describe('a statement that fails', () => {
  it('loses the transaction although its error is caught', async () => {
    const later: unknown[] = [];
    const handlers = onPaid(async (context) => {
      await note(context);
      await context.tx.query('select 1 / 0').catch(() => undefined);
      await note(context).catch((error: unknown) => later.push(error));
    });
    const failure = await failureOf(room.apply(handlers, [paid]));
    expect(failure.publicMessage).toMatch(/caught the error of a statement.*error 22012 of PostgreSQL/);
    expect(String(later[0])).toMatch(/An earlier statement failed/);
    expect(await room.notes()).toEqual([]);
  });

  it('takes the others of the same Promise.all with it', async () => {
    const handlers = onPaid((context) =>
      Promise.all([note(context, '1'), context.tx.query('select 1 / 0'), note(context, '2')]),
    );
    expect((await failureOf(room.apply(handlers, [paid]))).message).toMatch(/division by zero/);
    expect(await room.notes()).toEqual([]);
  });

  it('for want of PostgreSQL is an outage and no failure of the handler', async () => {
    const handlers = onPaid(async ({ tx }) => {
      await tx.query('select pg_terminate_backend(pg_backend_pid())').catch(() => undefined);
      throw new Error('it did not work');
    });
    const error = await room.apply(handlers, [paid]).catch((thrown: unknown) => thrown);
    expect(error).not.toBeInstanceOf(HandlerFailure);
    expect(error).toMatchObject({ code: '57P01' });
  });

  it('is told at once where it breaks a deferred constraint, with the event that did', async () => {
    const handlers = onPaid(({ tx }) => tx.query('insert into public.children values (7)'));
    const failure = await failureOf(room.apply(handlers, [paid]));
    expect(failure.publicMessage).toContain('(error 23503 of PostgreSQL)');
    // A constraint that is kept in the end stays deferred, for the handlers that come after as well.
    const again = await room.receive('invoice.paid', { id: 'in_1', object: 'invoice' });
    let parent = 10;
    const kept = onPaid(async ({ tx }) => {
      parent += 1;
      await tx.query('insert into public.children values ($1)', [parent]);
      await tx.query('insert into public.parents values ($1)', [parent]);
    });
    await room.apply(kept, [paid, again]);
    const { rows } = await pool.query('select parent from public.children order by parent');
    expect(rows).toEqual([{ parent: 11 }, { parent: 12 }]);
  });
});

describe('what would end the transaction, or outlive it', () => {
  it.each([
    'commit',
    'COMMIT AND CHAIN',
    'end',
    'abort',
    'Rollback',
    'rollback to savepoint a',
    'begin',
    'start transaction',
    'savepoint a',
    'release a',
    `prepare transaction 'a'`,
    '  \n\t;; commit',
    '-- a comment\ncommit',
    '/* one /* in another */ */ commit',
    '/**/commit',
    'commit;',
    'set role postgres',
    'set session statement_timeout = 0',
    'set transaction isolation level serializable',
    'reset all',
    'discard all',
    'listen a',
  ])('is refused: %s', async (text) => {
    const handlers = onPaid(async (context) => {
      await note(context);
      await context.tx.query(text);
    });
    const failure = await failureOf(room.apply(handlers, [paid]));
    expect(failure.publicMessage).toMatch(/failed: [A-Z]+ is refused: /);
    expect(await room.notes()).toEqual([]);
  });

  it.each(['select 1; commit', `insert into public.notes values (default, 'a', 'b'); commit; select 1`])(
    'is refused as one of several statements: %s',
    async (text) => {
      const handlers = onPaid(async (context) => {
        await note(context);
        await context.tx.query(text);
      });
      expect((await failureOf(room.apply(handlers, [paid]))).message).toMatch(/multiple commands/);
      expect(await room.notes()).toEqual([]);
    },
  );

  it('is refused by PostgreSQL inside a block of code', async () => {
    const handlers = onPaid(async (context) => {
      await note(context);
      await context.tx.query('do $$ begin commit; end $$');
    });
    expect((await failureOf(room.apply(handlers, [paid]))).publicMessage).toContain('2D000');
    expect(await room.notes()).toEqual([]);
  });

  it('is refused where its error is caught too', async () => {
    const handlers = onPaid(async (context) => {
      await note(context);
      await context.tx.query('commit').catch(() => undefined);
    });
    await failureOf(room.apply(handlers, [paid]));
    expect(await room.notes()).toEqual([]);
  });

  it.each([
    `set local search_path = public`,
    'set constraints all deferred',
    `select 'commit'`,
    'with begun as (select 1) select * from begun',
    '/* commit */ select 1',
    `do $$ begin perform 1; end $$`,
  ])('is not: %s', async (text) => {
    await room.apply(
      onPaid(({ tx }) => tx.query(text)),
      [paid],
    );
  });
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
    await expect.poll(openTransactions, { timeout: 2_000 }).toBe(0);
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
