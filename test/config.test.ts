import { describe, expect, test } from 'vitest';
import { apiKeyOf, loadConfig, requestRatesOf, validateAlias } from '../src/config.js';
import { UserError } from '../src/domain/failures.js';

const DATABASE_URL = 'postgres://sync:hunter2@db.example:5432/app';

function problemOf(action: () => unknown): UserError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return error as UserError;
  }
  throw new Error('nothing was wrong with it');
}

describe('the environment', () => {
  test('only the database must be given; the rest has defaults', () => {
    expect(loadConfig({ DATABASE_URL })).toEqual({
      databaseUrl: DATABASE_URL,
      stripeApiBase: undefined,
      taskQueue: 'stripe-sync',
      logLevel: 'info',
    });
  });

  test('what is set is used, without the spaces around it', () => {
    const env = {
      DATABASE_URL: ` ${DATABASE_URL}\n`,
      STRIPE_API_BASE: 'http://localhost:12111',
      STRIPE_SYNC_TASK_QUEUE: 'payments',
      STRIPE_SYNC_LOG_LEVEL: 'DEBUG',
    };
    expect(loadConfig(env)).toEqual({
      databaseUrl: DATABASE_URL,
      stripeApiBase: 'http://localhost:12111',
      taskQueue: 'payments',
      logLevel: 'debug',
    });
  });

  test('the sandbox needs nothing, and uses a database that is given', () => {
    expect(loadConfig({}, { sandbox: true }).databaseUrl).toBeUndefined();
    expect(loadConfig({ DATABASE_URL }, { sandbox: true }).databaseUrl).toBe(DATABASE_URL);
  });

  test('a blank variable counts as not set', () => {
    const env = {
      DATABASE_URL,
      STRIPE_API_BASE: '',
      STRIPE_SYNC_TASK_QUEUE: '  ',
      STRIPE_SYNC_LOG_LEVEL: '',
    };
    expect(loadConfig(env)).toMatchObject({
      stripeApiBase: undefined,
      taskQueue: 'stripe-sync',
      logLevel: 'info',
    });
    expect(problemOf(() => loadConfig({ DATABASE_URL: ' ' })).message).toContain('DATABASE_URL is not set');
  });

  test('one message lists everything wrong, and quotes no value', () => {
    const problem = problemOf(() =>
      loadConfig({
        DATABASE_URL: 'mysql://sync:hunter2@db.example/app',
        STRIPE_API_BASE: 'http://hunter2.example',
        STRIPE_SYNC_TASK_QUEUE: 'hunter2'.repeat(200),
        STRIPE_SYNC_LOG_LEVEL: 'hunter2',
        STRIPE_SYNC_REQUESTS_PER_SECOND: 'hunter2',
        STRIPE_SYNC_REQUESTS_PER_SECOND_TOTAL: 'hunter2',
      }),
    );
    for (const name of [
      'DATABASE_URL',
      'STRIPE_API_BASE',
      'STRIPE_SYNC_TASK_QUEUE',
      'STRIPE_SYNC_LOG_LEVEL',
      'STRIPE_SYNC_REQUESTS_PER_SECOND',
      'STRIPE_SYNC_REQUESTS_PER_SECOND_TOTAL',
    ]) {
      expect(problem.message).toContain(`- ${name} `);
    }
    expect(problem.message).not.toContain('hunter2');
    expect(problem.exitCode).toBe(1);
  });

  test('a missing database is listed together with the rest', () => {
    const problem = problemOf(() => loadConfig({ STRIPE_SYNC_LOG_LEVEL: 'loud' }));
    expect(problem.message).toContain('DATABASE_URL is not set');
    expect(problem.message).toContain('STRIPE_SYNC_LOG_LEVEL');
  });

  test.each([
    'postgresql://localhost/app',
    'postgres://app@/app?host=/var/run/postgresql',
    'postgresql:///app',
    'postgres://u:p%40ss@[::1]:5432/app?sslmode=require',
  ])('the database %s is accepted', (url) => {
    expect(loadConfig({ DATABASE_URL: url }).databaseUrl).toBe(url);
  });
});

describe('requests a second', () => {
  test('are Stripe’s to say, unless they are set', () => {
    expect(requestRatesOf({ STRIPE_SYNC_REQUESTS_PER_SECOND: ' ' })).toEqual({});
    const env = { STRIPE_SYNC_REQUESTS_PER_SECOND: '90', STRIPE_SYNC_REQUESTS_PER_SECOND_TOTAL: ' 400\n' };
    expect(requestRatesOf(env)).toEqual({ perEndpoint: 90, total: 400 });
  });

  test.each(['0', '-1', '1.5', '1e3', '10001', 'many', '٣'])('%j is none', (rate) => {
    for (const name of ['STRIPE_SYNC_REQUESTS_PER_SECOND', 'STRIPE_SYNC_REQUESTS_PER_SECOND_TOTAL']) {
      const said = `${name} is no number of requests a second: give a whole number from 1 to 10000.`;
      expect(problemOf(() => loadConfig({ DATABASE_URL, [name]: rate })).message).toBe(said);
      expect(problemOf(() => requestRatesOf({ [name]: rate })).message).toBe(said);
    }
  });
});

describe('the key of an account', () => {
  test('its own variable comes before the one for all', () => {
    const env = { STRIPE_API_KEY: 'sk_test_all', STRIPE_API_KEY_SHOP_EU_2: ' rk_live_own\n' };
    expect(apiKeyOf(env, 'shop.eu-2')).toBe('rk_live_own');
    expect(apiKeyOf(env, 'other')).toBe('sk_test_all');
    expect(apiKeyOf({ ...env, STRIPE_API_KEY_OTHER: ' ' }, 'other')).toBe('sk_test_all');
  });

  test('without a key the message says which variable to set', () => {
    const problem = problemOf(() => apiKeyOf({}, 'shop-eu'));
    expect(problem.message).toContain('STRIPE_API_KEY_SHOP_EU');
    expect(problem.exitCode).toBe(1);
  });

  test('a publishable key is recognised as such, and not shown', () => {
    const problem = problemOf(() => apiKeyOf({ STRIPE_API_KEY: 'pk_live_hunter2' }, 'acme'));
    expect(problem.message).toContain('publishable');
    expect(problem.message).toContain('STRIPE_API_KEY');
    expect(problem.message).not.toContain('hunter2');
  });

  test.each(['hunter2', '"sk_test_hunter2"', 'sk_test_hunter2\nsk_test_hunter2', 'whsec_hunter2', 'sk_'])(
    '%j is no key, and not shown',
    (key) => {
      const problem = problemOf(() => apiKeyOf({ STRIPE_API_KEY_ACME: key }, 'acme'));
      expect(problem.message).toContain('STRIPE_API_KEY_ACME');
      expect(problem.message).not.toContain('hunter2');
    },
  );
});

describe('an alias', () => {
  test.each(['acme', 'A', '0', 'shop.eu-2_x', 'a'.repeat(64)])('%s is accepted', (alias) => {
    expect(validateAlias(alias)).toBe(alias);
  });

  test.each(['', ' ', 'a/b', 'a b', '.a', '-a', '_a', 'ä', 'a\n', 'a'.repeat(65), 'a\u0000', '../a'])(
    '%j is refused, and the message says what is allowed',
    (alias) => {
      const problem = problemOf(() => validateAlias(alias));
      expect(problem.message).toMatch(/1 to 64 letters, digits/);
      expect(problem.message).not.toContain('\n');
      expect(problem.exitCode).toBe(1);
    },
  );

  test('a key given in place of an alias is not shown', () => {
    expect(problemOf(() => validateAlias(`sk_live_hunter2/`)).message).not.toContain('hunter2');
  });
});
