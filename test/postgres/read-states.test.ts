import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MOST_KNOWN } from '../../src/domain/chain.js';
import { readStates } from '../../src/postgres/read-states.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const entity = () => ({
  account: `a-${randomBytes(4).toString('hex')}`,
  object: 'customer',
  objectId: 'cus_1',
});

async function keep(
  of: ReturnType<typeof entity>,
  id: string,
  created: number,
  data: string,
  over: { objectId?: string; outcome?: string } = {},
) {
  await database.pool.query(
    `insert into stripe_sync.events
       (account, id, type, created, object, object_id, api_version, event, source, seen_at, outcome)
     values ($1, $2, 'customer.updated', to_timestamp($3), $4, $5, 'v1', $6, 'poll', now(), $7)`,
    [
      of.account,
      id,
      created,
      of.object,
      over.objectId ?? of.objectId,
      `{"data":${data}}`,
      over.outcome ?? null,
    ],
  );
}

async function read(of: ReturnType<typeof entity>, second: number) {
  const client = await database.pool.connect();
  try {
    return await readStates(client, of, second);
  } finally {
    client.release();
  }
}

describe('the changes of an entity in one second', () => {
  it('come with their states and what was there before, settled or not, and with every digit', async () => {
    const of = entity();
    const big = '{"object":{"n":9007199254740993,"d":0.050},"previous_attributes":{"n":9007199254740992}}';
    await keep(of, 'evt_b', 100, big);
    await keep(of, 'evt_a', 100, '{"object":{"n":1}}', { outcome: 'stale' });
    await keep(of, 'evt_c', 101, '{"object":{"n":2}}');
    await keep(of, 'evt_d', 99, '{"object":{"n":3}}');
    await keep(of, 'evt_e', 100, '{"object":{"n":4}}', { objectId: 'cus_2' });
    const states = await read(of, 100);
    expect(states).toMatchObject([
      {
        id: 'evt_a',
        type: 'customer.updated',
        apiVersion: 'v1',
        state: '{"n": 1}',
        previousAttributes: null,
      },
      { id: 'evt_b', previousAttributes: '{"n": 9007199254740992}' },
    ]);
    expect(states[1]?.state).toContain('9007199254740993');
    expect(states[1]?.state).toContain('0.050');
    const { rows } = await database.pool.query<{ digest: string }>(
      `select md5((event->'data'->'object')::text) as digest from stripe_sync.events where account = $1 and id = 'evt_b'`,
      [of.account],
    );
    expect(states[1]?.digest).toBe(rows[0]?.digest);
  });

  it('may have one whose payload could not be kept: no state, and so no evidence', async () => {
    const of = entity();
    await keep(of, 'evt_a', 100, '{}');
    expect(await read(of, 100)).toMatchObject([{ id: 'evt_a', digest: '', state: 'null' }]);
  });

  it('are one more than are compared, at most', async () => {
    const of = entity();
    for (let n = 0; n < MOST_KNOWN + 3; n += 1) await keep(of, `evt_${n}`, 100, `{"object":{"n":${n}}}`);
    expect(await read(of, 100)).toHaveLength(MOST_KNOWN + 1);
  });
});
