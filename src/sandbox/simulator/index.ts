/**
 * A Stripe account on loopback: a faithful, read-only `/v1` over HTTP, written after Stripe's documentation and not after
 * any client, that keeps the truth which a mirror of it can be compared with.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createAccountRoom, type SharedByAccounts, stillOfUse } from './account-room.js';
import { latestApiVersion } from './catalog.js';
import { createClock } from './clock.js';
import { createConnectedAccounts } from './connected-accounts.js';
import { createDeliveryRecord } from './delivery-record.js';
import { createFaults } from './faults.js';
import { type Answer, send, startHttpServer } from './http-server.js';
import { randomText } from './ids.js';
import { type AccountRecord, type Change, openJournal, replayJournal } from './journal.js';
import { createKeys } from './keys.js';
import { createPageRecord } from './page-record.js';
import { createRandom, type Random } from './random.js';
import { createRateLimits } from './rate-limits.js';
import { createResponder } from './responder.js';
import { openSideDoor } from './side-door.js';
import type { Simulator, SimulatorOptions } from './simulator.js';
import { type RequestKind, surfacing } from './stats.js';
import { readTruth, trueEvent, trueObject } from './truth.js';
import { defaultVisibility } from './visibility.js';
import { createWebhooks, type Webhooks } from './webhooks.js';

export type { ChangeOptions, CreateOptions, SeedOptions } from './changes.js';
export type { ConnectControls, ConnectedAccount, ConnectOptions } from './connected-accounts.js';
export type { DeliveryAttempt, DeliveryStats, EventDelivery } from './delivery-record.js';
export type { DeliverySettings, RetrySchedule } from './delivery-settings.js';
export type { FaultKind, FaultRule, FaultSettings, Latency } from './faults.js';
export type { JsonObject, JsonValue } from './json.js';
export type { ServedPages } from './page-record.js';
export type { RateLimitReason, RateLimitSettings } from './rate-limits.js';
export type { Control } from './side-door.js';
export type { Simulator, SimulatorOptions } from './simulator.js';
export type { RequestStats, Stats } from './stats.js';
export type { TrueEvent, TrueObject, Truth } from './truth.js';
export type { VisibilityProfile } from './visibility.js';
export type { WebhookEndpointChanges, WebhookEndpointOptions } from './webhook-endpoint.js';
export type { EndpointSecret, WebhookControls } from './webhooks.js';

const DAY = 86_400;

/**
 * Starts a simulator. Rejects with the error of `listen` (EADDRINUSE, EACCES …) as it is when the port cannot be had.
 */
export async function createSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { directory, host = '127.0.0.1' } = options;
  const replayed =
    directory === undefined
      ? { entries: [], events: [], connected: new Map<string, Change>() }
      : replayJournal(directory);
  const known: AccountRecord | undefined = replayed.account;
  const seed = options.seed ?? known?.seed ?? 1;
  const run = (known?.run ?? 0) + 1;
  const identity = createRandom(seed, 'account');
  const account = known?.account ?? `acct_1${randomText(identity, 15)}`;
  const accountMark = account.slice(-8);
  const apiKey = options.apiKey ?? known?.apiKey ?? `sk_test_51${randomText(identity, 90)}`;
  const apiVersion = options.apiVersion ?? latestApiVersion;
  const randomOf = (label: string): Random => createRandom(seed, `${run}/${label}`);

  const clock = createClock({
    ...(options.skewSeconds === undefined ? {} : { skewSeconds: options.skewSeconds }),
    ...(options.machineNow === undefined ? {} : { machineNow: options.machineNow }),
    advancedSeconds: known?.advancedSeconds ?? 0,
  });
  const retention = options.retentionSeconds ?? 30 * DAY;
  const delivered = createDeliveryRecord();
  const kept = stillOfUse(replayed, clock, retention);
  const keptOfConnected = new Map(
    [...replayed.connected].map(([id, left]) => [id, stillOfUse(left, clock, retention)]),
  );

  const keys = createKeys(apiKey);
  for (const { secret, permissions } of known?.restrictedKeys ?? []) keys.addRestricted(secret, permissions);
  for (const [secret, permissions] of Object.entries(options.restrictedKeys ?? {}))
    keys.addRestricted(secret, permissions);
  let revoked = known?.revoked ?? false;
  if (revoked) keys.revoke(apiKey);

  // Made after the changes that it follows.
  let webhooks: Webhooks | undefined;
  const record = (): AccountRecord => ({
    seed,
    account,
    apiKey,
    run,
    advancedSeconds: clock.advanced(),
    restrictedKeys: keys.restricted(),
    revoked,
    webhookEndpoints: webhooks?.endpoints() ?? known?.webhookEndpoints ?? [],
  });

  // Listen first: a second simulator on the same port must not touch the journal of the first.
  const handler: { handle?: (request: IncomingMessage, response: ServerResponse) => void } = {};
  const server = await startHttpServer(host, options.port ?? 0, (request, response) =>
    handler.handle?.(request, response),
  );
  const journal =
    directory === undefined ? undefined : openJournal(directory, record(), kept, keptOfConnected);

  const pages = createPageRecord();
  const shared: SharedByAccounts = {
    clock,
    apiVersion,
    embeddedItems: options.embeddedItems ?? 10,
    visibility: options.visibility ?? defaultVisibility,
    retentionSeconds: retention,
    pendingOf: delivered.pendingOf,
    pages,
  };
  const own = createAccountRoom(shared, {
    account,
    known: kept,
    randomOf,
    publish(change: Change, announced) {
      journal?.append(change);
      webhooks?.publish(account, announced);
    },
  });
  const { store, events, changes, traffic } = own;
  const connected = createConnectedAccounts({
    shared,
    platform: own,
    known: keptOfConnected,
    randomOf,
    publish(id, change, announced) {
      journal?.append(change, id);
      webhooks?.publish(id, announced);
    },
  });
  webhooks = createWebhooks({
    clock,
    record: delivered,
    changes,
    account,
    isPlatform: connected.any,
    accountMark,
    known: known?.webhookEndpoints ?? [],
    randomOf,
    changed: () => journal?.record(record()),
  });

  const faults = createFaults(randomOf('faults'), options.faults);
  const limits = createRateLimits(() => performance.now() / 1000, options.limits);
  const responder = createResponder({
    keys,
    own,
    connected,
    faults,
    random: randomOf('damage'),
    apiVersion,
  });
  const secrets = randomOf('restricted-keys');
  const requestIds = randomOf('request-ids');
  const split = randomOf('latency');
  const requests: Record<RequestKind, number> = { events: 0, list: 0, retrieve: 0, other: 0 };
  const answers: Record<string, number> = {};
  const requestStats = () => ({ requests: { ...requests }, answers: { ...answers } });

  const finish = (response: ServerResponse, answer: Answer): void => {
    const counted = answer.cut === undefined ? String(answer.status) : 'cut';
    answers[counted] = (answers[counted] ?? 0) + 1;
    send(response, {
      ...answer,
      headers: {
        ...(options.dateHeader === false ? {} : { Date: new Date(clock.seconds() * 1000).toUTCString() }),
        'Request-Id': `req_${randomText(requestIds, 14)}`,
        'Stripe-Version': apiVersion,
        ...answer.headers,
      },
    });
  };

  handler.handle = (request, response) => {
    const target = request.url ?? '/';
    const question = target.indexOf('?');
    const path = question < 0 ? target : target.slice(0, question);
    const search = question < 0 ? '' : target.slice(question + 1);
    if (path.startsWith('/_simulator/')) {
      openSideDoor(simulator, request, response).catch(() => response.destroy());
      return;
    }
    const { kind, endpoint, match } = responder.classify(path);
    requests[kind] += 1;
    const reason = limits.enter(endpoint);
    if (reason !== undefined) {
      finish(response, responder.rateLimited(reason));
      return;
    }
    const answer = (): Answer => responder.respond(request, path, search, match);
    const latency = faults.latency();
    if (latency === 0) {
      finish(response, answer());
      limits.leave(endpoint);
      return;
    }
    // The state is read somewhere on the way, so what a client gets can be older than the `Date` it comes with.
    const before = latency * split.next();
    setTimeout(() => {
      const answered = answer();
      setTimeout(() => {
        limits.leave(endpoint);
        finish(response, answered);
      }, latency - before);
    }, before);
  };

  let closing: Promise<void> | undefined;
  const simulator: Simulator = {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${server.port}`,
    port: server.port,
    apiKey,
    account,
    apiVersion,
    now: clock.now,
    advanceClock(seconds) {
      clock.advance(seconds);
      webhooks.wake();
      journal?.record(record());
    },
    setSkew(seconds) {
      clock.setSkew(seconds);
      webhooks.wake();
    },
    create: changes.create,
    update: changes.update,
    remove: changes.remove,
    emit: (...input) => trueEvent(changes.emit(...input)),
    createMany: changes.createMany,
    startTraffic: traffic.start,
    stopTraffic: traffic.stop,
    makeChanges: traffic.make,
    setVisibility(profile) {
      changes.setVisibility(profile);
      connected.setVisibility(profile);
    },
    setFaults: faults.set,
    addFault: faults.add,
    setLimits: limits.set,
    recordPages: pages.record,
    revokeKey() {
      revoked = true;
      keys.revoke(apiKey);
      journal?.record(record());
    },
    restoreKey() {
      revoked = false;
      keys.restore(apiKey);
      journal?.record(record());
    },
    createRestrictedKey(permissions) {
      const secret = `rk_test_51${randomText(secrets, 90)}`;
      keys.addRestricted(secret, permissions);
      journal?.record(record());
      return secret;
    },
    ...webhooks.controls,
    ...connected.controls,
    get(object, id) {
      const entry = store.get(object, id);
      return entry === undefined ? undefined : trueObject(store, entry);
    },
    truth: () => readTruth(store),
    events: () => events.all().map(trueEvent),
    event(id) {
      const event = events.get(id);
      return event === undefined ? undefined : trueEvent(event);
    },
    requestStats,
    stats: () => ({
      ...requestStats(),
      changes: changes.made(),
      events: events.all().length,
      ...surfacing(events.all()),
      faults: faults.served(),
      rateLimited: limits.refused(),
      pages: pages.served(),
      webhooks: delivered.stats(),
    }),
    close() {
      closing ??= (async () => {
        traffic.stop();
        await webhooks.close();
        await server.close();
        journal?.close();
      })();
      return closing;
    },
  };
  return simulator;
}
