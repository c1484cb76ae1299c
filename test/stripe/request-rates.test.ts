import { describe, expect, it, test } from 'vitest';
import { paceSettings } from '../../src/stripe/request-rates.js';

describe('how fast a key may be used', () => {
  test.each([
    ['sk_live_1', 80],
    ['rk_live_1', 80],
    ['sk_test_1', 20],
    ['rk_test_1', 20],
  ])('%s sends %i requests a second at most, and 24 to one endpoint', (apiKey, total) => {
    const settings = paceSettings({ apiKey });
    expect(settings.total).toMatchObject({ perSecond: total, open: false });
    expect(settings.of('/v1/customers')).toMatchObject({ perSecond: 24, open: false });
  });

  test.each(['/v1/files', '/v1/files/:id', '/v1/customers/search'])('%s is asked less often', (endpoint) => {
    expect(paceSettings({ apiKey: 'sk_live_1' }).of(endpoint).perSecond).toBe(16);
    expect(paceSettings({ apiKey: 'sk_live_1', perSecond: 90 }).of(endpoint).perSecond).toBe(16);
    expect(paceSettings({ apiKey: 'sk_live_1', perSecond: 5 }).of(endpoint).perSecond).toBe(5);
  });

  it('leaves nearly all of what lists events to the live lane, which nothing else lives on', () => {
    expect(paceSettings({ apiKey: 'sk_live_1' }).of('/v1/events')).toMatchObject({
      perSecond: 24,
      liveShare: 0.96,
    });
    expect(paceSettings({ apiKey: 'sk_live_1' }).of('/v1/events/:id').liveShare).toBeUndefined();
  });

  it('is what the environment says', () => {
    const settings = paceSettings({ apiKey: 'sk_test_1', perSecond: 90, perSecondTotal: 400 });
    expect(settings.total.perSecond).toBe(400);
    expect(settings.of('/v1/file_links').perSecond).toBe(90);
  });

  test.each(['http://127.0.0.1:12111', 'http://localhost:1', 'http://[::1]:8080'])(
    'a server on this machine (%s) has no limit, unless one is set',
    (baseUrl) => {
      const settings = paceSettings({ apiKey: 'sk_test_1', baseUrl });
      expect(settings.total.open).toBe(true);
      expect(settings.of('/v1/customers').open).toBe(true);
      const set = paceSettings({ apiKey: 'sk_test_1', baseUrl, perSecond: 10 });
      expect(set.total.open).toBe(true);
      expect(set.of('/v1/customers')).toMatchObject({ perSecond: 10, open: false });
    },
  );

  it('is limited behind an address of one’s own too', () => {
    expect(paceSettings({ apiKey: 'sk_live_1', baseUrl: 'https://stripe.internal' }).total.open).toBe(false);
  });
});
