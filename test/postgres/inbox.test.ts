import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { countOutcomes } from '../../src/postgres/account-counts.js';
import { claimEvents } from '../../src/postgres/claim-events.js';
import { freeClaims } from '../../src/postgres/free-claims.js';
import { insertEvents } from '../../src/postgres/insert-events.js';
import { settleEvents } from '../../src/postgres/settle-events.js';
import { takeFence } from '../../src/postgres/take-fence.js';
import { compositeKeys, storedObjects } from '../../src/stripe/stored-objects.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
let account: string;
let number = 0;

beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  number += 1;
  account = `account-${number}`;
});

function event(id: string, created: number, object: unknown = { object: 'customer', id: `cus_${id}` }) {
  return {
    id,
    object: 'event',
    type: 'customer.updated',
    created,
    api_version: '2026-10-28.endive',
    data: { object },
  };
}

function insert(events: readonly unknown[]) {
  return insertEvents(database.pool, {
    account,
    page: JSON.stringify({ object: 'list', data: events }),
    source: 'poll',
    seenAt: 1_000,
    objects: storedObjects(),
    keyFields: compositeKeys(),
  });
}

async function fence(fetchId: string) {
  await takeFence(database.pool, { account, fetchId, cursor: null, anchor: 0, lagSeconds: 5 });
}

function claim(fenceId: string, claimedBy: string, limit = 100) {
  return claimEvents(database.pool, { account, fence: fenceId, claimedBy, limit });
}

describe('the inbox', () => {
  it('takes each event once, however often and by however many it is listed', async () => {
    const page = Array.from({ length: 50 }, (_, index) => event(`evt_${index}`, 100 + index));
    const results = await Promise.all([insert(page), insert([...page].reverse()), insert(page)]);
    expect(results.flatMap((result) => result.inserted)).toHaveLength(50);
    expect(await countOutcomes(database.pool, account)).toMatchObject({ received: 50, pending: 50 });
  });

  it('gives what can never be applied its outcome and the reason at once', async () => {
    const result = await insert([
      event('evt_none', 1, null),
      event('evt_no_id', 2, { object: 'invoice' }),
      event('evt_unknown', 3, { object: 'hologram', id: 'holo_1' }),
      event('evt_good', 4),
      'no event',
      { object: 'event', created: 5 },
      { id: 'evt_no_time', object: 'event' },
    ]);
    expect(result.inserted.map((entry) => entry.id).sort()).toEqual([
      'evt_good',
      'evt_no_id',
      'evt_none',
      'evt_unknown',
    ]);
    expect(result.ignored).toBe(3);
    const { rows } = await database.pool.query(
      'select id, error from stripe_sync.events where account = $1 and outcome = $2 order by id',
      [account, 'ignored'],
    );
    expect(rows).toEqual([
      { id: 'evt_no_id', error: 'the object in the event has no id' },
      { id: 'evt_none', error: 'the event carries no object' },
      { id: 'evt_unknown', error: "no table for the object 'hologram'" },
    ]);
  });

  it('keeps the text of the page to the digit', async () => {
    const page = `{"data":[{"id":"evt_1","object":"event","type":"price.updated","created":7,"data":{"object":{"object":"price","id":"price_1","big":12345678901234567890,"rate":0.050}}}]}`;
    await insertEvents(database.pool, {
      account,
      page,
      source: 'poll',
      seenAt: 8,
      objects: storedObjects(),
      keyFields: compositeKeys(),
    });
    const { rows } = await database.pool.query(
      `select event->'data'->'object'->>'big' as big, event->'data'->'object'->>'rate' as rate
       from stripe_sync.events where account = $1`,
      [account],
    );
    expect(rows).toEqual([{ big: '12345678901234567890', rate: '0.050' }]);
  });

  it('keys a capability by its account as well, since every account has one of the same id', async () => {
    await insert([event('evt_1', 1, { object: 'capability', id: 'card_payments', account: 'acct_1' })]);
    await fence('f#1');
    expect(await claim('f#1', 'f')).toMatchObject([{ objectId: 'acct_1:card_payments' }]);
  });
});

describe('a claim', () => {
  it('hands each event to one fetch, oldest first, and again to the same fetch', async () => {
    await insert([event('evt_b', 2), event('evt_a', 1), event('evt_c', 3)]);
    await fence('f#1');
    expect((await claim('f#1', 'f', 2)).map((entry) => entry.id)).toEqual(['evt_a', 'evt_b']);
    await fence('f#2');
    expect((await claim('f#2', 'f')).map((entry) => entry.id)).toEqual(['evt_a', 'evt_b', 'evt_c']);
    await fence('g#1');
    expect(await claim('g#1', 'g')).toEqual([]);
  });

  it('takes no more ids at a time than Temporal takes, and always one', async () => {
    const long = (n: number, letters: number) =>
      event(`evt_${n}`, n, { object: 'coupon', id: `${'日'.repeat(letters)}${n}` });
    // An id of 4,990 such letters has 15 kB; in JSON each U+0001 has six bytes, so two of these ids have 600 kB each.
    await insert([...Array.from({ length: 40 }, (_, n) => long(n, 4_990)), long(40, 50_000)]);
    const page = { object: 'coupon', id: '\u0001'.repeat(100_000) };
    await insert([event('evt_41', 41, page), event('evt_42', 42, { ...page, id: `${page.id}2` })]);
    const claimed = [];
    for (let fetch = 0; fetch < 6; fetch += 1) {
      await fence(`f${fetch}#1`);
      const references = await claim(`f${fetch}#1`, `f${fetch}`);
      if (references.length > 1) expect(Buffer.byteLength(JSON.stringify(references))).toBeLessThan(550_000);
      claimed.push(...references.map(({ created }) => created));
      expect(await claim(`f${fetch}#1`, `f${fetch}`)).toHaveLength(references.length);
    }
    expect(claimed).toEqual(Array.from({ length: 43 }, (_, n) => n));
  });

  it('is refused to a fetch that another one has followed', async () => {
    await insert([event('evt_a', 1)]);
    await fence('old#1');
    await fence('new#1');
    expect(await claim('old#1', 'old')).toEqual([]);
    expect(await claim('new#1', 'new')).toHaveLength(1);
  });

  it('returns references without any payload', async () => {
    await insert([event('evt_a', 1, { object: 'customer', id: 'cus_1', email: 'jane@example.com' })]);
    await fence('f#1');
    expect(await claim('f#1', 'f')).toEqual([
      { id: 'evt_a', type: 'customer.updated', created: 1, object: 'customer', objectId: 'cus_1' },
    ]);
  });

  it('that was not settled is freed, and one that was is not', async () => {
    await insert([event('evt_a', 1), event('evt_b', 2)]);
    await fence('f#1');
    await claim('f#1', 'f');
    await settleEvents(database.pool, { account, ids: ['evt_a'], outcome: 'applied' });
    expect(await freeClaims(database.pool, account, 60)).toBe(0);
    expect(await freeClaims(database.pool, account, 0)).toBe(1);
    await fence('g#1');
    expect((await claim('g#1', 'g')).map((entry) => entry.id)).toEqual(['evt_b']);
  });

  it('keeps the outcome that an event got first', async () => {
    await insert([event('evt_a', 1)]);
    expect(await settleEvents(database.pool, { account, ids: ['evt_a'], outcome: 'stale' })).toBe(1);
    expect(
      await settleEvents(database.pool, { account, ids: ['evt_a'], outcome: 'parked', reason: 'late' }),
    ).toBe(0);
    expect(await countOutcomes(database.pool, account)).toMatchObject({ stale: 1, parked: 0 });
  });
});
