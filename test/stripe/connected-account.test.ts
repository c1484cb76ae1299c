import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { checkAccount } from '../../activities/check-account.js';
import { aliasNotes, createStripeClients } from '../../src/cli/stripe-clients.js';
import { noteConnectedAccount, readConnectedAccount } from '../../src/postgres/connected-account.js';
import { noteAliasOfPlatform } from '../../src/postgres/followed-accounts.js';
import { createSimulator } from '../../src/sandbox/simulator/index.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

async function platform() {
  const simulator = await createSimulator();
  const clients = createStripeClients(
    { STRIPE_API_KEY: simulator.apiKey },
    simulator.url,
    aliasNotes(database.pool),
  );
  onTestFinished(async () => {
    clients.close();
    await simulator.close();
  });
  const idOf = async (account: string) => {
    const { body } = await clients.of(account).get('/v1/account');
    return (body as { id: string }).id;
  };
  return { clients, idOf };
}

it('an alias reads the account of its key unless a connected one is noted, whose id goes with each request', async () => {
  const { clients, idOf } = await platform();
  const own = await idOf('plain');
  await noteConnectedAccount(database.pool, 'shop', own);
  expect(await idOf('shop')).toBe(own);
  await noteConnectedAccount(database.pool, 'foreign', 'acct_foreign');
  await expect(clients.of('foreign').get('/v1/account')).rejects.toThrow(/has no access to the conn/);
});

it('an alias that was never opened may be given another account, and keeps it once it was', async () => {
  const { idOf } = await platform();
  const own = await idOf('plain');
  await noteConnectedAccount(database.pool, 'later', 'acct_typo');
  await expect(idOf('later')).rejects.toThrow(/has no access to the conn/);
  expect(await noteConnectedAccount(database.pool, 'later', own)).toBe(own);
  expect(await idOf('later')).toBe(own);
  await database.pool.query(`update stripe_sync.accounts set cursor_created = now() where account = 'later'`);
  expect(await noteConnectedAccount(database.pool, 'later', 'acct_other')).toBe(own);
  expect(await idOf('later')).toBe(own);
});

it('an alias that holds one account is not started with another', async () => {
  await database.pool.query(
    `insert into stripe_sync.accounts (account, stripe_account, cursor_created)
     values ('held', 'acct_held', now()), ('of_key', null, now())`,
  );
  const silent = () => undefined;
  const check = checkAccount({
    pool: database.pool,
    stripe: () => {
      throw new Error('nothing is asked of Stripe');
    },
    log: { info: silent, warn: silent, error: silent },
    stopping: new AbortController().signal,
  });
  await expect(check('held', 'acct_other')).rejects.toThrow(
    /hold the connected account acct_held, not acct_other/,
  );
  await expect(check('of_key', 'acct_other')).rejects.toThrow(/hold the account of its key, not acct_other/);
});

it('an alias that stands for an account of a platform is read with the key of that platform', async () => {
  const simulator = await createSimulator();
  const clients = createStripeClients(
    { STRIPE_API_KEY_ACME: simulator.apiKey },
    simulator.url,
    aliasNotes(database.pool),
  );
  onTestFinished(async () => {
    clients.close();
    await simulator.close();
  });
  const { account } = simulator.connectAccount();
  await expect(clients.of(account).get('/v1/account')).rejects.toThrow(/set STRIPE_API_KEY_ACCT_/);
  expect(await noteAliasOfPlatform(database.pool, account, 'acme')).toBe(true);
  const { body } = await clients.of(account).get('/v1/account');
  expect(body).toMatchObject({ id: account });
  await database.pool.query('update stripe_sync.accounts set cursor_created = now() where account = $1', [
    account,
  ]);
  expect(await noteAliasOfPlatform(database.pool, account, 'other')).toBe(true);
  expect(await readConnectedAccount(database.pool, account)).toMatchObject({ keyAlias: 'acme' });
});

it('an alias that is the id of an account is not started with the data of another', async () => {
  // Of other ids than the ones that the tests above have noted.
  const simulator = await createSimulator({ seed: 2 });
  const clients = createStripeClients(
    { STRIPE_API_KEY: simulator.apiKey },
    simulator.url,
    aliasNotes(database.pool),
  );
  onTestFinished(async () => {
    clients.close();
    await simulator.close();
  });
  const silent = () => undefined;
  const check = checkAccount({
    pool: database.pool,
    stripe: clients.of,
    log: { info: silent, warn: silent, error: silent },
    stopping: new AbortController().signal,
  });
  const run = (alias: string, stripeAccount?: string) =>
    new MockActivityEnvironment().run(check, alias, stripeAccount);
  const { account } = simulator.connectAccount();
  await expect(run(account)).rejects.toThrow(
    new RegExp(`key is of ${simulator.account}. Start it with: .* --stripe-account ${account}`),
  );
  await run(account, account);
  await run(account);
  await run(simulator.account);
  await run('acme');
});
