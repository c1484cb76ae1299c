import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRoom, eventText, type Reply, type Room } from './receiver-room.js';
import { nowSeconds, signed } from './signing.js';

const EACH = 1_000;
const AT_A_TIME = 20;

let room: Room;

beforeAll(async () => {
  room = await createRoom();
});
afterAll(() => room?.close());

async function flood(send: () => Promise<Reply>): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {};
  let left = EACH;
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      for (; left > 0; ) {
        left -= 1;
        const { status } = await send();
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
    }),
  );
  return statuses;
}

it('thousands of forged, stale, replayed, oversized and malformed deliveries leave nothing, and memory flat', async () => {
  const account = await room.start();
  const tolerated = eventText();
  await room.deliver(account, tolerated);
  const old = eventText({ created: nowSeconds() - 4_000 });
  const oldHeader = signed(old, { at: nowSeconds() - 3_600 });
  const oversized = Buffer.alloc(1_500_000, 'a');
  const floods: readonly [number, () => Promise<Reply>][] = [
    [400, () => sendForged(account)],
    [400, () => sendStale(account)],
    [400, () => room.deliver(account, old, oldHeader)],
    [413, () => room.deliver(account, oversized, `t=${nowSeconds()},v1=${'0'.repeat(64)}`)],
    [400, () => sendMalformed(account)],
    [200, () => room.deliver(account, tolerated)],
  ];
  // What the process takes once, it takes before.
  for (const [, send] of floods) await Promise.all(Array.from({ length: AT_A_TIME }, send));
  const rss = process.memoryUsage.rss();
  let peak = rss;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 20);
  const begin = performance.now();
  try {
    for (const [status, send] of floods) expect(await flood(send)).toEqual({ [status]: EACH });
  } finally {
    clearInterval(watch);
  }
  expect(performance.now() - begin).toBeLessThan(60_000);
  expect(peak - rss).toBeLessThan(150 * 2 ** 20);
  expect(await room.countRows()).toBe(1);
  const all = EACH + AT_A_TIME;
  expect(room.receiver.counts()[account]).toEqual({
    accepted: 1,
    duplicate: all,
    forged: all,
    stale: 2 * all,
    'too large': all,
    malformed: all,
  });
});

function sendForged(account: string): Promise<Reply> {
  const body = eventText();
  return room.deliver(account, body, signed(body, { secrets: ['whsec_guessed'] }));
}

function sendStale(account: string): Promise<Reply> {
  const body = eventText();
  return room.deliver(account, body, signed(body, { at: nowSeconds() + 400 }));
}

function sendMalformed(account: string): Promise<Reply> {
  return room.deliver(account, eventText().slice(0, -1));
}
