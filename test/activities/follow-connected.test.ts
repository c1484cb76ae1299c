import { randomBytes } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createActivities } from '../../activities/index.js';
import { aliasNotes, createStripeClients } from '../../src/cli/stripe-clients.js';
import { readConnectedAccount } from '../../src/postgres/connected-account.js';
import { readFollowed } from '../../src/postgres/followed-accounts.js';
import { createSimulator } from '../../src/sandbox/simulator/index.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

/** A platform whose key no other alias has, and a memory of which workflows run, in place of Temporal. */
async function platformRoom(permissions?: readonly string[]) {
  const simulator = await createSimulator({
    visibility: { kind: 'none' },
    seed: randomBytes(4).readUInt32BE(),
  });
  const platform = `platform_${randomBytes(4).toString('hex')}`;
  const apiKey = permissions === undefined ? simulator.apiKey : simulator.createRestrictedKey(permissions);
  const clients = createStripeClients(
    { [`STRIPE_API_KEY_${platform.toUpperCase()}`]: apiKey },
    simulator.url,
    aliasNotes(database.pool),
  );
  onTestFinished(async () => {
    clients.close();
    await simulator.close();
  });
  const running = new Set<string>();
  const asked: string[] = [];
  const failing = { from: Number.POSITIVE_INFINITY };
  const silent = () => undefined;
  const { followConnected } = createActivities({
    pool: database.pool,
    stripe: clients.of,
    log: { info: silent, warn: silent, error: silent },
    stopping: new AbortController().signal,
    accounts: {
      async isRunning(alias) {
        asked.push(alias);
        return running.has(alias);
      },
      async launch(alias, terms) {
        expect(terms).toEqual({ lag: 5 });
        if (running.size >= failing.from) throw new Error('Temporal is away');
        if (running.has(alias)) return false;
        running.add(alias);
        return true;
      },
    },
  });
  const look = (byHand = false) =>
    new MockActivityEnvironment().run(
      followConnected as never,
      {
        platform,
        asked: byHand,
        terms: { lag: 5 },
      } as never,
    ) as ReturnType<typeof followConnected>;
  return { simulator, platform, clients, running, asked, failing, look };
}

it('all of many pages are started, each read with the key of the platform, and the next look finds nothing to do', async () => {
  const { simulator, platform, clients, running, asked, look } = await platformRoom();
  const ids = Array.from({ length: 230 }, () => simulator.connectAccount().account);
  expect(await look(true)).toMatchObject({
    connected: 230,
    started: 230,
    running: 0,
    stopped: [],
    refused: [],
  });
  expect([...running].sort()).toEqual([...ids].sort());
  expect(await readFollowed(database.pool, platform)).toEqual([...ids].sort());
  const { body } = await clients.of(ids[7] ?? '').get('/v1/account');
  expect(body).toMatchObject({ id: ids[7] });
  asked.length = 0;
  expect(await look()).toMatchObject({ connected: 230, started: 0 });
  expect(asked).toEqual([]);
});

it('a look that breaks off halfway leaves the rest to the next one, and takes none of it for stopped', async () => {
  const { simulator, running, failing, look } = await platformRoom();
  for (let count = 0; count < 30; count += 1) simulator.connectAccount();
  failing.from = 12;
  await expect(look()).rejects.toThrow();
  expect(running.size).toBe(12);
  failing.from = Number.POSITIVE_INFINITY;
  expect(await look()).toMatchObject({ connected: 30, started: 18 });
  expect(running.size).toBe(30);
});

it('an account whose id is the alias of another one is told, and the others are started', async () => {
  const { simulator, running, look } = await platformRoom();
  const [taken = '', free = ''] = [simulator.connectAccount().account, simulator.connectAccount().account];
  await database.pool.query(
    `insert into stripe_sync.accounts (account, stripe_account, cursor_created) values ($1, 'acct_other', now())`,
    [taken],
  );
  const { started, refused } = await look(true);
  expect(started).toBe(1);
  expect(refused).toEqual([
    expect.stringMatching(
      new RegExp(`^${taken} is not started: .* stripe-sync start ALIAS --stripe-account ${taken}$`),
    ),
  ]);
  expect([...running]).toEqual([free]);
});

it('an account that an alias reads with its own key is that alias', async () => {
  const { simulator, platform, running, look } = await platformRoom();
  const { account } = simulator.connectAccount();
  const alias = `own_${randomBytes(4).toString('hex')}`;
  await database.pool.query(
    'insert into stripe_sync.accounts (account, key_account, cursor_created) values ($1, $2, now())',
    [alias, account],
  );
  expect(await look()).toMatchObject({ connected: 1, started: 0 });
  expect(await look(true)).toMatchObject({ connected: 1, started: 1 });
  expect([...running]).toEqual([alias]);
  expect(await readConnectedAccount(database.pool, alias)).toMatchObject({
    stripeAccount: null,
    keyAlias: null,
  });
  expect(await readFollowed(database.pool, platform)).toEqual([alias]);
});

it('a key that may not list accounts is told what it lacks', async () => {
  const { look } = await platformRoom(['rak_event_read']);
  await expect(look()).rejects.toThrow(/rak_connected_account_read/);
});
