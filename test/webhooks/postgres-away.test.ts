import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../src/sandbox/ports.js';
import { eventually } from '../support/sync.js';
import { createRoom, deliverTo, eventText, type Room } from './receiver-room.js';
import { signed } from './signing.js';

let room: Room;

beforeAll(async () => {
  room = await createRoom();
});
afterAll(() => room?.close());

it('PostgreSQL is away: 503 with Retry-After, and nothing of the event is said', async () => {
  const account = await room.start();
  const receiver = await room.receive({
    connectionString: `postgres://nobody@127.0.0.1:${await freePort()}/none`,
  });
  const reply = await deliverTo(receiver.port, account, eventText());
  expect(reply).toMatchObject({ status: 503, text: 'nothing is stored for the moment: try again' });
  expect(reply.headers['retry-after']).toBe('10');
  expect(receiver.counts()[account]).toEqual({ unavailable: 1 });
  expect(await room.rows(account)).toEqual([]);
});

it('a forged delivery is refused without PostgreSQL', async () => {
  const receiver = await room.receive({
    connectionString: `postgres://nobody@127.0.0.1:${await freePort()}/none`,
  });
  const body = eventText();
  const header = signed(body, { secrets: ['whsec_wrong'] });
  expect((await deliverTo(receiver.port, 'acme', body, header)).status).toBe(400);
});

it('PostgreSQL cuts all connections and takes none for a while: 503, and 200 once it is back', async () => {
  const account = await room.start();
  const { url } = room.database;
  const name = new URL(url).pathname.slice(1);
  expect((await room.deliver(account, eventText())).status).toBe(200);
  const body = eventText();
  const admin = new pg.Client({ connectionString: url.replace(name, 'postgres') });
  await admin.connect();
  try {
    await admin.query(`alter database ${name} allow_connections false`);
    await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
    await eventually(async () =>
      (await room.deliver(account, body)).status === 503 ? null : 'it still answers',
    );
    await admin.query(`alter database ${name} allow_connections true`);
  } finally {
    await admin.end();
  }
  expect((await room.deliver(account, body)).status).toBe(200);
  expect(await room.rows(account)).toHaveLength(2);
  expect(room.lines.map(({ message }) => message).join()).toMatch(/cannot be stored.*stored again/);
});

it('PostgreSQL is stuck: 503 within seconds, and nothing is stored', async () => {
  const account = await room.start();
  const body = eventText();
  const client = await room.database.pool.connect();
  try {
    await client.query('begin');
    await client.query('lock table stripe_sync.events in access exclusive mode');
    const begin = performance.now();
    expect((await room.deliver(account, body)).status).toBe(503);
    expect(performance.now() - begin).toBeLessThan(6_000);
    await client.query('rollback');
  } finally {
    client.release();
  }
  expect(await room.rows(account)).toEqual([]);
  expect(await room.deliver(account, body)).toMatchObject({ status: 200, text: 'stored' });
});
