import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createSimulator, type JsonObject, type Simulator } from '../../../src/sandbox/simulator/index.js';
import { askPage, simulatorFor, stripeFor, walk } from './asking.js';
import { receiverFor } from './webhooks-receiver.js';

async function askOf(simulator: Simulator, account: string, path: string, key = simulator.apiKey) {
  const response = await fetch(`${simulator.url}${path}`, {
    headers: { authorization: `Bearer ${key}`, 'stripe-account': account },
  });
  const body = (await response.json()) as JsonObject & { data: JsonObject[]; error: JsonObject };
  return { status: response.status, body };
}

test('connected accounts are listed newest first, page by page and by when they were created', async () => {
  const simulator = await simulatorFor();
  const now = Math.floor(simulator.now());
  const ids = Array.from(
    { length: 7 },
    (_, index) => simulator.connectAccount({ created: now - 700 + 100 * index }).account,
  );
  const newestFirst = [...ids].reverse();
  expect((await walk(simulator, '/v1/accounts', 3)).map(({ id }) => id)).toEqual(newestFirst);
  const first = await askPage(simulator, '/v1/accounts?limit=3');
  expect(first).toMatchObject({ has_more: true, url: '/v1/accounts' });
  expect(first.data[0]).toMatchObject({ object: 'account', id: newestFirst[0], charges_enabled: true });
  const before = await askPage(simulator, `/v1/accounts?limit=2&ending_before=${newestFirst[5]}`);
  expect(before.data.map(({ id }) => id)).toEqual(newestFirst.slice(3, 5));
  const young = await askPage(simulator, `/v1/accounts?created[gte]=${now - 200}&created[lt]=${now}`);
  expect(young.data.map(({ id }) => id)).toEqual(newestFirst.slice(0, 2));
});

test('Stripe-Account leads to that account: its objects, its events and itself, and to nothing of another', async () => {
  const simulator = await simulatorFor();
  const one = simulator.connectAccount({ fields: { business_type: 'individual' } });
  const other = simulator.connectAccount();
  simulator.create('coupon', { name: 'of the platform' });
  const ada = one.create('coupon', { name: 'Ada' });
  one.update('coupon', String(ada.id), { name: 'Ada L.' });
  other.createMany('coupon', 3);
  const namesOf = async (account: string) =>
    (await askOf(simulator, account, '/v1/coupons')).body.data.map(({ name }) => name);
  expect(await namesOf(one.account)).toEqual(['Ada L.']);
  expect(await namesOf(other.account)).toHaveLength(3);
  expect(await namesOf(simulator.account)).toEqual(['of the platform']);
  const events = await askOf(simulator, one.account, '/v1/events');
  expect(events.body.data.map(({ type }) => type).sort()).toEqual(['coupon.created', 'coupon.updated']);
  expect((await askOf(simulator, other.account, '/v1/events')).body.data).toEqual([]);
  expect((await askPage(simulator, '/v1/events')).data.map(({ type }) => type)).toEqual(['coupon.created']);
  const self = await askOf(simulator, one.account, '/v1/account');
  expect(self.body).toMatchObject({ id: one.account, object: 'account', business_type: 'individual' });
  expect((await askOf(simulator, other.account, `/v1/coupons/${ada.id}`)).status).toBe(404);
  expect((await askOf(simulator, one.account, '/v1/accounts')).body.data).toEqual([]);
  expect((await askOf(simulator, one.account, '/v1/balance')).status).toBe(200);
});

test('an unknown account, and one that was disconnected, answer that the key has no access', async () => {
  const simulator = await simulatorFor();
  const { account } = simulator.connectAccount();
  const stripe = stripeFor(simulator);
  await expect(stripe.customers.list({}, { stripeAccount: account })).resolves.toMatchObject({ data: [] });
  simulator.disconnectAccount(account);
  for (const id of [account, 'acct_unknown']) {
    const { status, body } = await askOf(simulator, id, '/v1/events');
    expect(status).toBe(403);
    expect(body.error).toMatchObject({ type: 'invalid_request_error', code: 'account_invalid' });
    expect(body.error.message).toContain(`does not have access to account '${id}'`);
    await expect(stripe.events.list({}, { stripeAccount: id })).rejects.toMatchObject({
      type: 'StripePermissionError',
    });
  }
  expect((await askPage(simulator, '/v1/accounts')).data).toEqual([]);
  expect(() => simulator.disconnectAccount(account)).toThrow(/no connected account/);
});

test('an account that is connected again has what it had', async () => {
  const simulator = await simulatorFor();
  const first = simulator.connectAccount();
  const { account } = first;
  first.create('coupon', { name: 'Ada' });
  simulator.disconnectAccount(account);
  expect(() => simulator.connectedAccount(account)).toThrow(/no connected account/);
  simulator.connectAccount({ account });
  expect((await askOf(simulator, account, '/v1/coupons')).body.data).toMatchObject([{ name: 'Ada' }]);
  expect(() => simulator.connectAccount({ account })).toThrow(/already/);
});

test('a restricted key is refused for a connected account as for its own, by the name of that account', async () => {
  const simulator = await simulatorFor();
  const { account } = simulator.connectAccount();
  const key = simulator.createRestrictedKey(['rak_customer_read']);
  expect((await askOf(simulator, account, '/v1/customers', key)).status).toBe(200);
  const { status, body } = await askOf(simulator, account, '/v1/products', key);
  expect(status).toBe(403);
  expect(body.error.message).toContain(`on account '${account}'`);
});

test('endpoints for connected accounts get their events with the account, and the platform’s own do not', async () => {
  const simulator = await simulatorFor();
  const [ofConnected, ofOwn] = [await receiverFor(), await receiverFor()];
  const { account } = simulator.connectAccount();
  simulator.addWebhookEndpoint({ url: ofConnected.url, connect: true });
  simulator.addWebhookEndpoint({ url: ofOwn.url });
  simulator.create('customer', { name: 'of the platform' });
  simulator.connectedAccount(account).create('customer', { name: 'Ada' });
  simulator.disconnectAccount(account);
  await ofConnected.until(2);
  await ofOwn.until(1);
  const told = (receiver: typeof ofOwn) =>
    receiver.received.map(({ event }) => [event.type, event.account]).sort();
  expect(told(ofOwn)).toEqual([['customer.created', undefined]]);
  expect(told(ofConnected)).toEqual([
    ['account.application.deauthorized', account],
    ['customer.created', account],
  ]);
});

test('a simulator that is started again on its directory has its connected accounts and what is theirs', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'connect-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const first = await createSimulator({ directory, visibility: { kind: 'none' } });
  const one = first.connectAccount();
  one.createMany('coupon', 450);
  one.create('coupon', { name: 'Ada' });
  const gone = first.connectAccount().account;
  first.disconnectAccount(gone);
  const left = one.truth();
  await first.close();
  for (let round = 0; round < 2; round += 1) {
    const again = await createSimulator({ directory, visibility: { kind: 'none' } });
    expect(again.connectedAccount(one.account).truth()).toEqual(left);
    expect((await askOf(again, one.account, '/v1/events')).body.data).toHaveLength(1);
    expect((await askOf(again, gone, '/v1/events')).status).toBe(403);
    expect((await askPage(again, '/v1/coupons')).data).toEqual([]);
    await again.close();
  }
});

test('another process connects accounts, works in them and disconnects them', async () => {
  const simulator = await simulatorFor();
  const control = async (order: object) => {
    const response = await fetch(`${simulator.url}/_simulator/control`, {
      method: 'POST',
      body: JSON.stringify(order),
    });
    return { status: response.status, body: (await response.json()) as JsonObject };
  };
  const { body } = await control({ connect: { fields: { country: 'FR' } } });
  const account = String(body.connected);
  const made = await control({
    in: account,
    create: { object: 'customer', fields: { name: 'Ada' } },
    seed: [{ object: 'coupon', count: 2 }],
  });
  expect(made.body).toMatchObject({ created: { name: 'Ada' }, seeded: [2] });
  expect((await askOf(simulator, account, '/v1/coupons')).body.data).toHaveLength(2);
  expect((await askPage(simulator, '/v1/coupons')).data).toEqual([]);
  await control({ disconnect: account });
  expect((await askOf(simulator, account, '/v1/coupons')).status).toBe(403);
  expect(await control({ disconnect: account })).toMatchObject({ status: 400 });
  expect(await control({ in: 'acct_unknown', makeChanges: 1 })).toMatchObject({ status: 400 });
});
