import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Simulator } from '../../../src/sandbox/simulator/index.js';
import { ask, askPage, simulatorFor } from './asking.js';

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'simulator-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const stateOf = (simulator: Simulator) => ({
  truth: [...simulator.truth()]
    .map(([object, objects]) => [object, [...objects].toSorted(([a], [b]) => (a < b ? -1 : 1))])
    .toSorted(),
  events: simulator.events(),
  apiKey: simulator.apiKey,
  account: simulator.account,
});

test('after a kill, a start on the same directory has the same objects, events and key', async () => {
  const directory = newDirectory();
  const first = await simulatorFor({ directory, seed: 5 });
  first.createMany('customer', 450);
  first.makeChanges(400);
  const restricted = first.createRestrictedKey(['rak_customer_read']);
  first.advanceClock(1000);
  const page = await askPage(first, '/v1/events?limit=100');
  // Nobody closes it: what is on disk has to be enough.
  const second = await simulatorFor({ directory });
  expect(stateOf(second)).toEqual(stateOf(first));
  expect(second.now() - first.now()).toBeLessThan(1);
  expect((await askPage(second, '/v1/events?limit=100')).data).toEqual(page.data);
  expect((await ask(second, '/v1/customers', restricted)).status).toBe(200);
  expect((await ask(second, '/v1/charges', restricted)).status).toBe(403);
});

test('a resumed account goes on with new ids, and resumes again', async () => {
  const directory = newDirectory();
  const states = [];
  for (let run = 0; run < 3; run += 1) {
    const simulator = await simulatorFor({ directory, seed: 5 });
    simulator.makeChanges(150);
    states.push(simulator.events().length);
    expect(new Set(simulator.events().map(({ id }) => id)).size).toBe(simulator.events().length);
    await simulator.close();
  }
  expect(states.toSorted((a, b) => a - b)).toEqual(states);
  expect(states[2]).toBeGreaterThan((states[0] ?? 0) * 2);
});

test('a line that a kill cut in half is a change that never was', async () => {
  const directory = newDirectory();
  const first = await simulatorFor({ directory });
  const { id } = first.create('customer', { name: 'Ada' });
  await first.close();
  const path = join(directory, 'journal.ndjson');
  const whole = readFileSync(path, 'utf8');
  appendFileSync(path, '{"entries":[{"object":"customer","id":"cus_half"');
  const second = await simulatorFor({ directory });
  expect(stateOf(second)).toEqual(stateOf(first));
  await second.close();

  // The last change cut off: neither its object nor its event is left.
  truncateSync(path, 0);
  appendFileSync(path, whole.slice(0, -20));
  const third = await simulatorFor({ directory });
  expect(third.get('customer', String(id))).toBeUndefined();
  expect(third.events()).toEqual([]);
});

test('a damaged journal is reported with its place', async () => {
  const directory = newDirectory();
  appendFileSync(join(directory, 'journal.ndjson'), 'nonsense\n');
  await expect(simulatorFor({ directory })).rejects.toThrow(/damaged in line 1/);
});

test('deletions and late events survive a restart', async () => {
  const directory = newDirectory();
  let machine = 1_800_000_000_000;
  const options = { directory, machineNow: () => machine };
  const first = await simulatorFor(options);
  const id = String(first.create('customer').id);
  first.remove('customer', id, { visibleAfterSeconds: 20 });
  first.create('coupon', { id: 'x' });
  first.remove('coupon', 'x');
  await first.close();
  machine += 5000;
  const second = await simulatorFor(options);
  expect((await ask(second, `/v1/customers/${id}`)).body.deleted).toBe(true);
  expect((await askPage(second, '/v1/events?type=customer.deleted')).data).toEqual([]);
  second.create('coupon', { id: 'x' });
  machine += 16_000;
  expect((await askPage(second, '/v1/events?type=customer.deleted')).data).toHaveLength(1);
});
