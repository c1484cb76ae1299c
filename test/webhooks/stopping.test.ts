import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../../src/domain/failures.js';
import { eventually } from '../support/sync.js';
import { createRoom, deliverTo, eventText, idOf, type Room } from './receiver-room.js';
import { nowSeconds, signed } from './signing.js';

let room: Room;

beforeAll(async () => {
  room = await createRoom();
});
afterAll(() => room?.close());

describe('a receiver that is told to stop', () => {
  it('ends what is under way with its answer, and takes no more', async () => {
    const account = await room.start();
    const receiver = await room.receive({});
    const body = eventText();
    const client = await room.database.pool.connect();
    try {
      await client.query('begin');
      await client.query('lock table stripe_sync.events in access exclusive mode');
      const underWay = deliverTo(receiver.port, account, body);
      await eventually(async () => {
        const { rows } = await client.query('select 1 from pg_locks where not granted');
        return rows.length > 0 ? null : 'the insert does not wait yet';
      });
      const closed = receiver.close();
      await expect(deliverTo(receiver.port, account, eventText())).rejects.toThrow(/ECONNREFUSED/);
      await client.query('rollback');
      const reply = await underWay;
      expect(reply).toMatchObject({ status: 200, text: 'stored' });
      expect(reply.headers.connection).toBe('close');
      await closed;
    } finally {
      client.release();
    }
    expect(await room.rows(account)).toEqual([idOf(body)]);
  });

  it('does not wait for idle connections, and may be told twice', async () => {
    const account = await room.start();
    const receiver = await room.receive({});
    const agent = new Agent({ keepAlive: true });
    const body = eventText();
    await new Promise((resolve, reject) => {
      const options = {
        agent,
        port: receiver.port,
        host: '127.0.0.1',
        method: 'POST',
        path: `/webhooks/${account}`,
        headers: { 'stripe-signature': signed(body) },
      };
      request(options, (response) => response.resume().on('end', resolve))
        .on('error', reject)
        .end(body);
    });
    const begin = performance.now();
    await Promise.all([receiver.close(), receiver.close()]);
    expect(performance.now() - begin).toBeLessThan(1_000);
    agent.destroy();
  });
});

describe('what is counted', () => {
  it('is logged in one line where it changed, and only then; counts and nothing else', async () => {
    const account = await room.start();
    const before = room.lines.length;
    const receiver = await room.receive({ countsEveryMs: 100 });
    const body = eventText();
    await deliverTo(receiver.port, account, body);
    await deliverTo(receiver.port, account, body);
    await deliverTo(receiver.port, account, body, `t=${nowSeconds()},v1=00`);
    const counted = () => room.lines.slice(before).map(({ fields }) => fields);
    await eventually(async () => (JSON.stringify(counted()).includes('forged') ? null : 'nothing is logged'));
    const { length } = counted();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(counted()).toHaveLength(length);
    expect(JSON.stringify(counted())).not.toMatch(/example|whsec|evt_/);
    expect(receiver.counts()).toEqual({ [account]: { accepted: 1, duplicate: 1, forged: 1 } });
  });

  it('takes no room for thousands of aliases that somebody made up', async () => {
    const receiver = await room.receive({});
    const account = await room.start();
    for (let index = 0; index < 300; index += 1) {
      await deliverTo(receiver.port, `made-up-${index}`, '{}', null);
    }
    await deliverTo(receiver.port, account, eventText());
    const counts = receiver.counts();
    expect(Object.keys(counts)).toHaveLength(102);
    expect(counts['(others)']).toEqual({ forged: 200 });
    expect(counts[account]).toEqual({ accepted: 1 });
  });
});

it('a port that is taken is said, with what to do', async () => {
  const failure = await room.receive({ port: room.receiver.port }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(UserError);
  expect((failure as UserError).message).toMatch(/something else listens there.*--webhooks/);
});
