import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { validateAlias } from '../../src/config.js';
import { aliasOf, type Holder, holderOf, stepFor } from '../../src/domain/connected.js';

const holder = (over: Partial<Holder> = {}): Holder => ({
  account: 'shop',
  stripeAccount: 'acct_1A2b3C',
  followed: false,
  opened: true,
  ...over,
});

describe('the alias of a connected account', () => {
  it('is its id', () => {
    expect(aliasOf('acct_1A2b3C')).toBe('acct_1A2b3C');
  });

  it('is none where the id is no account, or could not be an alias', () => {
    for (const id of ['', 'acct_', 'shop', 'acct_1/2', 'acct_ü', 'acct_1 ', `acct_${'a'.repeat(60)}`]) {
      expect(aliasOf(id)).toBeNull();
    }
  });

  it('is always one that the command line takes', () => {
    const ids = fc.oneof(
      fc.string().map((text) => `acct_${text}`),
      fc.stringMatching(/^acct_[A-Za-z0-9]{1,80}$/),
    );
    fc.assert(
      fc.property(ids, (id) => {
        const alias = aliasOf(id);
        if (alias !== null) expect(validateAlias(alias)).toBe(id);
      }),
    );
  });

  it('is the one under which the account is held already, the followed one first', () => {
    const holders = [
      holder({ account: 'noted', opened: false }),
      holder({ account: 'zulu' }),
      holder({ account: 'alpha' }),
      holder({ account: 'another', stripeAccount: 'acct_other', followed: true }),
    ];
    expect(holderOf(holders, 'acct_1A2b3C')?.account).toBe('alpha');
    expect(holderOf([...holders, holder({ account: 'zz', followed: true })], 'acct_1A2b3C')?.account).toBe(
      'zz',
    );
    expect(holderOf(holders, 'acct_new')).toBeNull();
  });
});

describe('a connected account', () => {
  it.each([
    { what: 'that nobody knows', known: null, runs: false, asked: false, step: 'start' },
    { what: 'that nobody knows, when asked', known: null, runs: false, asked: true, step: 'start' },
    { what: 'whose start was lost on the way', known: { opened: false }, runs: false, step: 'start' },
    { what: 'that runs under a name of its own', known: {}, runs: true, step: 'adopt' },
    { what: 'that was stopped before it was followed', known: {}, runs: false, step: 'leave' },
    { what: 'that was stopped before, when asked', known: {}, runs: false, asked: true, step: 'start' },
    { what: 'that is followed', known: { followed: true }, runs: true, step: 'leave' },
    { what: 'that was stopped by hand', known: { followed: true }, runs: false, step: 'leave' },
    {
      what: 'that was stopped by hand before it had begun',
      known: { followed: true, opened: false },
      runs: false,
      asked: true,
      step: 'leave',
    },
  ])('$what: $step', ({ known, runs, asked = false, step }) => {
    expect(stepFor(known === null ? null : holder(known), runs, asked)).toBe(step);
  });
});
