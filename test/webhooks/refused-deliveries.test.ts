import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRoom, deliverTo, eventText, type Room } from './receiver-room.js';
import { nowSeconds, SECRET, signatureOf, signed } from './signing.js';

let room: Room;

beforeAll(async () => {
  room = await createRoom();
});
afterAll(() => room?.close());

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
