import { describe, expect, it } from 'vitest';
import { webhookSecretsOf } from '../../src/config.js';
import { UserError } from '../../src/domain/failures.js';

function problemOf(env: Record<string, string>): string {
  try {
    webhookSecretsOf(env);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('the secrets of an account', () => {
  it('are those of its own variable, or else the common ones', () => {
    const secretsOf = webhookSecretsOf({
      STRIPE_WEBHOOK_SECRET: 'whsec_common',
      STRIPE_WEBHOOK_SECRET_SHOP_EU: 'whsec_own',
      STRIPE_WEBHOOK_SECRET_BLANK: '  ',
    });
    expect(secretsOf('shop.eu')).toEqual(['whsec_own']);
    expect(secretsOf('Shop-EU')).toEqual(['whsec_own']);
    expect(secretsOf('acme')).toEqual(['whsec_common']);
    expect(secretsOf('blank')).toEqual(['whsec_common']);
  });

  it.each(['whsec_a,whsec_b', 'whsec_a whsec_b', ' whsec_a ,, whsec_b,\n', 'whsec_a\twhsec_b'])(
    'are several while one rolls: %j',
    (value) => {
      expect(webhookSecretsOf({ STRIPE_WEBHOOK_SECRET: value })('acme')).toEqual(['whsec_a', 'whsec_b']);
    },
  );

  it('are none for an account without a variable, where there is no common one', () => {
    expect(webhookSecretsOf({ STRIPE_WEBHOOK_SECRET_ACME: 'whsec_a' })('other')).toEqual([]);
  });

  it('have to be there: where none is, the message says what to set', () => {
    expect(problemOf({ STRIPE_WEBHOOK_SECRET: ' , ' })).toMatch(
      /set STRIPE_WEBHOOK_SECRET_<ALIAS> or STRIPE_WEBHOOK_SECRET/,
    );
  });

  it.each([
    'hunter2',
    'sk_test_hunter2',
    '"whsec_hunter2"',
    'whsec_',
    'whsec_a,hunter2',
    'whsec_a;whsec_hunter2',
  ])('%j is refused, by the name of its variable and not shown', (value) => {
    const message = problemOf({ STRIPE_WEBHOOK_SECRET: 'whsec_good', STRIPE_WEBHOOK_SECRET_ACME: value });
    expect(message).toContain('STRIPE_WEBHOOK_SECRET_ACME');
    expect(message).not.toContain('hunter2');
  });
});
