import { connect } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/sandbox/ports.js';
import { createRoom, deliverTo, eventText, idOf, type Room } from './receiver-room.js';
import { nowSeconds, SECRET, signatureOf, signed } from './signing.js';

let room: Room;

beforeAll(async () => {
  room = await createRoom();
});
afterAll(() => room?.close());

/** What a raw connection is answered. */
function raw(port: number, ...parts: readonly (string | Buffer)[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(heard));
    for (const part of parts) socket.write(part);
  });
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
    const listener = new pg.Client(room.database.url);
    await listener.connect();
    try {
      const heard = new Promise((resolve) => listener.on('notification', ({ payload }) => resolve(payload)));
      await listener.query('listen stripe_sync_inbox');
      await room.deliver(account, eventText());
      expect(await heard).toBe(account);
    } finally {
      await listener.end();
    }
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
    const listener = new pg.Client(room.database.url);
    await listener.connect();
    try {
      const heard = new Promise((resolve) => listener.on('notification', ({ payload }) => resolve(payload)));
      await listener.query('listen stripe_sync_inbox');
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
    } finally {
      await listener.end();
    }
  });
});

describe('the signature', () => {
  it('may be of any secret of the account while one rolls, and of no other', async () => {
    const receiver = await room.receive({ secretsOf: () => ['whsec_old', 'whsec_new'] });
    const account = await room.start();
    const by = async (...secrets: readonly string[]) => {
      const body = eventText();
      return (await deliverTo(receiver.port, account, body, signed(body, { secrets }))).status;
    };
    expect(await by('whsec_old')).toBe(200);
    expect(await by('whsec_new')).toBe(200);
    expect(await by('whsec_new', 'whsec_old')).toBe(200);
    expect(await by('whsec_other', 'whsec_new')).toBe(200);
    expect(await by('whsec_other')).toBe(400);
    expect(await room.rows(account)).toHaveLength(4);
  });

  it('is good for 300 seconds before and after its time, and no second more', async () => {
    const at = 1_800_000_000;
    let now = at;
    const receiver = await room.receive({ now: () => now * 1000 + 999 });
    const account = await room.start();
    const statusAt = async (seconds: number) => {
      now = seconds;
      const body = eventText({ created: at });
      const { status, text } = await deliverTo(receiver.port, account, body, signed(body, { at }));
      return [status, text.includes('300 seconds')];
    };
    expect(await statusAt(at + 300)).toEqual([200, false]);
    expect(await statusAt(at + 301)).toEqual([400, true]);
    expect(await statusAt(at - 300)).toEqual([200, false]);
    expect(await statusAt(at - 301)).toEqual([400, true]);
    expect(receiver.counts()[account]).toEqual({ accepted: 2, stale: 2 });
  });

  const at = nowSeconds();
  it.each<[string, (body: string) => string | null]>([
    ['is missing', () => null],
    ['is empty', () => ''],
    ['is of another secret', (body) => signed(body, { secrets: ['whsec_wrong'] })],
    ['is of another body', (body) => signed(`${body} `)],
    ['is of another time', (body) => `t=${nowSeconds() - 1},v1=${signatureOf(body, SECRET, nowSeconds())}`],
    ['is of the scheme v0', (body) => signed(body).replace('v1=', 'v0=')],
    ['names no time', (body) => `v1=${signatureOf(body, SECRET, at)}`],
    ['names two times', (body) => `t=1,${signed(body)}`],
    ['names a time that is no number', (body) => `t=x,v1=${signatureOf(body, SECRET, Number.NaN)}`],
    ['holds nothing behind v1', () => `t=${nowSeconds()},v1=,v1`],
    ['holds too little behind v1', () => `t=${nowSeconds()},v1=0a`],
    ['holds no digits behind v1', () => `t=${nowSeconds()},v1=${'x'.repeat(64)}`],
  ])('%s: 400, nothing stored', async (_, header) => {
    const account = await room.start();
    const body = eventText();
    const reply = await room.deliver(account, body, header(body));
    expect(reply).toMatchObject({ status: 400 });
    expect(reply.text).toContain('signature');
    expect(await room.rows(account)).toEqual([]);
    expect(room.receiver.counts()[account]).toEqual({ forged: 1 });
  });
});

describe('what is no event', () => {
  it.each<[string, string | Buffer]>([
    ['no JSON', '{"id":"evt_1"'],
    ['a word', 'null'],
    ['a list of events', `[${eventText()}]`],
    ['another object', JSON.stringify({ id: 'cus_1', object: 'customer' })],
    ['an event without an id', eventText({ id: undefined })],
    ['an event with an odd id', eventText({ id: 'evt_\u0000' })],
    ['an event with a very long id', eventText({ id: 'e'.repeat(3000) })],
    ['an event without a time', eventText({ created: undefined })],
    ['an event of no whole second', eventText({ created: 1.5 })],
    [
      'an event whose second is written in an odd way',
      eventText({ created: 1_800_000_000 }).replace('1800000000', '1800000000.0'),
    ],
    ['an event without a type', eventText({ type: undefined })],
    ['a text with a byte order mark', `\ufeff${eventText()}`],
    ['bytes that are no UTF-8', Buffer.from(eventText({ type: 'ä' }), 'latin1')],
  ])('%s: 400, nothing stored', async (_, body) => {
    const account = await room.start();
    expect((await room.deliver(account, body)).status).toBe(400);
    expect(await room.rows(account)).toEqual([]);
  });

  it('has no part of the body in its answer or in the log', async () => {
    const account = await room.start();
    const reply = await room.deliver(account, '{"email":"jenny@rosen.example"');
    expect(reply.text + JSON.stringify(reply.headers)).not.toContain('jenny');
    expect(JSON.stringify(room.lines)).not.toMatch(/jenny|whsec_/);
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

describe('the size of a body', () => {
  const head = (account: string, ...more: readonly string[]) =>
    [
      `POST /webhooks/${account} HTTP/1.1`,
      'Host: x',
      `Stripe-Signature: t=${nowSeconds()},v1=${'0'.repeat(64)}`,
      ...more,
      '',
      '',
    ].join('\r\n');
  const MIB = 1024 * 1024;

  it('up to 1 MiB is taken, one byte more is not', async () => {
    const account = await room.start();
    const text = eventText();
    const fitting = text + ' '.repeat(MIB - text.length);
    expect((await room.deliver(account, fitting)).status).toBe(200);
    expect((await room.deliver(account, `${fitting} `)).status).toBe(413);
  });

  it('is refused by its length before it is sent', async () => {
    const account = await room.start();
    const answer = await raw(room.receiver.port, head(account, `Content-Length: ${MIB + 1}`));
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('is refused while it is read where no length is told', async () => {
    const account = await room.start();
    const chunk = Buffer.concat([
      Buffer.from(`${MIB.toString(16)}\r\n`),
      Buffer.alloc(MIB),
      Buffer.from('\r\n'),
    ]);
    const answer = await raw(room.receiver.port, head(account, 'Transfer-Encoding: chunked'), chunk, chunk);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(room.receiver.counts()[account]).toEqual({ 'too large': 1 });
  });

  it('that is more than was told is a request of its own, and refused', async () => {
    const account = await room.start();
    const body = eventText();
    const lying = head(account, 'Content-Length: 10');
    expect(await raw(room.receiver.port, lying, body)).toMatch(/^HTTP\/1\.1 400 /);
    expect(await room.rows(account)).toEqual([]);
  });

  it('that never comes to its end is cut after ten seconds', async () => {
    const account = await room.start();
    const begin = performance.now();
    const answer = await raw(room.receiver.port, head(account, 'Content-Length: 1000'), '{');
    expect(answer).toMatch(/^(HTTP\/1\.1 408 |$)/);
    expect(performance.now() - begin).toBeLessThan(14_000);
    expect(await room.rows(account)).toEqual([]);
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
