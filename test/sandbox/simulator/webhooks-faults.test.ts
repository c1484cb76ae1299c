import { expect, test } from 'vitest';
import { fateOf, liveRetries, retryPause } from '../../../src/sandbox/simulator/delivery-settings.js';
import { createDueQueue } from '../../../src/sandbox/simulator/due-queue.js';
import type { DeliverySettings, Simulator } from '../../../src/sandbox/simulator/index.js';
import { createRandom } from '../../../src/sandbox/simulator/random.js';
import { ask, simulatorFor } from './asking.js';
import { pause, type Received, type Reply, receiverFor, schemes } from './webhooks-receiver.js';

/** Days in seconds: four attempts within about 0.4 s. */
const quick = { firstSeconds: 0.05, factor: 2, giveUpSeconds: 0.5 };

const settled = (simulator: Simulator) =>
  expect.poll(() => simulator.deliveryStats().open, { timeout: 60_000, interval: 20 }).toBe(0);

test('a delivery is tried until a 2xx comes, with longer and longer pauses, and never after', async () => {
  const simulator = await simulatorFor();
  const replies: Reply[] = [500, 'cut', 302, 'cut_body', 204];
  const receiver = await receiverFor((_one, count) => replies[count - 1] ?? 200);
  simulator.addWebhookEndpoint({
    url: receiver.url,
    delivery: { retry: { firstSeconds: 0.05, factor: 2, giveUpSeconds: 60 } },
  });
  simulator.create('customer');
  const received = await receiver.until(replies.length);
  await settled(simulator);
  await pause(1500);
  expect(receiver.received).toHaveLength(replies.length);
  const gaps = received.slice(1).map(({ at }, index) => at - (received[index] as Received).at);
  for (const [index, gap] of gaps.entries()) {
    expect(gap).toBeGreaterThanOrEqual(50 * 2 ** index - 5);
    expect(gap).toBeLessThan(50 * 2 ** index + 400);
  }
  expect(new Set(received.map(({ event }) => event.id)).size).toBe(1);
  expect(simulator.stats().webhooks).toEqual({
    sent: 5,
    retried: 4,
    delivered: 1,
    failed: 0,
    dropped: 0,
    duplicated: 0,
    open: 0,
  });
  const [event] = simulator.events();
  const attempts = simulator.deliveries();
  expect(attempts.map(({ attempt, status }) => [attempt, status])).toEqual([
    [1, 500],
    [2, null],
    [3, 302],
    [4, null],
    [5, 204],
  ]);
  expect(attempts.every(({ problem, status }) => (problem === undefined) === (status !== null))).toBe(true);
  expect(simulator.deliveryOf(event?.id ?? '')).toEqual({
    attempts: 5,
    deliveredAt: attempts.at(-1)?.answeredAt,
    lastStatus: 204,
    pending: 0,
  });
});

test('each attempt is signed with its own time, on the simulated clock', async () => {
  const simulator = await simulatorFor({ skewSeconds: -5000 });
  const receiver = await receiverFor((_one, count) => (count === 1 ? 503 : 200));
  simulator.addWebhookEndpoint({ url: receiver.url });
  simulator.create('customer');
  await receiver.until(1);
  await expect.poll(() => simulator.deliveries().length).toBe(1);
  const before = simulator.now();
  simulator.advanceClock(61);
  const [first, second] = (await receiver.until(2)) as [Received, Received];
  const times = [first, second].map(({ signature }) => Number(schemes(signature).t?.[0]));
  expect(Math.abs((times[0] ?? 0) - (Date.now() / 1000 - 5000))).toBeLessThan(5);
  expect(times[1]).toBeGreaterThanOrEqual(Math.floor(before + 61));
  expect(second.signature).not.toBe(first.signature);
  const created = (one: Received) => one.event.created;
  expect(created(second)).toBe(created(first));
});

test('Stripe gives up after three days, unless the schedule says otherwise', async () => {
  const simulator = await simulatorFor();
  const receiver = await receiverFor(() => 500);
  simulator.addWebhookEndpoint({ url: receiver.url });
  simulator.create('customer');
  await receiver.until(1);
  for (let hour = 0; hour < 80; hour += 1) {
    simulator.advanceClock(3600);
    await pause(10);
    await expect
      .poll(() => simulator.stats().webhooks.sent - simulator.deliveries().length, { interval: 5 })
      .toBe(0);
  }
  const attempts = simulator.deliveries();
  const lasted = (attempts.at(-1)?.sentAt ?? 0) - (attempts[0]?.sentAt ?? 0);
  expect(attempts.length).toBeGreaterThan(6);
  expect(lasted).toBeGreaterThan(2 * 86_400);
  expect(lasted).toBeLessThanOrEqual(3 * 86_400 + 3600);
  expect(simulator.stats().webhooks).toMatchObject({ delivered: 0, failed: 1, open: 0 });
  expect(simulator.deliveryOf(simulator.events()[0]?.id ?? '')).toMatchObject({
    deliveredAt: null,
    lastStatus: 500,
    pending: 1,
  });

  const three = await receiverFor(() => 500);
  simulator.addWebhookEndpoint({
    url: three.url,
    delivery: { retry: { ...quick, giveUpSeconds: 3600, attempts: 3 } },
  });
  simulator.create('customer');
  await three.until(3);
  await pause(600);
  expect(three.received).toHaveLength(3);
});

test('the pauses grow up to their most, and none goes past the end', () => {
  const pauses: number[] = [];
  let elapsed = 0;
  for (let attempts = 1; ; attempts += 1) {
    const next = retryPause(liveRetries, attempts, elapsed);
    if (next === undefined) break;
    pauses.push(next);
    elapsed += next;
  }
  expect(pauses.slice(0, 4)).toEqual([60, 240, 960, 3840]);
  expect(Math.max(...pauses)).toBe(12 * 3600);
  expect(elapsed).toBeLessThanOrEqual(3 * 86_400);
  expect(elapsed).toBeGreaterThan(2 * 86_400);
});

test('a receiver that does not answer in time, or is not there, has failed', async () => {
  const simulator = await simulatorFor();
  const silent = await receiverFor(() => 'hang');
  simulator.addWebhookEndpoint({ url: silent.url, delivery: { timeoutSeconds: 0.1, retry: quick } });
  simulator.addWebhookEndpoint({ url: 'http://127.0.0.1:9/nobody', delivery: { retry: quick } });
  simulator.create('customer');
  await settled(simulator);
  expect(silent.received.length).toBeGreaterThan(1);
  const problems = new Set(simulator.deliveries().map(({ problem }) => problem));
  expect([...problems].sort()).toEqual([
    expect.stringMatching(/ECONNREFUSED/),
    expect.stringMatching(/no whole answer within 0.1 s/),
  ]);
  expect(simulator.stats().webhooks).toMatchObject({ delivered: 0, failed: 2 });
});

interface Outcome {
  readonly order: string[];
  readonly times: Map<string, number>;
}

/** Makes 2,000 events and tells what came, in the order of its coming. */
async function deliverMany(delivery: DeliverySettings, slow: (one: Received) => number): Promise<Outcome> {
  const simulator = await simulatorFor({ seed: 11 });
  const receiver = await receiverFor(async (one) => {
    await pause(slow(one));
    return 200;
  });
  simulator.addWebhookEndpoint({ url: receiver.url, delivery });
  for (let made = 0; made < 2000; made += 1) simulator.create('customer');
  await settled(simulator);
  const order = receiver.received.map(({ event }) => event.id);
  const times = new Map<string, number>();
  for (const id of order) times.set(id, (times.get(id) ?? 0) + 1);
  const { dropped, duplicated, delivered, sent } = simulator.stats().webhooks;
  expect(dropped).toBe(2000 - times.size);
  expect(duplicated).toBe([...times.values()].filter((count) => count === 2).length);
  expect([delivered, sent]).toEqual([order.length, order.length]);
  for (const { id } of simulator.events()) {
    expect(simulator.deliveryOf(id)?.attempts).toBe(times.get(id) ?? 0);
  }
  return { order, times };
}

test('of 2,000 events the set shares are dropped and doubled, and the same ones in any order of answers', async () => {
  const delivery = { dropped: 0.1, duplicated: 0.2, concurrency: 32 };
  const one = await deliverMany(delivery, () => 0);
  expect(2000 - one.times.size).toBeGreaterThan(150);
  expect(2000 - one.times.size).toBeLessThan(250);
  const doubled = [...one.times.values()].filter((count) => count === 2).length;
  expect(doubled).toBeGreaterThan(290);
  expect(doubled).toBeLessThan(430);
  expect(Math.max(...one.times.values())).toBe(2);

  const other = await deliverMany(delivery, ({ raw }) => raw.length % 5);
  expect(new Map([...other.times].sort())).toEqual(new Map([...one.times].sort()));
});

test('of 2,000 events the set share is held back, and others overtake it', async () => {
  const simulator = await simulatorFor({ seed: 5 });
  const receiver = await receiverFor();
  simulator.addWebhookEndpoint({ url: receiver.url, delivery: { shuffled: 0.25, shuffleSeconds: 600 } });
  for (let made = 0; made < 2000; made += 1) simulator.create('customer');
  const inOrder = simulator.events().sort((a, b) => a.sequence - b.sequence);
  const place = new Map(inOrder.map(({ id }, index) => [id, index]));
  await expect.poll(() => receiver.received.length, { timeout: 20_000 }).toBeGreaterThan(1400);
  await pause(300);
  const heldBack = 2000 - receiver.received.length;
  expect(heldBack).toBeGreaterThan(420);
  expect(heldBack).toBeLessThan(580);
  for (let minute = 0; minute < 11; minute += 1) {
    simulator.advanceClock(60);
    await pause(30);
  }
  await settled(simulator);
  const late = receiver.received.slice(2000 - heldBack).map(({ event }) => place.get(event.id) ?? -1);
  expect(new Set(receiver.received.map(({ event }) => event.id)).size).toBe(2000);
  // What was held back comes in an order of its own: about half of all neighbours are the wrong way round.
  const inversions = late.filter((value, index) => value < (late[index - 1] ?? -1)).length;
  expect(inversions / late.length).toBeGreaterThan(0.4);
  expect(inversions / late.length).toBeLessThan(0.6);
});

test('without a fault, events come in the order of their making', async () => {
  const simulator = await simulatorFor();
  const receiver = await receiverFor();
  simulator.addWebhookEndpoint({ url: receiver.url, delivery: { concurrency: 1 } });
  for (let made = 0; made < 200; made += 1) simulator.create('customer');
  await receiver.until(200);
  const sequences = receiver.received.map(({ event }) => simulator.event(event.id)?.sequence ?? -1);
  expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
});

test('what becomes of an event follows from the seed and the event, and not from another setting', () => {
  const fate = (seed: number, event: string, settings: DeliverySettings) =>
    fateOf(settings, (label) => createRandom(seed, `${event}/${label}`));
  const settings: DeliverySettings = {
    dropped: 0.2,
    duplicated: 0.3,
    shuffled: 0.5,
    delay: { p50: 1, p99: 5, max: 8 },
  };
  const events = Array.from({ length: 500 }, (_, index) => `evt_${index}`);
  const all = events.map((event) => fate(1, event, settings));
  expect(events.map((event) => fate(1, event, settings))).toEqual(all);
  expect([...events].reverse().map((event) => fate(1, event, settings))).toEqual([...all].reverse());
  expect(events.map((event) => fate(2, event, settings))).not.toEqual(all);
  const undropped = events.map((event) => fate(1, event, { ...settings, dropped: 0 }));
  for (const [index, delays] of all.entries())
    if (delays.length > 0) expect(undropped[index]).toEqual(delays);
  for (const delays of all) for (const delay of delays) expect(delay).toBeLessThanOrEqual(8 + 2);
  expect(new Set(all.flat()).size).toBe(all.flat().length);
});

test('of what waits, the first that is due is taken, and nothing before its time', () => {
  const random = createRandom(1);
  const queue = createDueQueue<{ due: number; order: number }>();
  for (let order = 0; order < 1000; order += 1) {
    const due = random.integer(0, 99);
    queue.push(due, { due, order });
  }
  const taken: { due: number; order: number }[] = [];
  for (let now = 0; now < 100; now += 1) {
    for (let next = queue.takeDue(now); next !== undefined; next = queue.takeDue(now)) {
      expect(next.due).toBe(now);
      taken.push(next);
    }
    expect(queue.nextDueAt() ?? 100).toBeGreaterThan(now);
  }
  expect(taken).toEqual([...taken].sort((a, b) => a.due - b.due || a.order - b.order));
  expect(taken).toHaveLength(1000);
});

test('no more deliveries are under way than the endpoint is given', async () => {
  const simulator = await simulatorFor();
  const receiver = await receiverFor(async () => {
    await pause(20);
    return 200;
  });
  simulator.addWebhookEndpoint({ url: receiver.url, delivery: { concurrency: 3 } });
  for (let made = 0; made < 60; made += 1) simulator.create('customer');
  await settled(simulator);
  expect(receiver.received).toHaveLength(60);
  expect(receiver.mostAtOnce()).toBe(3);
});

test('a disabled endpoint gets nothing, and what was to be tried again meanwhile is given up', async () => {
  const simulator = await simulatorFor();
  const receiver = await receiverFor((_one, count) => (count <= 2 ? 500 : 200));
  const { id } = simulator.addWebhookEndpoint({ url: receiver.url });
  simulator.create('customer');
  simulator.create('customer');
  await expect.poll(() => simulator.deliveries().length).toBe(2);
  simulator.updateWebhookEndpoint(id, { disabled: true });
  simulator.create('customer');
  // Enabled again before the retry falls due, nothing is lost of what was on its way.
  simulator.updateWebhookEndpoint(id, { disabled: false });
  simulator.advanceClock(61);
  await settled(simulator);
  expect(simulator.stats().webhooks).toMatchObject({ sent: 4, delivered: 2, failed: 0 });

  const failing = await receiverFor(() => 500);
  simulator.updateWebhookEndpoint(id, { url: failing.url });
  simulator.create('customer');
  await failing.until(1);
  await expect.poll(() => simulator.deliveries().length).toBe(5);
  simulator.updateWebhookEndpoint(id, { disabled: true });
  simulator.advanceClock(61);
  await settled(simulator);
  simulator.updateWebhookEndpoint(id, { disabled: false });
  simulator.advanceClock(86_400);
  await pause(100);
  expect(failing.received).toHaveLength(1);
  expect(simulator.stats().webhooks).toMatchObject({ sent: 5, failed: 1, open: 0 });
});

test('an endpoint that is removed gets no further attempt', async () => {
  const simulator = await simulatorFor();
  const receiver = await receiverFor(() => 500);
  const { id } = simulator.addWebhookEndpoint({ url: receiver.url, delivery: { retry: quick } });
  simulator.create('customer');
  await receiver.until(1);
  simulator.removeWebhookEndpoint(id);
  await settled(simulator);
  const count = receiver.received.length;
  await pause(600);
  expect(receiver.received).toHaveLength(count);
  expect(simulator.stats().webhooks.failed).toBe(1);
});

test('deliveries that hang or pile up hold up no answer of the API', async () => {
  const simulator = await simulatorFor();
  const hanging = await receiverFor(() => 'hang');
  const busy = await receiverFor();
  simulator.addWebhookEndpoint({ url: hanging.url });
  simulator.addWebhookEndpoint({ url: busy.url });
  for (let made = 0; made < 1000; made += 1) simulator.create('customer');
  expect(hanging.received).toHaveLength(0);
  const times: number[] = [];
  while (busy.received.length < 1000) {
    const start = performance.now();
    expect((await ask(simulator, '/v1/customers?limit=1')).status).toBe(200);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  expect(times[Math.floor(times.length / 2)]).toBeLessThan(250);
});
