import { afterAll, beforeAll, expect, it } from 'vitest';
import type { KnownAccount } from '../../src/cli/doctor/known-account.js';
import { noteConnectedAccount } from '../../src/postgres/connected-account.js';
import { noteAliasOfPlatform } from '../../src/postgres/followed-accounts.js';
import { readKnownAccount } from '../../src/postgres/read-known-account.js';
import { createSimulator, type Simulator } from '../../src/sandbox/simulator/index.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { named } from './reports.js';
import { stripeReports } from './stripe-reports.js';

let database: TestDatabase;
let simulator: Simulator;

beforeAll(async () => {
  database = await createMigratedDatabase();
  simulator = await createSimulator({ visibility: { kind: 'none' } });
});
afterAll(async () => {
  await simulator?.close();
  await database?.drop();
});

const known = async (alias: string): Promise<KnownAccount> => ({
  told: true,
  row: await readKnownAccount(database.pool, alias),
});

it('what a failed start left is read as the next start would read it, and told to be no started account', async () => {
  const { account } = simulator.connectAccount();
  await noteConnectedAccount(database.pool, 'acme', account);
  const left = named(await stripeReports(simulator, {}, await known('acme')), 'account');
  expect(left).toMatchObject({
    result: 'ok',
    found: `${account}, a connected account, read with the key of its platform; acme was never started`,
  });
  await database.pool.query("update stripe_sync.accounts set cursor_created = now() where account = 'acme'");
  const started = named(await stripeReports(simulator, {}, await known('acme')), 'account');
  expect(started.found).toBe(`${account}, a connected account, read with the key of its platform`);
});

it('why a start failed is still to be seen: the key has no access to the account that it was to read', async () => {
  await noteConnectedAccount(database.pool, 'lost', 'acct_1Nobody');
  const reports = await stripeReports(simulator, {}, await known('lost'));
  expect(named(reports, 'key')).toMatchObject({
    result: 'fail',
    found: expect.stringContaining('no access to the connected account'),
  });
});

it('an account of a platform that failed to start is checked with the platform’s key', async () => {
  const { account } = simulator.connectAccount();
  await noteAliasOfPlatform(database.pool, account, 'platform');
  const keys = { STRIPE_API_KEY: undefined, STRIPE_API_KEY_PLATFORM: simulator.apiKey };
  const found = named(await stripeReports(simulator, keys, await known(account)), 'account');
  expect(found).toMatchObject({ result: 'ok', found: expect.stringContaining(`${account}, a connected`) });
});
