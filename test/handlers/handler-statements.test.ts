import type { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HandlerFailure } from '../../src/handlers/handler-failure.js';
import type { TestDatabase } from '../support/database.js';
import type { HandlerRoom } from './handler-room.js';
import { createHandlerDatabase, createPaidRoom, failureOf, note, onPaid } from './paid-room.js';

let database: TestDatabase;
let pool: Pool;
let room: HandlerRoom;
let paid: string;

beforeAll(async () => {
  ({ database, pool } = await createHandlerDatabase());
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
  ({ room, paid } = await createPaidRoom(pool));
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
