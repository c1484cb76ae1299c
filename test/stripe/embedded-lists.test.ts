import { describe, expect, it } from 'vitest';
import { catalogObjects } from '../../src/stripe/catalog.js';
import { cutLists, cutOnPage, pageOfList, withWholeLists } from '../../src/stripe/embedded-lists.js';

const list = (hasMore: boolean, data: unknown[] = [], url: unknown = '/v1/x') => ({
  object: 'list',
  data,
  has_more: hasMore,
  url,
});

function under(path: string, value: unknown): Record<string, unknown> {
  const [first = '', ...rest] = path.split('.');
  return { [first]: rest.length === 0 ? value : under(rest.join('.'), value) };
}

const CATALOGUED = catalogObjects().flatMap(({ object, embeddedLists }) =>
  embeddedLists.map(({ field }) => ({ object, field })),
);

describe('the cut lists of an object', () => {
  it('are known for 18 objects of the catalog, and each of their fields is looked at', () => {
    expect(new Set(CATALOGUED.map(({ object }) => object)).size).toBe(18);
    for (const { object, field } of CATALOGUED) {
      expect(cutLists(JSON.stringify({ object, id: 'x_1', ...under(field, list(true)) }))).toHaveLength(1);
      expect(cutLists(JSON.stringify({ object, id: 'x_1', ...under(field, list(false)) }))).toEqual([]);
    }
  });

  it('may be in the items of a list that is whole: the items of a subscription of a customer', () => {
    const subscription = {
      object: 'subscription',
      items: list(true, [], '/v1/subscription_items?subscription=sub_1'),
    };
    const text = JSON.stringify({ object: 'customer', subscriptions: list(false, [{}, subscription]) });
    expect(cutLists(text).map(({ url }) => url)).toEqual(['/v1/subscription_items?subscription=sub_1']);
  });

  it('do not include what is inside of another cut one, whose items are all read anew', () => {
    const subscription = { object: 'subscription', items: list(true, [], '/v1/inner') };
    const text = JSON.stringify({
      subscriptions: list(true, [subscription], '/v1/outer'),
      sources: list(true, [], '/v1/other'),
    });
    expect(cutLists(text).map(({ url }) => url)).toEqual(['/v1/outer', '/v1/other']);
  });

  it('do not include what only looks like one', () => {
    const metadata = { note: '"has_more": true, "object": "list"', has_more: 'true' };
    const text = JSON.stringify({
      metadata,
      has_more: true,
      data: [],
      nested: { object: 'search_result', has_more: true },
    });
    expect(cutLists(text)).toEqual([]);
  });

  it('have no URL where they say none that is a text', () => {
    expect(cutLists(JSON.stringify({ lines: list(true, [], null) }))[0]?.url).toBeNull();
  });
});

describe('a page of a listing', () => {
  const object = (id: string, hasMore: boolean) => ({ id, items: list(hasMore) });
  it.each([true, false])(
    'names the objects with a cut list, whether or not it is the last (%s)',
    (hasMore) => {
      const page = (...objects: unknown[]) => JSON.stringify(list(hasMore, objects));
      expect(cutOnPage(page(object('a', false), object('b', true), object('c', true)), hasMore)).toEqual([
        1, 2,
      ]);
      expect(cutOnPage(page(object('a', false), object('b', false)), hasMore)).toEqual([]);
    },
  );
});

describe('an object with whole lists', () => {
  it('is the same text but for the items and has_more', () => {
    const text =
      '{"amount": 1.0, "lines": {"has_more": true , "data":[ {"id":"a"} ],"object":"list","total_count":3}}';
    const lists = cutLists(text).map((cut) => ({ list: cut, items: ['{"id":"a","n":0.050}', '{"id":"b"}'] }));
    expect(withWholeLists(text, lists)).toBe(
      '{"amount": 1.0, "lines": {"has_more": false , "data":[{"id":"a","n":0.050},{"id":"b"}],"object":"list","total_count":3}}',
    );
  });
});

describe('a page of an embedded list', () => {
  it('keeps the query that its URL has', () => {
    expect(pageOfList('/v1/invoices/in_1/lines', null)).toBe('/v1/invoices/in_1/lines?limit=100');
    expect(pageOfList('/v1/subscription_items?subscription=sub_1&limit=3', 'si &1')).toBe(
      '/v1/subscription_items?subscription=sub_1&limit=100&starting_after=si+%261',
    );
  });
});
