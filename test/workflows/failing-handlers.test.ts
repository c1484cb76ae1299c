import { afterEach, describe, expect, it } from 'vitest';
import { historiesOf, readable } from '../support/histories.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

let sync: Sync | null = null;
afterEach(async () => {
  await sync?.close();
  sync = null;
});

const POISON = 'poison@handler.example';

describe('a handler that throws for one object', () => {
  it('parks that change alone, after its retries, keeps the order of its object, and holds up no other', async () => {
    sync = await createSync({ visibility: { kind: 'none' } });
    const { simulator, database, account, client } = sync;
    await database.pool.query('create table noted (n bigint generated always as identity, email text)');
    await sync.work({
      'customer.updated': async ({ event, tx }) => {
        const { email } = event.data.object;
        await tx.query('insert into noted (email) values ($1)', [email]);
        if (email === POISON) throw new Error(`cannot book ${email}`);
      },
    });
    await sync.start({
      backfill: { enabled: false },
      parking: { attempts: 3, firstSeconds: 0.2, mostSeconds: 1 },
    });
    await eventually(async () => ((await sync?.status())?.caughtUp ? null : 'not caught up'));
    const second = Math.floor(simulator.now());
    const ids = ['a', 'b'].map((name) =>
      String(simulator.create('customer', { email: `${name}@x.example` }).id),
    );
    const [first = '', other = ''] = ids;
    for (const [index, email] of ['one@x.example', POISON, 'two@x.example'].entries())
      simulator.update('customer', first, { email }, { created: second + index + 1 });
    simulator.update('customer', other, { email: 'other@x.example' }, { created: second + 1 });
    await sync.rested(second);

    const { rows } = await database.pool.query<{ email: string }>('select email from noted order by n');
    const emails = rows.map(({ email }) => email);
    expect(emails.filter((email) => email !== 'other@x.example')).toEqual(['one@x.example', 'two@x.example']);
    expect(emails).toContain('other@x.example');
    const parked = await database.pool.query<{ email: string; attempts: number; error: string }>(
      `select event #>> '{data,object,email}' as email, attempts, error from stripe_sync.events
       where account = $1 and outcome = 'parked'`,
      [account],
    );
    expect(parked.rows).toMatchObject([{ email: POISON, error: expect.stringContaining('cannot book') }]);
    expect(parked.rows[0]?.attempts).toBeGreaterThanOrEqual(3);
    const { rows: stored } = await database.pool.query<{ email: string }>(
      'select email from stripe.customers where account = $1 and id = $2',
      [account, first],
    );
    expect(stored).toEqual([{ email: 'two@x.example' }]);
    // The handler's words quote data: they are in the user's database, and nowhere else.
    const told = (await historiesOf(client, account)).map(({ history }) => readable(history)).join('\n');
    expect(told).not.toContain('cannot book');
    expect(sync.logged.join('\n')).not.toContain('cannot book');
  });
});
