/** The only place that reads the environment. Temporal's own variables are read by @temporalio/envconfig. */
import { z } from 'zod';
import { UserError } from './domain/failures.js';
import { parseApiBase } from './stripe/http-client.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface SandboxConfig {
  /** Undefined: the sandbox brings its own PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /** Undefined: Stripe's own (or, in the sandbox, the simulator's). */
  readonly stripeApiBase: string | undefined;
  readonly taskQueue: string;
  readonly logLevel: LogLevel;
}

/** How fast one Stripe key may be used, in requests a second. Undefined: what Stripe allows. */
export interface RequestRates {
  readonly perEndpoint: number | undefined;
  readonly total: number | undefined;
}

export interface Config extends SandboxConfig {
  readonly databaseUrl: string;
}

// No value is quoted in a message: a DATABASE_URL holds a password, and secrets get pasted into wrong places.
const variables = z.object({
  DATABASE_URL: z
    .string()
    .refine(
      isPostgresUrl,
      'is not a PostgreSQL URL: give one like postgres://user:password@host:5432/database',
    )
    .optional(),
  STRIPE_API_BASE: z
    .string()
    .superRefine((url, context) => {
      try {
        parseApiBase(url);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        context.addIssue({ code: 'custom', message: `cannot be used. ${error.message}` });
      }
    })
    .optional(),
  STRIPE_SYNC_TASK_QUEUE: z
    .string()
    .max(1000, 'is too long: the name of a task queue has 1000 characters at most')
    .default('stripe-sync'),
  STRIPE_SYNC_LOG_LEVEL: z
    .string()
    .toLowerCase()
    .pipe(z.enum(LOG_LEVELS, `is no log level: choose one of ${LOG_LEVELS.join(', ')}`))
    .default('info'),
  STRIPE_SYNC_REQUESTS_PER_SECOND: requestRate().optional(),
  STRIPE_SYNC_REQUESTS_PER_SECOND_TOTAL: requestRate().optional(),
});

/**
 * The configuration, checked as a whole: throws one `UserError` that lists everything wrong. A blank variable
 * counts as not set. DATABASE_URL is required, except in the sandbox.
 */
export function loadConfig(env: Environment, options?: { readonly sandbox?: false | undefined }): Config;
export function loadConfig(env: Environment, options: { readonly sandbox: boolean }): SandboxConfig;
export function loadConfig(env: Environment, options: { readonly sandbox?: boolean | undefined } = {}) {
  const set = Object.fromEntries(Object.keys(variables.shape).map((name) => [name, settingOf(env, name)]));
  const result = variables.safeParse(set);
  const problems = (result.error?.issues ?? []).map((issue) => `${String(issue.path[0])} ${issue.message}`);
  if (set.DATABASE_URL === undefined && options.sandbox !== true) {
    problems.unshift('DATABASE_URL is not set: give the URL of the PostgreSQL database to write to');
  }
  if (!result.success || problems.length > 0) {
    throw new UserError(
      problems.length === 1
        ? `${problems[0]}.`
        : `The environment is not usable:\n${problems.map((text) => `  - ${text}`).join('\n')}`,
    );
  }
  return {
    databaseUrl: result.data.DATABASE_URL,
    stripeApiBase: result.data.STRIPE_API_BASE,
    taskQueue: result.data.STRIPE_SYNC_TASK_QUEUE,
    logLevel: result.data.STRIPE_SYNC_LOG_LEVEL,
  };
}

/** The rates that the environment sets. Throws a `UserError` where one of them is none. */
export function requestRatesOf(env: Environment): RequestRates {
  const names = ['STRIPE_SYNC_REQUESTS_PER_SECOND', 'STRIPE_SYNC_REQUESTS_PER_SECOND_TOTAL'] as const;
  const [perEndpoint, total] = names.map((name) => {
    const rate = variables.shape[name].safeParse(settingOf(env, name));
    if (!rate.success) throw new UserError(`${name} ${rate.error.issues[0]?.message}.`);
    return rate.data;
  });
  return { perEndpoint, total };
}

/** Which version of which of Temporal's worker deployments a worker is. */
export interface WorkerVersion {
  readonly deploymentName: string;
  readonly buildId: string;
}

/**
 * What was given to the command, or else STRIPE_SYNC_DEPLOYMENT and STRIPE_SYNC_BUILD_ID; undefined where neither is
 * set. Throws a `UserError` (wrong usage) where one stands alone, or cannot be a name.
 */
export function workerVersionOf(
  env: Environment,
  given: { readonly deployment?: string | undefined; readonly buildId?: string | undefined },
): WorkerVersion | undefined {
  const deploymentName = given.deployment ?? settingOf(env, 'STRIPE_SYNC_DEPLOYMENT');
  const buildId = given.buildId ?? settingOf(env, 'STRIPE_SYNC_BUILD_ID');
  if (deploymentName === undefined && buildId === undefined) return undefined;
  if (deploymentName === undefined || buildId === undefined) {
    throw new UserError(
      'A version needs both: --deployment NAME (STRIPE_SYNC_DEPLOYMENT) and --build-id ID (STRIPE_SYNC_BUILD_ID).',
      2,
    );
  }
  // Temporal puts them together with a dot or a colon, and people put them into commands.
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(deploymentName)) {
    throw new UserError('A deployment is named with letters, digits, - and _ (128 at most).', 2);
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}$/.test(buildId)) {
    throw new UserError('A build id has letters, digits, dots, +, - and _ (128 at most).', 2);
  }
  return { deploymentName, buildId };
}

/**
 * The Stripe API key of an account: STRIPE_API_KEY_<ALIAS> (the alias in capitals, other characters than A to Z
 * and 0 to 9 as `_`), or else STRIPE_API_KEY. Throws a `UserError`, which never holds the value.
 */
export function apiKeyOf(env: Environment, alias: string): string {
  const own = `STRIPE_API_KEY_${variablePart(alias)}`;
  const name = settingOf(env, own) === undefined ? 'STRIPE_API_KEY' : own;
  const key = settingOf(env, name);
  if (key === undefined) {
    throw new UserError(`There is no Stripe API key for the account ${alias}: set ${own} or STRIPE_API_KEY.`);
  }
  if (key.startsWith('pk_')) {
    throw new UserError(
      `${name} is a publishable key (pk_…), which cannot read anything: set a restricted key (rk_…) with read ` +
        'permissions, or a secret key (sk_…).',
    );
  }
  if (!/^[sr]k_\w+$/.test(key)) {
    throw new UserError(
      `${name} is not a Stripe API key: it must start with rk_ or sk_ and hold letters, digits and _ only ` +
        '(no quotes around it).',
    );
  }
  return key;
}

const WEBHOOK_SECRET = 'STRIPE_WEBHOOK_SECRET';

/**
 * Gives the secrets that may sign deliveries to an account: those of STRIPE_WEBHOOK_SECRET_<ALIAS> (the alias as for a
 * key), or else of STRIPE_WEBHOOK_SECRET. One variable may hold several, separated by commas or blanks, while a
 * secret rolls. All variables are checked at once: throws a `UserError`, which never holds a value, where one of them
 * is no list of secrets, or none is set.
 */
export function webhookSecretsOf(env: Environment): (alias: string) => readonly string[] {
  const secrets = new Map<string, readonly string[]>();
  const problems: string[] = [];
  for (const name of Object.keys(env).sort()) {
    if (name !== WEBHOOK_SECRET && !name.startsWith(`${WEBHOOK_SECRET}_`)) continue;
    const several = (env[name] ?? '').split(/[\s,]+/).filter((secret) => secret !== '');
    if (several.length === 0) continue;
    secrets.set(name, several);
    if (!several.every((secret) => /^whsec_\w+$/.test(secret))) {
      problems.push(
        `${name} holds something that is no signing secret: each one starts with whsec_ and has letters, digits and ` +
          '_ only (no quotes around it); several are separated by commas',
      );
    }
  }
  if (secrets.size === 0) {
    problems.push(
      `There is no secret to check webhooks with: set ${WEBHOOK_SECRET}_<ALIAS> or ${WEBHOOK_SECRET} to the signing ` +
        'secret (whsec_…) of the endpoint in the Stripe Dashboard',
    );
  }
  if (problems.length > 0) throw new UserError(`${problems.join('.\n')}.`);
  return (alias) =>
    secrets.get(`${WEBHOOK_SECRET}_${variablePart(alias)}`) ?? secrets.get(WEBHOOK_SECRET) ?? [];
}

/** An account's part of the names of its own variables. Throws a `UserError` where it cannot be an alias. */
function variablePart(alias: string): string {
  return validateAlias(alias)
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '_');
}

/** The alias as it is. Throws a `UserError` for one that could not be part of a workflow id or a URL. */
export function validateAlias(alias: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(alias)) return alias;
  const shown = /^[\x20-\x7e]{1,80}$/.test(alias) && !/[sr]k_/.test(alias) ? ` "${alias}"` : '';
  throw new UserError(
    `The account alias${shown} cannot be used: an alias has 1 to 64 letters, digits, dots, hyphens or underscores, ` +
      'and begins with a letter or digit.',
  );
}

function settingOf(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined;
}

/** A whole number: a rate below one would let a backfill of a large account take months. */
function requestRate() {
  const message = 'is no number of requests a second: give a whole number from 1 to 10000';
  return z
    .string()
    .regex(/^\d{1,5}$/, message)
    .transform(Number)
    .refine((rate) => rate >= 1 && rate <= 10_000, message);
}

function isPostgresUrl(value: string): boolean {
  // A Unix socket's URL has no host (postgres://user@/db?host=/run), which URL itself does not take.
  return /^postgres(?:ql)?:\/\//.test(value) && URL.canParse(value.replace('@/', '@localhost/'));
}
