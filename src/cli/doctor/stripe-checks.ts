/** What a sync needs of Stripe. Every request is a GET, and none is recorded. */
import { apiKeyOf, loadConfig } from '../../config.js';
import { StripeFailure } from '../../domain/failures.js';
import type { StripeClient, StripeResponse } from '../../stripe/client.js';
import { createStripeClients } from '../stripe-clients.js';
import { apiVersionFinding } from './api-version.js';
import {
  type CheckReport,
  createExaminer,
  DEADLINE_MS,
  type Finding,
  fail,
  failed,
  ok,
  warn,
} from './check.js';
import { clockFinding, clockOffset, type Told } from './clock-offset.js';
import type { Examination } from './examination.js';
import type { KnownAccount } from './known-account.js';
import { askForTypes, missingPermissions, type ReadableTypes, typesFinding } from './permissions.js';
import { accountVariable, keyFinding, noKey, webhookSecretFinding } from './stripe-environment.js';

/** The types are asked one after the other where a key is slow; one request has `DEADLINE_MS`. */
const TYPES_DEADLINE_MS = 60_000;

type Asked = { readonly response: StripeResponse } | { readonly failure: StripeFailure };

/** @param knownLater resolves once PostgreSQL has told what it knows of the account, or cannot */
export async function checkStripe(
  { env, account, machineNow, progress }: Examination,
  knownLater: Promise<KnownAccount>,
): Promise<CheckReport[]> {
  const { check } = createExaminer('Stripe');
  const webhooks = await check('webhook secret', () => webhookSecretFinding(env, account));
  // An alias may read a connected account, and every request names it; and that with the key of its platform's alias.
  const known = await knownLater;
  const connected = known.told ? (known.row?.stripeAccount ?? null) : null;
  const keyAlias = (known.told ? known.row?.keyAlias : null) ?? account;
  const { own, name, value: key } = accountVariable(env, 'STRIPE_API_KEY', keyAlias);
  if (name === null || key === null) return [await check('key', () => noKey(own)), webhooks];
  const told: Told[] = [];
  let clients: ReturnType<typeof createStripeClients>;
  let client: StripeClient;
  try {
    apiKeyOf(env, keyAlias);
    const { stripeApiBase } = loadConfig({ STRIPE_API_BASE: env.STRIPE_API_BASE }, { sandbox: true });
    clients = createStripeClients(env, stripeApiBase, {
      // A key of the other mode is a finding of its own, and no reason to ask nothing.
      read: async () => ({ stripeAccount: connected, keyAlias, livemode: null, isFinal: true }),
      noteLivemode: async (_, livemode) => livemode,
    });
    client = listeningFor(clients.of(account), told, machineNow);
  } catch (error) {
    return [await check('key', () => failed(error)), webhooks];
  }
  try {
    const begun = performance.now();
    const events = await asked(client, '/v1/events?limit=1');
    const tookMs = performance.now() - begun;
    const reports = [
      await check('reachable', () => reachableFinding(events, tookMs)),
      await check('key', () =>
        isRefused(events) ? failed(events.failure) : keyFinding(name, key, account, known),
      ),
    ];
    if (isRefused(events) || isUnanswered(events)) return [...reports, webhooks];
    let types: ReadableTypes | null = null;
    const [readable, ...others] = await Promise.all([
      check(
        'types',
        async (signal) => {
          types = await askForTypes(client, withinTime(signal), (done, all) =>
            progress('Stripe', `${done} of ${all} types`),
          );
          return typesFinding(types);
        },
        TYPES_DEADLINE_MS,
      ),
      check('events', () => eventsFinding(events)),
      check('account', async (signal) =>
        accountFinding(account, await asked(client, '/v1/account', signal), known),
      ),
      check('API version', () => apiVersionFinding(account, newestVersion(events), known)),
    ]);
    const missing = types === null ? [] : missingPermissions(types);
    const permissions = await Promise.all(missing.map((each) => check(each.check, () => each.finding)));
    const clock = await check('clock', () => stripeClockFinding(told));
    return [...reports, ...others, readable, ...permissions, clock, webhooks];
  } finally {
    clients.close();
  }
}

/** Ends the requests a little before the check is given up, so that what did answer is told. */
function withinTime(signal: AbortSignal): AbortSignal {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TYPES_DEADLINE_MS - 1_000);
  timer.unref();
  signal.addEventListener('abort', () => stop.abort(), { once: true });
  return stop.signal;
}

/** The same client, which takes down what each answer says of the time. */
function listeningFor(client: StripeClient, told: Told[], machineNow: () => number): StripeClient {
  return {
    ...client,
    async get(path, options) {
      const response = await client.get(path, options);
      const { date, durationMs } = response;
      if (date !== null) told.push({ seconds: date, receivedMs: machineNow(), tookMs: durationMs });
      return response;
    },
  };
}

async function asked(client: StripeClient, path: string, signal?: AbortSignal): Promise<Asked> {
  try {
    return { response: await client.get(path, { signal, deadlineMs: DEADLINE_MS - 500 }) };
  } catch (error) {
    if (error instanceof StripeFailure) return { failure: error };
    throw error;
  }
}

function isRefused(asked: Asked): asked is { readonly failure: StripeFailure } {
  return 'failure' in asked && asked.failure.kind === 'authentication';
}

function isUnanswered(asked: Asked): boolean {
  return 'failure' in asked && (asked.failure.status === undefined || asked.failure.kind === 'malformed');
}

function reachableFinding(events: Asked, tookMs: number): Finding {
  const isAway = 'failure' in events && (isUnanswered(events) || events.failure.kind === 'transient');
  return isAway ? failed(events.failure) : ok(`answered in ${Math.round(tookMs)} ms`);
}

function eventsFinding(events: Asked): Finding {
  if ('response' in events) return ok('/v1/events may be read');
  const { failure } = events;
  if (failure.kind !== 'permission') return failed(failure);
  const permission = failure.missingPermission ?? 'the permission to read events';
  return fail(
    `/v1/events may not be read, and without it nothing can be synced: the key lacks ${permission}`,
    `Set ${failure.missingPermission ?? 'Events'} to Read for the key (Stripe Dashboard, Developers, API keys).`,
  );
}

function newestVersion(events: Asked): string | null {
  if ('failure' in events) return null;
  const { data } = events.response.body as { data?: { api_version?: unknown }[] };
  const version = data?.[0]?.api_version;
  return typeof version === 'string' ? version : null;
}

function accountFinding(alias: string, own: Asked, known: KnownAccount): Finding {
  if ('failure' in own) {
    if (!['permission', 'invalid', 'gone'].includes(own.failure.kind)) return failed(own.failure);
    return warn(
      'the key may not read its own account, so nobody can tell whether it is that of the tables',
      `Let it read ${own.failure.missingPermission ?? 'its account'} (Stripe Dashboard, Developers, API keys).`,
    );
  }
  const { id } = own.response.body as { id?: unknown };
  if (typeof id !== 'string')
    return warn('Stripe does not tell the id of the account', 'Run this again later.');
  if (!known.told) return ok(`${id}; PostgreSQL does not tell which one the tables hold`);
  const { row } = known;
  const isStarted = row !== null && row.neverStarted !== true;
  const connected =
    row?.stripeAccount === id ? `${id}, a connected account, read with the key of its platform` : null;
  if (!isStarted) return ok(`${connected ?? id}; ${alias} was never started`);
  if (connected !== null) return ok(connected);
  if (row.keyAccount === null) return ok(`${id}; which one the tables hold was never noted`);
  if (row.keyAccount === id) return ok(`${id}, the one that the tables hold`);
  return fail(
    `the key is of ${id}, and the tables of ${alias} hold ${row.keyAccount}`,
    `Give ${alias} a key of ${row.keyAccount}, or start ${id} under another alias.`,
  );
}

function stripeClockFinding(told: readonly Told[]): Finding {
  const offset = clockOffset(told, 1);
  if (offset === null) return warn('no answer told the time of Stripe', 'Run this again later.');
  return clockFinding('Stripe', offset);
}
