import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createStripeClient, type StripeClient } from '../../src/stripe/client.js';
import type { RoomOptions } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import type { ReadingRoom } from '../support/reading-room.js';
import { children, createWalkRoom, parent, parents, TRANSACTION, walk } from './walk-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const room = (options: RoomOptions = {}) => createWalkRoom(database, options);

/** The room with a key that may read what these permissions allow. */
function withKey(of: ReadingRoom, permissions: readonly string[]): ReadingRoom {
  const apiKey = of.simulator.createRestrictedKey(permissions);
  const client = createStripeClient({ apiKey, baseUrl: of.simulator.url });
  onTestFinished(() => client.close());
  const get: StripeClient['get'] = (path, options) => {
    of.paths.push(path);
    return client.get(path, options);
  };
  return { ...of, deps: { ...of.deps, stripe: () => ({ ...client, get }) } };
}

/** A room in which Stripe refuses (400) what the pattern names. */
const refusing = (pattern: RegExp) =>
  room({ between: (path, get) => get(pattern.test(path) ? '/v1/customers?limit=nonsense' : path) });

describe('a list that answers something else', () => {
  it('leaves the type out with what is missing, after one request, where the key may not read it', async () => {
    const of = withKey(await room(), ['rak_product_read']);
    await parents(of, 'customer', 9);
    const result = await walk(of, TRANSACTION);
    expect(result).toMatchObject({ done: true, rows: 0, requests: 1 });
    expect(result.skipped).toContain('rak_customer_read');
  });

  it('leaves the type out where every parent is refused at first, and says why', async () => {
    const of = await refusing(/balance_transactions/);
    await parents(of, 'customer', 9);
    const result = await walk(of, TRANSACTION);
    expect(result).toMatchObject({ done: true, rows: 0, requests: 5 });
    expect(result.skipped).toMatch(
      /^\/v1\/customers\/{parent}\/balance_transactions is left out: Stripe refuses/,
    );
  });

  it('passes over a parent that is refused alone, and says so', async () => {
    const of = await refusing(/cus_refused/);
    for (const id of ['cus_a', 'cus_refused', 'cus_z'])
      children(of, TRANSACTION, 1, await parent(of, 'customer', { id }));
    const result = await walk(of, TRANSACTION);
    expect(result).toMatchObject({ done: true, rows: 2, parents: { done: 3, total: 3 } });
    expect(result.skipped).toMatch(/passes over some: Stripe refuses/);
  });

  it('leaves out one of its walks alone, and goes on with the others', async () => {
    const of = await refusing(/external_accounts/);
    await parents(of, 'account', 2);
    const customer = await parent(of, 'customer', { default_source: 'card_1' });
    children(of, 'card', 2, customer);
    const result = await walk(of, 'card');
    expect(result).toMatchObject({ done: true, rows: 2 });
    expect(result.skipped).toMatch(/external_accounts is left out/);
    expect(await of.rows('card')).toHaveLength(2);
  });

  it('is asked again where it fails for once', async () => {
    const of = await room();
    await parents(of, 'customer', 3);
    of.simulator.addFault({ kind: 'server_error', next: 1 });
    of.simulator.addFault({ kind: 'cut_body', next: 1 });
    expect(await walk(of, TRANSACTION)).toMatchObject({ done: true, requests: 5 });
  });

  it('fails where nothing helps, and where it came further before, goes on from there', {
    timeout: 60_000,
  }, async () => {
    const of = await room();
    const ids = await parents(of, 'customer', 3);
    of.simulator.addFault({ kind: 'server_error', probability: 1, path: `/v1/customers/${ids[1]}/` });
    expect(await walk(of, TRANSACTION, { concurrency: 1 })).toMatchObject({
      done: false,
      parents: { done: 1 },
    });
    await expect(walk(of, TRANSACTION, { concurrency: 1 })).rejects.toMatchObject({ kind: 'transient' });
    of.simulator.setFaults({});
    expect(await walk(of, TRANSACTION)).toMatchObject({ done: true, parents: { done: 3, total: 3 } });
  });
});
