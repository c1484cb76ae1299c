/** In a file of its own, and so in a process of its own: it counts all sockets and timers that there are. */
import { expect, test } from 'vitest';
import { simulatorFor } from './asking.js';
import { pause, receiverFor } from './webhooks-receiver.js';

const quick = { firstSeconds: 0.05, factor: 2, giveUpSeconds: 30 };

test('after close nothing is left open and nothing more is sent', async () => {
  const hanging = await receiverFor(() => 'hang');
  const failing = await receiverFor(() => 500);
  const answering = await receiverFor();
  const open = () => {
    const counts = new Map<string, number>();
    for (const name of process.getActiveResourcesInfo()) counts.set(name, (counts.get(name) ?? 0) + 1);
    return [counts.get('TCPSocketWrap') ?? 0, counts.get('Timeout') ?? 0];
  };
  const [socketsBefore = 0, timersBefore = 0] = open();
  const simulator = await simulatorFor();
  simulator.addWebhookEndpoint({ url: hanging.url, delivery: { timeoutSeconds: 30 } });
  simulator.addWebhookEndpoint({ url: failing.url, delivery: { retry: quick } });
  simulator.addWebhookEndpoint({ url: answering.url, delivery: { duplicated: 1, delay: 0.2 } });
  for (let made = 0; made < 50; made += 1) simulator.create('customer');
  await hanging.until(20);
  await failing.until(20);
  expect(open()[0]).toBeGreaterThan(socketsBefore + 50);
  await simulator.close();
  const sent = simulator.stats().webhooks.sent;
  for (const receiver of [hanging, failing, answering]) {
    await expect.poll(() => receiver.connections(), { timeout: 700 }).toBe(0);
  }
  // What was in the wires at the close has been read by now.
  const received = [hanging, failing, answering].map((receiver) => receiver.received.length);
  await pause(1300);
  expect([hanging, failing, answering].map((receiver) => receiver.received.length)).toEqual(received);
  simulator.create('customer');
  await pause(100);
  expect(simulator.stats().webhooks.sent).toBe(sent);
  const [socketsAfter = 0, timersAfter = 0] = open();
  expect(socketsAfter).toBeLessThanOrEqual(socketsBefore);
  expect(timersAfter).toBeLessThanOrEqual(timersBefore);
});
