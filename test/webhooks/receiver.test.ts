import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../src/sandbox/ports.js';
import { createRoom, eventText, idOf, type Room } from './receiver-room.js';
import { nowSeconds, signed } from './signing.js';

let room: Room;

beforeAll(async () => {
  room = await createRoom();
});
afterAll(() => room?.close());

/** What listeners of the inbox hear first from now on. */
async function listening(): Promise<{ heard: Promise<unknown> }> {
  const listener = new pg.Client(room.database.url);
  await listener.connect();
  onTestFinished(() => listener.end());
  const heard = new Promise((resolve) => listener.on('notification', ({ payload }) => resolve(payload)));
  await listener.query('listen stripe_sync_inbox');
  return { heard };
}

describe('a delivery', () => {
  it('is in the inbox when it is answered with 200, with the time of its signature as when it was seen', async () => {
    const account = await room.start();
    const at = nowSeconds() - 20;
    const body = eventText({ created: at - 5 });
    expect(await room.deliver(account, body, signed(body, { at }))).toMatchObject({
      status: 200,
      text: 'stored',
    });
    const { rows } = await room.database.pool.query(
      `select id, type, object, object_id, source, outcome, event, extract(epoch from seen_at)::int as seen,
         extract(epoch from created)::int as created, listed_at
       from stripe_sync.events where account = $1`,
      [account],
    );
    const event = JSON.parse(body) as { id: string; data: { object: { id: string } } };
    expect(rows).toEqual([
      {
        id: event.id,
        type: 'customer.updated',
        object: 'customer',
        object_id: event.data.object.id,
        source: 'webhook',
        outcome: null,
        event,
        seen: at,
        created: at - 5,
        listed_at: null,
      },
    ]);
  });

  it('tells the account at once', async () => {
    const account = await room.start();
    const { heard } = await listening();
    await room.deliver(account, eventText());
    expect(await heard).toBe(account);
  });

  it('that comes again is one row, and 200', async () => {
    const account = await room.start();
    const body = eventText();
    await room.deliver(account, body);
    expect(await room.deliver(account, body)).toMatchObject({ status: 200, text: 'stored before' });
    expect(await room.rows(account)).toEqual([idOf(body)]);
  });

  it('that comes a hundred times at once is one row, and 200 each time', async () => {
    const account = await room.start();
    const body = eventText();
    const replies = await Promise.all(Array.from({ length: 100 }, () => room.deliver(account, body)));
    expect(replies.map(({ status }) => status)).toEqual(Array(100).fill(200));
    expect(replies.filter(({ text }) => text === 'stored')).toHaveLength(1);
    expect(await room.rows(account)).toEqual([idOf(body)]);
    expect(room.receiver.counts()[account]).toEqual({ accepted: 1, duplicate: 99 });
  });

  it('is stored for the account of its URL alone, whatever else comes at the same time', async () => {
    const accounts = await Promise.all([room.start(), room.start(), room.start()]);
    const sent = Array.from({ length: 150 }, (_, index) => ({
      account: accounts[index % 3] ?? '',
      body: eventText(),
    }));
    const replies = await Promise.all(sent.map(({ account, body }) => room.deliver(account, body)));
    expect(new Set(replies.map(({ text }) => text))).toEqual(new Set(['stored']));
    for (const account of accounts) {
      const ids = sent.filter((one) => one.account === account).map(({ body }) => idOf(body));
      expect(await room.rows(account)).toEqual(ids.sort());
    }
  });

  it('keeps white space, foreign letters and numbers digit by digit', async () => {
    const account = await room.start();
    const body = `\r\n {"id" :"evt_odd",\t"object":"event","created": ${nowSeconds()},
      "type":"customer.updated", "data":{"object":{"id":"cus_odd","object":"customer","name":"Ünï 漢字 😀 \\u00e9",
      "balance":12345678901234567890123,"rate":0.10000000000000000000001}}}  \n`;
    expect((await room.deliver(account, body)).status).toBe(200);
    const { rows } = await room.database.pool.query(
      `select event->'data'->'object'->>'name' as name, event->'data'->'object'->>'balance' as balance,
         event->'data'->'object'->>'rate' as rate from stripe_sync.events where account = $1`,
      [account],
    );
    expect(rows).toEqual([
      { name: 'Ünï 漢字 😀 é', balance: '12345678901234567890123', rate: '0.10000000000000000000001' },
    ]);
  });

  it('with what jsonb cannot hold is in the ledger all the same, and holds up none that came with it', async () => {
    const account = await room.start();
    const data = (extra: string) => `{"object":{"id":"cus_x","object":"customer","name":${extra}}}`;
    const texts = [
      eventText(),
      eventText({ data: 'HERE' }).replace('"HERE"', data('"a\\u0000b"')),
      eventText({ data: 'HERE' }).replace('"HERE"', data('1e999999')),
      eventText({ data: 'HERE' }).replace('"HERE"', data(`${'['.repeat(50_000)}${']'.repeat(50_000)}`)),
      eventText(),
    ];
    const replies = await Promise.all(texts.map((text) => room.deliver(account, text)));
    expect(replies.map(({ text }) => text)).toEqual(texts.map(() => 'stored'));
    expect(await room.rows(account)).toEqual(texts.map(idOf).sort());
    const { rows } = await room.database.pool.query(
      `select id from stripe_sync.events where account = $1 and outcome = 'parked'`,
      [account],
    );
    expect(rows.map(({ id }) => id).sort()).toEqual(
      [texts[2], texts[3]].map((text) => idOf(text ?? '')).sort(),
    );
  });

  it('of a connected account is kept, and ignored with the reason', async () => {
    const account = await room.start();
    await room.deliver(account, eventText({ account: 'acct_other' }));
    const { rows } = await room.database.pool.query(
      'select outcome, error from stripe_sync.events where account = $1',
      [account],
    );
    expect(rows).toEqual([{ outcome: 'ignored', error: 'it belongs to the connected account acct_other' }]);
  });

  it('that is thin is a hint: 200, nothing stored, and the account is told', async () => {
    const account = await room.start();
    const { heard } = await listening();
    const thin = JSON.stringify({
      id: 'evt_test_65x',
      object: 'v2.core.event',
      created: new Date().toISOString(),
      type: 'v1.customer.updated',
      related_object: { id: 'cus_1', type: 'customer', url: '/v1/customers/cus_1' },
    });
    expect(await room.deliver(account, thin)).toMatchObject({
      status: 200,
      text: /hint/ as unknown as string,
    });
    expect(await heard).toBe(account);
    expect((await room.deliver(account, eventText({ data: undefined }))).status).toBe(200);
    expect(await room.rows(account)).toEqual([]);
    expect(room.receiver.counts()[account]).toEqual({ hint: 2 });
    expect((await room.deliver('never-started', thin)).status).toBe(404);
  });
});

describe('the address', () => {
  it.each([
    '/',
    '/webhooks',
    '/webhooks/',
    '/webhooks/a/b',
    '/webhooks/%2e%2e',
    '/webhooks/a%20b',
    '/favicon.ico',
  ])('POST %s: 404', async (path) => {
    expect((await room.send('POST', path)).status).toBe(404);
  });

  it('of an account that was never started: 404, nothing stored, and taken once it is', async () => {
    const body = eventText();
    expect(await room.deliver('later', body)).toMatchObject({ status: 404 });
    expect(room.receiver.counts().later).toEqual({ 'not started': 1 });
    expect(await room.rows('later')).toEqual([]);
    await room.database.pool.query(
      `insert into stripe_sync.accounts (account, cursor_created) values ('later', now())`,
    );
    expect((await room.deliver('later', body)).status).toBe(200);
  });

  it.each(['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s is not for deliveries: 405', async (method) => {
    const reply = await room.send(method, '/webhooks/acme');
    expect(reply.status).toBe(405);
    expect(reply.headers.allow).toBe('POST');
  });

  it('of an account whose start failed, which left the connected account it was to read: 404', async () => {
    await room.database.pool.query(
      "insert into stripe_sync.accounts (account, stripe_account) values ('failed', 'acct_1')",
    );
    const body = eventText();
    const thin = eventText({ object: 'v2.core.event', type: 'v1.customer.created' });
    expect(await room.deliver('failed', body)).toMatchObject({ status: 404 });
    expect(await room.deliver('failed', thin)).toMatchObject({ status: 404 });
    expect(await room.rows('failed')).toEqual([]);
    await room.database.pool.query(
      "update stripe_sync.accounts set cursor_created = now() where account = 'failed'",
    );
    expect(await room.deliver('failed', body)).toMatchObject({ status: 200, text: 'stored' });
    expect((await room.deliver('failed', thin)).status).toBe(200);
  });

  it('any content type will do', async () => {
    const account = await room.start();
    const body = eventText();
    const answer = await fetch(`http://127.0.0.1:${room.receiver.port}/webhooks/${account}`, {
      method: 'POST',
      body,
      headers: { 'stripe-signature': signed(body), 'content-type': 'text/odd' },
    });
    expect(answer.status).toBe(200);
  });
});

describe('health', () => {
  it('is ok while PostgreSQL answers', async () => {
    expect(await room.send('GET', '/health')).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    expect(await room.send('GET', '/live')).toMatchObject({ status: 200, text: '{"status":"ok"}' });
  });

  it('is 503 where PostgreSQL is away; alive it is all the same', async () => {
    const receiver = await room.receive({
      connectionString: `postgres://nobody@127.0.0.1:${await freePort()}/none`,
    });
    const at = (path: string) => fetch(`http://127.0.0.1:${receiver.port}${path}`);
    expect((await at('/health')).status).toBe(503);
    expect((await at('/live')).status).toBe(200);
  });
});
