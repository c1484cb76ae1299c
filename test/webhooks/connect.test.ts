import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createSimulator } from '../../src/sandbox/simulator/index.js';
import { routeOf } from '../../src/webhooks/connect-routes.js';
import { createRoom, deliverTo, eventText, idOf, type Room } from './receiver-room.js';
import { nowSeconds, SECRET, signed } from './signing.js';

const OTHER_SECRET = 'whsec_other7c1d';

let room: Room;
let made = 0;

beforeAll(async () => {
  room = await createRoom({
    secretsOf: (alias) => (alias.startsWith('other') ? [OTHER_SECRET] : [SECRET]),
  });
});
afterAll(() => room?.close());

interface Connected {
  readonly alias: string;
  readonly stripeAccount: string;
}

/** An alias that was started for a connected account of a name of its own. */
async function connect(alias: string, keyAlias: string | null): Promise<Connected> {
  made += 1;
  const stripeAccount = `acct_connected${made}`;
  await room.database.pool.query(
    `insert into stripe_sync.accounts (account, stripe_account, key_alias, cursor_created)
     values ($1, $2, $3, now())`,
    [alias, stripeAccount, keyAlias],
  );
  return { alias, stripeAccount };
}

const ledger = async (account: string) => {
  const { rows } = await room.database.pool.query(
    'select id, outcome, error from stripe_sync.events where account = $1 order by id',
    [account],
  );
  return rows;
};

describe('what a platform’s endpoint is sent of a connected account', () => {
  it('is kept under the alias of that account, which is told at once', async () => {
    const platform = await room.start();
    const { alias, stripeAccount } = await connect(`${platform}-followed`, platform);
    const listener = new pg.Client(room.database.url);
    await listener.connect();
    onTestFinished(() => listener.end());
    const heard: unknown[] = [];
    listener.on('notification', ({ payload }) => heard.push(payload));
    await listener.query('listen stripe_sync_inbox');
    const body = eventText({ account: stripeAccount });
    expect(await room.deliver(platform, body)).toMatchObject({ status: 200, text: 'stored' });
    expect(await room.deliver(platform, body)).toMatchObject({ status: 200, text: 'stored before' });
    expect(await ledger(alias)).toEqual([{ id: idOf(body), outcome: null, error: null }]);
    expect(await ledger(platform)).toEqual([]);
    expect(room.receiver.counts()[alias]).toEqual({ accepted: 1, duplicate: 1 });
    await expect.poll(() => heard).toEqual([alias]);
  });

  it('is a hint for that account where the event is thin', async () => {
    const platform = await room.start();
    const { alias, stripeAccount } = await connect(`${platform}-followed`, platform);
    const thin = { id: 'evt_test_65y', object: 'v2.core.event', type: 'v1.customer.updated' };
    const body = JSON.stringify({ ...thin, context: stripeAccount, created: new Date().toISOString() });
    expect((await room.deliver(platform, body)).status).toBe(200);
    expect(room.receiver.counts()[alias]).toEqual({ hint: 1 });
    expect(room.receiver.counts()[platform]).toBeUndefined();
  });

  it('needs no account of the platform’s own', async () => {
    const { alias, stripeAccount } = await connect('acct-of-nobody', 'never-started');
    const body = eventText({ account: stripeAccount });
    expect((await room.deliver('never-started', body)).status).toBe(200);
    expect(await room.rows(alias)).toEqual([idOf(body)]);
    expect((await room.deliver('never-started', eventText({ account: 'acct_elsewhere' }))).status).toBe(404);
  });

  it('goes to an alias with a key of its own only where it is signed for that one, too', async () => {
    const platform = await room.start();
    const own = await connect(`${platform}-own`, null);
    const body = eventText({ account: own.stripeAccount });
    await room.deliver(platform, body);
    expect(await room.rows(own.alias)).toEqual([idOf(body)]);

    const guarded = await connect(`other-${platform}`, null);
    const foreign = eventText({ account: guarded.stripeAccount });
    await room.deliver(platform, foreign);
    expect(await room.rows(guarded.alias)).toEqual([]);
    expect(await ledger(platform)).toEqual([
      {
        id: idOf(foreign),
        outcome: 'ignored',
        error: `it belongs to the connected account ${guarded.stripeAccount}`,
      },
    ]);
  });

  it('is never kept under the alias of another platform', async () => {
    const platform = await room.start();
    const { alias, stripeAccount } = await connect(`${platform}-theirs`, 'their-platform');
    await room.deliver(platform, eventText({ account: stripeAccount }));
    expect(await room.rows(alias)).toEqual([]);
    expect(await ledger(platform)).toMatchObject([{ outcome: 'ignored' }]);
  });

  it('finds an account that is started later within seconds', async () => {
    let now = Date.now();
    const receiver = await room.receive({ now: () => now });
    const platform = await room.start();
    const stripeAccount = `acct_later${platform}`.replaceAll('-', '');
    const send = async () => {
      const body = eventText({ account: stripeAccount });
      await deliverTo(receiver.port, platform, body, signed(body, { at: Math.floor(now / 1000) }));
      return idOf(body);
    };
    await send();
    await room.database.pool.query(
      `insert into stripe_sync.accounts (account, stripe_account, key_alias, cursor_created)
       values ($1, $1, $2, now())`,
      [stripeAccount, platform],
    );
    now += 11_000;
    const found = await send();
    expect(await room.rows(stripeAccount)).toEqual([found]);
    expect(await ledger(platform)).toMatchObject([{ outcome: 'ignored' }]);
  });

  it('comes from an endpoint of the platform, beside what its own endpoint is sent', async () => {
    const simulator = await createSimulator({ visibility: { kind: 'none' } });
    onTestFinished(() => simulator.close());
    const account = simulator.connectAccount();
    const platform = await room.start();
    await room.database.pool.query(
      `insert into stripe_sync.accounts (account, stripe_account, key_alias, cursor_created)
       values ($1, $1, $2, now())`,
      [account.account, platform],
    );
    const url = (port: number) => `http://127.0.0.1:${port}/webhooks/${platform}`;
    const secrets: string[] = [];
    const receiver = await room.receive({ secretsOf: (alias) => (alias === platform ? secrets : []) });
    for (const connect of [false, true]) {
      secrets.push(simulator.addWebhookEndpoint({ url: url(receiver.port), connect }).secret);
    }
    const idsOf = async (alias: string) => (await ledger(alias)).map(({ outcome }) => outcome);
    const known = simulator.events().length;
    account.create('customer');
    account.create('product');
    simulator.create('customer');
    await expect.poll(() => idsOf(account.account), { timeout: 10_000 }).toEqual([null, null]);
    await expect.poll(() => idsOf(platform), { timeout: 10_000 }).toEqual([null]);
    expect(simulator.events().length).toBe(known + 1);
  });
});

describe('an event of the other mode', () => {
  const deliverOf = async (account: string, livemode: unknown) => {
    const body = eventText({ livemode });
    expect((await room.deliver(account, body)).status).toBe(200);
    const rows = (await ledger(account)) as { id: string; outcome: string | null; error: string | null }[];
    const row = rows.find(({ id }) => id === idOf(body));
    return row?.error ?? row?.outcome;
  };

  it('is kept, and ignored with the reason, once it is known of which mode the tables are', async () => {
    const account = await room.start();
    const note = (livemode: boolean) =>
      room.database.pool.query('update stripe_sync.accounts set livemode = $2 where account = $1', [
        account,
        livemode,
      ]);
    expect([await deliverOf(account, true), await deliverOf(account, false)]).toEqual([null, null]);
    await note(true);
    expect(await deliverOf(account, true)).toBeNull();
    expect(await deliverOf(account, false)).toBe('it is of test mode');
    await note(false);
    expect(await deliverOf(account, true)).toBe('it is of live mode');
    expect(await deliverOf(account, false)).toBeNull();
    for (const odd of [undefined, null, 'true', 1]) expect(await deliverOf(account, odd)).toBeNull();
  });
});

describe('the route', () => {
  const never = () => false;
  const of = (alias: string, keyAlias: string | null) => ({ alias, keyAlias });

  it('stays with the alias of the URL where that reads the account, or nobody does', () => {
    expect(routeOf('shop', [], () => true)).toBe('shop');
    expect(routeOf('shop', [of('a', 'shop'), of('shop', null)], never)).toBe('shop');
  });

  it('prefers what the platform’s key reads', () => {
    const holders = [of('a', null), of('b', 'platform'), of('c', 'elsewhere')];
    expect(routeOf('platform', holders, () => true)).toBe('b');
    expect(routeOf('third', holders, () => true)).toBe('a');
    expect(routeOf('third', holders, never)).toBe('third');
    expect(routeOf('third', [of('c', 'elsewhere')], () => true)).toBe('third');
  });
});

it('a delivery that is not signed asks for no route', async () => {
  const platform = await room.start();
  const { alias, stripeAccount } = await connect(`${platform}-followed`, platform);
  const body = eventText({ account: stripeAccount });
  const header = signed(body, { secrets: [OTHER_SECRET], at: nowSeconds() });
  expect((await room.deliver(platform, body, header)).status).toBe(400);
  expect(await room.rows(alias)).toEqual([]);
  expect(room.receiver.counts()[alias]).toBeUndefined();
});
