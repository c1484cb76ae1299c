import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withDedupeId } from '../../src/webhooks/dedupe-id.js';
import { createRoom, eventText, type Room } from './receiver-room.js';

let room: Room;

beforeAll(async () => {
  room = await createRoom({ dedupe: 'payload' });
});
afterAll(() => room?.close());

const payload = (over: Record<string, unknown> = {}) => ({
  type: 'customer.updated',
  data: { object: { id: 'cus_1', object: 'customer', balance: 1 }, previous_attributes: { balance: 2 } },
  ...over,
});
const idFor = (value: unknown, created: number | null = null, at = 1_800_000_005) =>
  withDedupeId(typeof value === 'string' ? value : JSON.stringify(value), created, at).id;

describe('an id made of the payload', () => {
  it('is the same whatever the order of the keys, the white space, the escapes and what each delivery changes', () => {
    const { type, data } = payload();
    const same = [
      payload(),
      { data: { previous_attributes: data.previous_attributes, object: data.object }, type },
      payload({ id: 'evt_1', pending_webhooks: 3, request: { id: 'req_1' }, created: 5 }),
      JSON.stringify(payload(), null, 3),
      JSON.stringify(payload()).replace('customer.updated', 'customer\\u002eupdated'),
    ];
    const ids = new Set(same.map((value) => idFor(value)));
    expect(ids.size).toBe(1);
    expect([...ids][0]).toMatch(/^dedupe_[0-9a-f]{64}$/);
  });

  it('is another one for any other payload, to the last digit', () => {
    const balance = (digits: string) =>
      JSON.stringify(payload()).replace('"balance":1', `"balance":${digits}`);
    const others = [
      payload(),
      payload({ type: 'customer.created' }),
      payload({ livemode: true }),
      payload({ data: { object: { id: 'cus_1', object: 'customer', id2: 'x', request: 1 } } }),
      payload({ data: { object: { id: 'cus_1', object: 'customer', id2: 'x', request: 2 } } }),
      balance('9007199254740993'),
      balance('9007199254740992'),
      balance('"1"'),
      balance('[1,2]'),
      balance('[[1],2]'),
      balance('{"0":1}'),
      balance('[]'),
      balance('{}'),
    ];
    expect(new Set(others.map((value) => idFor(value))).size).toBe(others.length);
  });

  it('is the same within ten seconds of its time, and another one in the next ten', () => {
    expect(idFor(payload(), 1_800_000_000)).toBe(idFor(payload(), 1_800_000_009));
    expect(idFor(payload(), 1_800_000_010)).not.toBe(idFor(payload(), 1_800_000_009));
    expect(idFor(payload(), null, 1_800_000_009)).toBe(idFor(payload(), 1_800_000_000, 1));
  });

  it('takes the place of the one that is there, and changes nothing else', () => {
    const text = ' { "created":1.50, "big":12345678901234567890, "id":{"a":"id"}, "data":{"id":"evt_1"} }';
    const named = withDedupeId(text, null, 1_800_000_000);
    expect(named.text).toBe(
      ` { "created":1800000000, "big":12345678901234567890, "id":"${named.id}", "data":{"id":"evt_1"} }`,
    );
    const bare = withDedupeId('{"type":"a"}', 7, 1_800_000_000);
    expect(JSON.parse(bare.text)).toEqual({ type: 'a', id: bare.id, created: 7 });
  });

  it('does not take long for a payload that is nested deep', () => {
    const deep = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
    const begin = performance.now();
    expect(idFor(deep)).toMatch(/^dedupe_/);
    expect(performance.now() - begin).toBeLessThan(5_000);
  });
});

describe('a sender whose ids cannot be used', () => {
  it('may deliver without ids and times: the same payload is one row, another one another', async () => {
    const account = await room.start();
    const time = Math.floor(Date.now() / 10_000) * 10;
    const first = JSON.stringify(payload({ created: time }));
    const again = JSON.stringify(payload({ created: time + 1, id: 'evt_new' }));
    const other = JSON.stringify(payload({ created: time, livemode: true }));
    expect((await room.deliver(account, first)).text).toBe('stored');
    expect((await room.deliver(account, again)).text).toBe('stored before');
    expect((await room.deliver(account, other)).text).toBe('stored');
    expect((await room.deliver(account, JSON.stringify(payload({ note: 'no time' })))).text).toBe('stored');
    const { rows } = await room.database.pool.query(
      `select id, object_id, event->>'id' as "in event" from stripe_sync.events where account = $1`,
      [account],
    );
    expect(rows).toHaveLength(3);
    for (const row of rows) {
      expect(row.id).toMatch(/^dedupe_/);
      expect(row).toMatchObject({ object_id: 'cus_1', 'in event': row.id });
    }
  });

  it('has to name the object all the same', async () => {
    const account = await room.start();
    expect((await room.deliver(account, JSON.stringify({ type: 'x', data: {} }))).status).toBe(400);
    expect((await room.deliver(account, eventText({ data: {} }))).text).toMatch(/hint/);
  });
});
