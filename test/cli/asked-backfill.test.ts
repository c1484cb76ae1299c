import { describe, expect, it } from 'vitest';
import { type AskedBackfill, answers } from '../../src/cli/asked-backfill.js';
import { parseSince } from '../../src/cli/duration.js';
import type { ResyncRequest } from '../../workflows/messages.js';

const backfill = (over: Partial<AskedBackfill> = {}): AskedBackfill => ({
  types: null,
  since: null,
  sinceOf: {},
  accountTypes: null,
  ...over,
});

describe('a backfill lists what was asked for', () => {
  const all: ResyncRequest = {};
  const late: ResyncRequest = { since: 1_000 };
  const plans: ResyncRequest = { types: ['plan'] };
  const latePlans: ResyncRequest = { types: ['plan'], since: 1_000 };
  it.each<[string, AskedBackfill, readonly ResyncRequest[]]>([
    ['that of everything', backfill(), [all, late, plans, latePlans]],
    ['one of what is new since an earlier second', backfill({ since: 900 }), [late, latePlans]],
    ['one of what is new since a later second', backfill({ since: 1_001 }), []],
    ['one of types with the named ones', backfill({ types: ['coupon', 'plan'] }), [plans, latePlans]],
    ['one of other types', backfill({ types: ['coupon'] }), []],
    [
      'one that became one of several',
      backfill({ types: ['coupon', 'plan'], sinceOf: { plan: 1_000 } }),
      [latePlans],
    ],
    ['one of what is too new of the type', backfill({ types: ['plan'], sinceOf: { plan: 1_001 } }), []],
    [
      'that of all that the account holds',
      backfill({ types: ['plan', 'coupon'], accountTypes: ['coupon', 'plan'] }),
      [all, late, plans, latePlans],
    ],
    [
      'that of a part of it',
      backfill({ types: ['plan'], accountTypes: ['coupon', 'plan'] }),
      [plans, latePlans],
    ],
  ])('%s', (_, listed, answered) => {
    const requests = [all, late, plans, latePlans];
    expect(requests.filter((request) => answers(listed, request))).toEqual(answered);
  });
});

describe('a time that is over', () => {
  it('is so long ago, or a date in UTC unless it names another zone', () => {
    const now = Date.now() / 1000;
    expect(Math.abs(parseSince('7d') - (now - 7 * 86_400))).toBeLessThan(2);
    expect(Math.abs(parseSince('90m') - (now - 5_400))).toBeLessThan(2);
    expect(parseSince('2024-10-01')).toBe(Date.UTC(2024, 9, 1) / 1000);
    expect(parseSince('2024-10-01T12:30')).toBe(Date.UTC(2024, 9, 1, 12, 30) / 1000);
    expect(parseSince('2024-10-01T12:30:15.5+02:00')).toBe(Date.UTC(2024, 9, 1, 10, 30, 15) / 1000);
  });

  it.each([
    '2999-01-01',
    '2024-02-30',
    '2024-13-01',
    '2024-10-01T25:00',
    '2024',
    '1700000000',
    '7 days',
    '-7d',
    '',
  ])('is not %j', (text) => {
    expect(() => parseSince(text)).toThrow(/a time that is over, such as 24h/);
  });
});
