import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEvents } from '../../activities/event-pages.js';
import { tableOf } from '../../src/stripe/catalog.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createReadingRoom, type ReadingRoom, withText } from '../support/reading-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

/** Text of a value as Stripe sends it, and as jsonb gives it back where the two differ. */
const HELD: Record<string, readonly [sent: string, held?: string]> = {
  'U+0000': [String.raw`"a\u0000b"`, '"a\ufffdb"'],
  'a lone high surrogate': [String.raw`"a\ud83d b"`, '"a\ufffd b"'],
  'a lone low surrogate': [String.raw`"\ude00"`, '"\ufffd"'],
  'a pair of surrogates': [String.raw`"\ud83d\ude00"`, '"😀"'],
  'an escaped backslash before u0000': [String.raw`"\\u0000"`],
  'an integer beyond 2^53': ['9007199254740993'],
  'an integer of a hundred digits': ['9'.repeat(100)],
  'a negative one': [`-${'9'.repeat(40)}`],
  'a decimal in quotes': ['"0.050"'],
  'a decimal': ['0.050'],
  'a long decimal': ['0.12345678901234567890123456789012345678901234567890'],
  'an exponent, written out': ['1.5e3', '1500'],
  'a small exponent, written out': ['25E-4', '0.0025'],
  'the largest power of ten': ['1e131071', `1${'0'.repeat(131_071)}`],
  'a megabyte': [`"${'x'.repeat(1_000_000)}"`],
  'a thousand levels': [nested(1_000)],
  'a key that is given twice, whose last value counts': ['{"a": 1, "a": 2}', '{"a": 2}'],
  'keys that JavaScript knows': [
    '{"__proto__": {"x": 1}, "constructor": null, "toString": 1}',
    '{"toString": 1, "__proto__": {"x": 1}, "constructor": null}',
  ],
  'an empty key': ['{"": ""}'],
};

const REFUSED: Record<string, string> = {
  'a number beyond numeric': '1e131072',
  'a number with a huge exponent': '-1e999999999',
  'a number too small': '1e-20000',
  'twenty thousand levels': nested(20_000),
};

const customer = (id: string, value: string) =>
  `{"id":${JSON.stringify(id)},"object":"customer","odd":${value}}`;
const held = Object.entries(HELD).map(([name, [sent, back = sent]], index) => ({
  name,
  id: `cus_${index}`,
  sent,
  back,
}));
const refused = Object.entries(REFUSED).map(([name, sent], index) => ({
  name,
  id: `cus_refused_${index}`,
  sent,
}));

async function oddOf(room: ReadingRoom, id: string): Promise<string | undefined> {
  const { rows } = await database.pool.query<{ odd: string }>(
    `select (data->'odd')::text as odd from stripe.customers where account = $1 and id = $2`,
    [room.account, id],
  );
  return rows[0]?.odd;
}

/** A room whose paths answer with texts of our own. */
const roomOf = (answer: (path: string) => string | null) =>
  createReadingRoom(database, {
    between: async (path, get) => {
      const text = answer(path);
      return text === null ? get(path) : withText(await get('/v1/customers?limit=1'), text);
    },
  });

const page = (items: readonly string[], hasMore = false) =>
  `{"object":"list","data":[${items.join(',')}],"has_more":${hasMore},"url":"/v1/x"}`;

const list = (room: ReadingRoom) =>
  listEvents(room.deps, {
    account: room.account,
    request: { kind: 'window', from: 1, to: null, below: null, limit: 100 },
    source: 'poll',
    signal: new AbortController().signal,
    lookedAt: () => null,
  });

const event = (id: string, object: string, created = 1_700_000_000) =>
  `{"id":${JSON.stringify(id)},"object":"event","type":"customer.updated","created":${created},"api_version":"v","data":{"object":${object}}}`;

const apply = (room: ReadingRoom, object: string, objectId: string, id: string) =>
  room.run('applyChanges', {
    account: room.account,
    object,
    objectId,
    ids: [id],
    hydrate: 'auto',
    apiVersion: 'v',
  });

describe('an odd value in an event', () => {
  it('comes into the row to the digit, and what PostgreSQL cannot hold holds up no neighbour', async () => {
    const events = [
      ...refused.slice(0, 2).map(({ id, sent }) => event(`evt_${id}`, customer(id, sent))),
      ...held.map(({ id, sent }) => event(`evt_${id}`, customer(id, sent))),
      ...refused.slice(2).map(({ id, sent }) => event(`evt_${id}`, customer(id, sent))),
    ];
    const room = await roomOf((path) => (path.startsWith('/v1/events') ? page(events) : null));
    const listed = await list(room);
    expect(listed.inserted.map(({ id }) => id).toSorted()).toEqual(
      [...held, ...refused].map(({ id }) => `evt_${id}`).toSorted(),
    );
    for (const { id } of held) await apply(room, 'customer', id, `evt_${id}`);
    const wrong = [];
    for (const { id, name, back } of held) if ((await oddOf(room, id)) !== back) wrong.push(name);
    expect(wrong).toEqual([]);

    const ledger = await room.ledger();
    for (const { id } of refused) {
      expect(ledger.find((entry) => entry.id === `evt_${id}`)).toMatchObject({
        outcome: 'parked',
        created: 1_700_000_000,
        error: expect.stringMatching(
          /^its payload cannot be kept.*PostgreSQL answered with error (22003|54001|22P02)/,
        ),
      });
    }
    const { rows } = await database.pool.query(
      `select event, object, object_id, type, api_version from stripe_sync.events where account = $1 and id = $2`,
      [room.account, `evt_${refused[0]?.id}`],
    );
    expect(rows).toEqual([
      {
        event: { id: 'evt_cus_refused_0', object: 'event', type: 'customer.updated', created: 1_700_000_000 },
        object: 'customer',
        object_id: 'cus_refused_0',
        type: 'customer.updated',
        api_version: 'v',
      },
    ]);
    expect(await list(room)).toMatchObject({ inserted: [] });
    expect(room.logged.join()).not.toContain('1e131072');
  });

  it('is ignored where it could never have been applied, and left out only where not even its id can be held', async () => {
    const events = [
      event('evt_unknown', `{"id":"x_1","object":"nothing.known","odd":1e999999}`),
      event('evt_no_id', `{"object":"customer","odd":1e999999}`),
      event('evt_long_object', customer(randomBytes(4_000).toString('hex'), '1')),
      event(randomBytes(4_000).toString('hex'), customer('cus_1', '1')),
      event('evt_null\u0000', customer('cus_2', '1e999999')),
      event('evt_good', customer('cus_3', '1')),
    ];
    const room = await roomOf((path) => (path.startsWith('/v1/events') ? page(events) : null));
    await list(room);
    expect(await room.outcomes()).toEqual({
      evt_unknown: 'ignored',
      evt_no_id: 'ignored',
      evt_long_object: 'ignored',
      'evt_null\ufffd': 'parked',
      evt_good: null,
    });
    expect(room.logged.filter((line) => line.includes('"inLedger":false'))).toHaveLength(1);
  });

  it('is noted once as listed where a webhook brought it first', async () => {
    const room = await roomOf((path) =>
      path.startsWith('/v1/events') ? page([event('evt_1', customer('cus_1', '1e999999'))]) : null,
    );
    await database.pool.query(
      `insert into stripe_sync.events (account, id, type, created, event, source, seen_at)
       values ($1, 'evt_1', 'customer.updated', to_timestamp(1700000000), '{}', 'webhook', now())`,
      [room.account],
    );
    const noted = await list(room);
    expect(noted.inserted).toEqual([]);
    expect(noted.firstListed).toMatchObject([{ id: 'evt_1', knownBefore: true }]);
    expect((await list(room)).firstListed).toEqual([]);
  });
});

describe('an odd value on a page of a listing', () => {
  it('comes into the row to the digit; the type goes on without what PostgreSQL cannot hold, and says so', async () => {
    const items = [...refused, ...held].map(({ id, sent }) => customer(id, sent));
    const room = await roomOf((path) => {
      if (!path.startsWith('/v1/customers?limit=100')) return null;
      return path.includes('starting_after') ? page([customer('cus_last', '1')]) : page(items, true);
    });
    const input = {
      account: room.account,
      object: 'customer',
      number: 1,
      apiVersion: null,
      from: null,
      seconds: 30,
    };
    const result = await room.run('backfillType', input);
    expect(result).toMatchObject({ position: null, skipped: null, ambiguous: [], rows: held.length + 1 });
    expect(result.refused.count).toBe(refused.length);
    expect(result.refused.first.map(({ objectId }) => objectId)).toEqual(refused.map(({ id }) => id));
    const wrong = [];
    for (const { id, name, back } of held) if ((await oddOf(room, id)) !== back) wrong.push(name);
    expect(wrong).toEqual([]);
    expect(await oddOf(room, 'cus_last')).toBe('1');
    expect(room.logged.filter((line) => line.includes('cannot hold this object'))).toHaveLength(
      refused.length,
    );
  });
});

describe('an odd value in an object that is read', () => {
  it('comes into the row to the digit', async () => {
    const room = await roomOf((path) => {
      const one = held.find(({ id }) => path === `/v1/customers/${id}`);
      return one === undefined ? null : customer(one.id, one.sent);
    });
    const wrong = [];
    for (const { id, name, back } of held) {
      await room.run('settleEntity', {
        account: room.account,
        object: 'customer',
        objectId: id,
        ids: [],
        after: 1,
        apiVersion: null,
      });
      if ((await oddOf(room, id)) !== back) wrong.push(name);
    }
    expect(wrong).toEqual([]);
  });

  it('fails the read for good where PostgreSQL cannot hold it, with its code and without its words', async () => {
    const room = await roomOf((path) =>
      path === '/v1/customers/cus_1' ? customer('cus_1', '1e131072') : null,
    );
    const settle = {
      account: room.account,
      object: 'customer',
      objectId: 'cus_1',
      ids: [],
      after: 1,
      apiVersion: null,
    };
    await expect(room.run('settleEntity', settle)).rejects.toMatchObject({
      type: 'PostgreSQL/refused',
      message: expect.stringMatching(/error 22003/),
    });
  });
});

const IDS = [
  `o'brien "quoted"`,
  '100%',
  '%2F%27',
  'a/b/../c',
  'back\\slash',
  'two  spaces ',
  '?limit=1&x=#y',
  'a+b;c,d:e',
  'ünïcödé 😀 日本',
  '__proto__',
  'constructor',
  'x'.repeat(255),
  '日'.repeat(255),
];

describe('an id that a merchant chose', () => {
  it('is read, listed past, and applied as it is', async () => {
    const room = await createReadingRoom(database);
    const created = room.now() - 1_000;
    for (const [index, id] of IDS.entries()) {
      room.simulator.createMany('coupon', 99, { from: created - index * 10, to: created - index * 10 });
      room.simulator.create('coupon', { id, created: created - index * 10 - 1 }, { event: false });
    }
    const input = {
      account: room.account,
      object: 'coupon',
      number: 1,
      apiVersion: null,
      from: null,
      seconds: 30,
    };
    expect(await room.run('backfillType', input)).toMatchObject({
      position: null,
      rows: IDS.length * 100,
      skipped: null,
    });
    const rows = (await room.rows('coupon')).map((row) => row.id);
    expect(IDS.filter((id) => !rows.includes(id))).toEqual([]);

    for (const [index, id] of IDS.entries()) {
      const read = await room.read('coupon', id);
      expect(read.found === 'object' && (JSON.parse(read.data) as { id: string }).id).toBe(id);
      const state = { ...room.simulator.get('coupon', id)?.data, name: `named ${index}` };
      const text = event(`evt_id_${index}`, JSON.stringify(state), room.now() + 100).replace(
        'customer.updated',
        'coupon.updated',
      );
      await room.receive([JSON.parse(text)]);
      expect((await apply(room, 'coupon', id, `evt_id_${index}`)).tally).toMatchObject({ applied: 1 });
    }
    const { rows: named } = await database.pool.query<{ id: string }>(
      `select id from stripe.${tableOf('coupon')} where account = $1 and data->>'name' like 'named %'`,
      [room.account],
    );
    expect(named.map((row) => row.id).toSorted()).toEqual(IDS.toSorted());
  });
});
