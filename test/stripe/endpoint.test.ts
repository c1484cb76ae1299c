import { describe, expect, it, test } from 'vitest';
import { catalogObjects } from '../../src/stripe/catalog.js';
import { endpointOf } from '../../src/stripe/endpoint.js';

describe('the endpoint of a path', () => {
  test.each([
    ['/v1/customers', '/v1/customers'],
    ['/v1/customers?limit=100&created[gte]=1', '/v1/customers'],
    ['/v1/customers/cus_1', '/v1/customers/:id'],
    ['/v1/customers/cus_1?expand[]=sources', '/v1/customers/:id'],
    ['/v1/customers/search?query=x', '/v1/customers/search'],
    ['/v1/customers/cus_1/sources', '/v1/customers/:id/sources'],
    ['/v1/customers/cus_1/sources/card_1', '/v1/customers/:id/sources/:id'],
    ['/v1/checkout/sessions/cs_test_a1/line_items?limit=100', '/v1/checkout/sessions/:id/line_items'],
    ['/v1/radar/value_lists', '/v1/radar/value_lists'],
    ['/v1/tax/settings', '/v1/tax/settings'],
    ['/v1/three_d_secure/authentications/tds_1', '/v1/three_d_secure/authentications/:id'],
    ['/v1/exchange_rates/usd', '/v1/exchange_rates/:id'],
    // Ids that a merchant chose.
    ['/v1/coupons/SUMMER', '/v1/coupons/:id'],
    ['/v1/products/gold', '/v1/products/:id'],
    ['/v1/coupons/100%25%2Foff', '/v1/coupons/:id'],
    // Not in the catalog.
    ['/v1/brand_new/things', '/v1/brand_new/things'],
    ['/v1/brand_new/things/thing_1Ab/parts?limit=1', '/v1/brand_new/things/:id/parts'],
    ['/v1/brand_new/things/thing_AbCd', '/v1/brand_new/things/:id'],
    ['/v1/customers/cus_1/brand_new/42', '/v1/customers/:id/brand_new/:id'],
    ['/v2/core/events', '/v2/core/events'],
    ['', ''],
  ])('%s is %s', (path, endpoint) => {
    expect(endpointOf(path)).toBe(endpoint);
  });

  it('is the one of the catalog, for every list and every object in it', () => {
    const paths = catalogObjects().flatMap(({ listPath, retrievePath, otherListPaths, otherRetrievePaths }) =>
      [listPath, retrievePath, ...otherListPaths, ...otherRetrievePaths].filter((path) => path !== null),
    );
    expect(paths.length).toBeGreaterThan(200);
    for (const path of paths) {
      const asked = path.replace(/\{\w+\}/g, 'any_Thing-1');
      expect(endpointOf(`${asked}?limit=1`)).toBe(path.replace(/\{\w+\}/g, ':id'));
    }
  });
});
