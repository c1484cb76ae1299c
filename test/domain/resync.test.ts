import { describe, expect, it } from 'vitest';
import { isWhole, nextResync, resyncFrom, sinceOf } from '../../src/domain/resync.js';

describe('what a signal asks for', () => {
  it('is everything without a payload, and what the account was started with, where that was less', () => {
    expect(resyncFrom(undefined, null)).toEqual({ types: null, reason: 'asked for' });
    expect(resyncFrom({}, ['customer'])).toEqual({ types: ['customer'], reason: 'asked for' });
  });

  it('is what makes sense of a payload from anywhere', () => {
    const odd = {
      types: ['customers', 7, null],
      since: 'yesterday',
      sinceOf: { charge: 5.7, plan: 'x' },
      reason: 1,
    };
    expect(resyncFrom(odd, null)).toEqual({
      types: ['customers'],
      reason: 'asked for',
      sinceOf: { charge: 5 },
    });
    expect(resyncFrom('customers', null)).toEqual({ types: null, reason: 'asked for' });
    expect(resyncFrom({ since: 100 }, null)).toEqual({ types: null, reason: 'asked for', since: 100 });
  });
});

describe('several resyncs that wait', () => {
  it('are one, where one of them asks for everything', () => {
    const asked = [
      { types: ['charge'], reason: 'refresh' },
      { types: null, reason: 'asked for' },
      { types: null, since: 5, reason: 'asked for' },
    ];
    expect(nextResync(asked)).toEqual({ next: { types: null, reason: 'refresh' }, rest: [] });
  });

  it('become one where they name types: each from the earliest second, and whole where one asks for that', () => {
    const asked = [
      { types: ['charge', 'payout'], sinceOf: { charge: 50, payout: 60 }, reason: 'refresh' },
      { types: ['charge'], since: 40, reason: 'asked for' },
      { types: ['payout', 'plan'], reason: 'asked for' },
    ];
    const chosen = nextResync(asked);
    expect(chosen?.next).toEqual({
      types: ['charge', 'payout', 'plan'],
      sinceOf: { charge: 40 },
      reason: 'refresh',
    });
    expect(chosen?.rest).toEqual([]);
    expect(chosen && isWhole(chosen.next)).toBe(false);
  });

  it('go one after the other where one asks for what is new of everything', () => {
    const news = { types: null, since: 5, reason: 'asked for' };
    const plans = { types: ['plan'], reason: 'asked for' };
    expect(nextResync([news, plans])).toEqual({ next: news, rest: [plans] });
    expect(nextResync([plans, news])).toEqual({
      next: { types: ['plan'], reason: 'asked for' },
      rest: [news],
    });
    expect(nextResync([])).toBeNull();
  });

  it('ask for a type from its own second on, or from that of all', () => {
    const resync = { types: null, since: 5, sinceOf: { plan: 3 }, reason: '' };
    expect([sinceOf(resync, 'plan'), sinceOf(resync, 'charge')]).toEqual([3, 5]);
    expect(sinceOf({ types: null, reason: '' }, 'plan')).toBeNull();
  });
});
