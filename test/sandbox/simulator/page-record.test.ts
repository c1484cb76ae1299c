import { expect, test } from 'vitest';
import { ask, askPage, simulatorFor, walk } from './asking.js';

test('pages are counted per list, and those that were asked for twice stand out', async () => {
  const simulator = await simulatorFor();
  simulator.createMany('customer', 250);
  simulator.recordPages(true);
  const before = Date.now() / 1000;
  await walk(simulator, '/v1/customers');
  const newest = await askPage(simulator, '/v1/customers?limit=100');
  await askPage(simulator, `/v1/customers?starting_after=${newest.data.at(-1)?.id}&limit=100`);
  const { '/v1/customers': pages } = simulator.stats().pages;
  expect(pages).toMatchObject({ pages: 5, differentPages: 3, objects: 450, differentObjects: 250 });
  expect(pages?.firstAt).toBeGreaterThanOrEqual(before);
  expect(pages?.lastAt).toBeGreaterThanOrEqual(pages?.firstAt ?? Number.POSITIVE_INFINITY);
  expect(pages?.lastAt).toBeLessThanOrEqual(Date.now() / 1000);
});

test('another range of a list is another page', async () => {
  const simulator = await simulatorFor();
  simulator.createMany('customer', 20, { from: 1_000, to: 2_000 });
  simulator.recordPages(true);
  for (const range of ['created[gte]=1000', 'created[gte]=1000&created[lt]=1500', 'created[gte]=1000'])
    await askPage(simulator, `/v1/customers?limit=100&${range}`);
  expect(simulator.stats().pages['/v1/customers']).toMatchObject({ pages: 3, differentPages: 2 });
});

test('lists of one parent are counted apart from those of another, and refused ones not at all', async () => {
  const simulator = await simulatorFor();
  const [one, other] = simulator.createMany('invoice', 2, { items: 3 });
  simulator.recordPages(true);
  await askPage(simulator, `/v1/invoices/${one}/lines`);
  await askPage(simulator, `/v1/invoices/${other}/lines`);
  await ask(simulator, '/v1/invoices?nonsense=1');
  simulator.addFault({ kind: 'rate_limit', next: 1 });
  await ask(simulator, '/v1/invoices');
  const { pages } = simulator.stats();
  expect(Object.keys(pages).sort()).toEqual(
    [`/v1/invoices/${one}/lines`, `/v1/invoices/${other}/lines`].sort(),
  );
  expect(pages[`/v1/invoices/${one}/lines`]).toMatchObject({ pages: 1, objects: 3 });
});

test('another process switches the record on and off, and it begins anew', async () => {
  const simulator = await simulatorFor();
  simulator.createMany('customer', 5);
  const control = async (order: object) => {
    const body = JSON.stringify(order);
    await fetch(`${simulator.url}/_simulator/control`, { method: 'POST', body });
  };
  const pages = async () => {
    const stats = await (await fetch(`${simulator.url}/_simulator/stats`)).json();
    return (stats as { pages: object }).pages;
  };
  await askPage(simulator, '/v1/customers');
  expect(await pages()).toEqual({});
  for (let round = 0; round < 2; round += 1) {
    await control({ recordPages: true });
    await askPage(simulator, '/v1/customers?limit=2');
    expect(await pages()).toMatchObject({ '/v1/customers': { pages: 1, objects: 2 } });
  }
  await control({ recordPages: false });
  expect(await pages()).toEqual({});
});
