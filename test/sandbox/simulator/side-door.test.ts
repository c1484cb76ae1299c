import { expect, test } from 'vitest';
import type { Simulator } from '../../../src/sandbox/simulator/index.js';
import { ask, simulatorFor } from './asking.js';

const control = async (simulator: Simulator, order: object) => {
  const response = await fetch(`${simulator.url}/_simulator/control`, {
    method: 'POST',
    body: JSON.stringify(order),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

const linesOf = async (simulator: Simulator, path: string) => {
  const text = await (await fetch(`${simulator.url}/_simulator/${path}`)).text();
  return text === ''
    ? []
    : text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
};

test('another process reads the whole truth and all events over HTTP', async () => {
  const simulator = await simulatorFor();
  simulator.createMany('customer', 1500);
  simulator.makeChanges(200);
  const truth = await linesOf(simulator, 'truth');
  const size = [...simulator.truth().values()].reduce((sum, objects) => sum + objects.size, 0);
  expect(truth).toHaveLength(size);
  for (const { object, id, ...state } of truth.slice(0, 50)) {
    expect(state).toEqual(simulator.get(String(object), String(id)));
  }
  expect(await linesOf(simulator, 'events')).toEqual(simulator.events());
});

test('another process drives it: objects, traffic, clock, faults and key', async () => {
  const simulator = await simulatorFor();
  const made = await control(simulator, {
    create: { object: 'customer', fields: { name: 'Ada' } },
    seed: [{ object: 'coupon', count: 3 }],
  });
  expect(made.body).toMatchObject({ created: { name: 'Ada' }, seeded: [3] });
  const { id } = made.body.created as { id: string };
  await control(simulator, {
    update: { object: 'customer', id, fields: { name: 'Bea' }, options: { visibleAfterSeconds: 60 } },
  });
  expect((await ask(simulator, `/v1/customers/${id}`)).body.name).toBe('Bea');
  expect((await ask(simulator, '/v1/events')).body.data).toHaveLength(1);
  await control(simulator, { advanceClock: 61 });
  expect((await ask(simulator, '/v1/events')).body.data).toHaveLength(2);
  await control(simulator, { remove: { object: 'customer', id }, key: 'revoke' });
  expect((await ask(simulator, '/v1/events')).status).toBe(401);
  await control(simulator, { key: 'restore', addFault: { kind: 'server_error', next: 1 } });
  expect((await ask(simulator, '/v1/events')).status).toBe(500);
  await control(simulator, { traffic: { changesPerSecond: 500 } });
  await new Promise((resolve) => setTimeout(resolve, 300));
  await control(simulator, { traffic: null });
  const stats = (await (await fetch(`${simulator.url}/_simulator/stats`)).json()) as {
    changes: number;
    faults: object;
  };
  expect(stats.changes).toBeGreaterThan(20);
  expect(stats.faults).toEqual({ server_error: 1 });
  const { requests, answers } = simulator.stats();
  expect(await linesOf(simulator, 'request-stats')).toEqual([{ requests, answers }]);
  expect([requests.events, answers['401'], answers['500']]).toEqual([4, 1, 1]);
});

test('an order that makes no sense is refused with the reason', async () => {
  const simulator = await simulatorFor();
  for (const [order, reason] of [
    [{ explode: true }, /no control "explode"/],
    [{ create: { object: 'unicorn' } }, /no object "unicorn"/],
    [{ emit: { type: 'customer.created', object: 'coupon' } }, /about customer/],
    [{ advanceClock: -1 }, /go back/],
    [[], /JSON object/],
  ] as const) {
    const { status, body } = await control(simulator, order);
    expect(status).toBe(400);
    expect(body.error).toMatch(reason);
  }
  expect((await fetch(`${simulator.url}/_simulator/nothing`)).status).toBe(404);
});
