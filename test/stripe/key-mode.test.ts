import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { aliasNotes, createStripeClients } from '../../src/cli/stripe-clients.js';
import { createSimulator } from '../../src/sandbox/simulator/index.js';
import { livemodeOf } from '../../src/stripe/api-key.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

it.each([
  ['rk_live_A1', true],
  ['sk_live_A1', true],
  ['sk_org_live_A1', true],
  ['rk_test_A1', false],
  ['sk_test_A1', false],
  ['sk_A1live_', null],
  ['pk_live_A1', null],
])('%s: live mode %s', (key, livemode) => {
  expect(livemodeOf(key)).toBe(livemode);
});

async function worker(apiKey?: string) {
  const simulator = await createSimulator();
  const clients = createStripeClients(
    { STRIPE_API_KEY: apiKey ?? simulator.apiKey },
    simulator.url,
    aliasNotes(database.pool),
  );
  onTestFinished(async () => {
    clients.close();
    await simulator.close();
  });
  return { simulator, ask: (alias: string) => clients.of(alias).get('/v1/events?limit=1') };
}

const open = (alias: string) =>
  database.pool.query('insert into stripe_sync.accounts (account, cursor_created) values ($1, now())', [
    alias,
  ]);

async function livemode(alias: string): Promise<boolean | null | undefined> {
  const { rows } = await database.pool.query<{ livemode: boolean | null }>(
    'select livemode from stripe_sync.accounts where account = $1',
    [alias],
  );
  return rows[0]?.livemode;
}

it('the mode of an account is that of the key with which it was opened', async () => {
  const { simulator, ask } = await worker();
  expect(livemodeOf(simulator.apiKey)).toBe(false);
  await ask('acme');
  expect(await livemode('acme')).toBeUndefined();
  await open('acme');
  expect(await livemode('acme')).toBeNull();
  await ask('acme');
  expect(await livemode('acme')).toBe(false);
});

it('a key of the other mode asks nothing, and says what to do; another alias may have it', async () => {
  await open('tested');
  await (await worker()).ask('tested');
  const { simulator, ask } = await worker('sk_live_A1b2C3d4');
  await expect(ask('tested')).rejects.toThrow(
    'The key of tested is of live mode, and its tables hold what test mode has: give the worker a key of test mode, ' +
      'or start live mode under another alias.',
  );
  expect(simulator.requestStats().requests.events).toBe(0);
  expect(await livemode('tested')).toBe(false);
  // The simulator does not know this key; that it was asked is what counts.
  await expect(ask('live')).rejects.toThrow(/does not accept/);
  expect(simulator.requestStats().requests.events).toBe(1);
});

it('of two workers with keys of both modes, the one that comes second is refused', async () => {
  await open('raced');
  const [test, live] = [await worker(), await worker('rk_live_A1b2C3d4')];
  const [first, second] = await Promise.allSettled([test.ask('raced'), live.ask('raced')]);
  const noted = await livemode('raced');
  const [right, wrong] = noted ? [live, first] : [test, second];
  expect(wrong.status).toBe('rejected');
  expect(String(wrong.status === 'rejected' && wrong.reason)).toMatch(
    /its tables hold what (test|live) mode has/,
  );
  expect(right.simulator.requestStats().requests.events).toBe(1);
});

it('a key whose prefix tells no mode is asked with, and notes none', async () => {
  await open('untold');
  const { simulator, ask } = await worker('sk_A1b2C3d4');
  await expect(ask('untold')).rejects.toThrow(/does not accept/);
  expect(simulator.requestStats().requests.events).toBe(1);
  expect(await livemode('untold')).toBeNull();
});
