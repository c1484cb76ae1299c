/**
 * What is not Stripe's: the truth, the statistics and the controls, under `/_simulator/`, for other processes on this
 * machine. Nothing here asks for a key, so it answers to loopback only.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ChangeOptions, CreateOptions, SeedOptions } from './changes.js';
import type { ConnectOptions } from './connected-accounts.js';
import type { FaultRule, FaultSettings } from './faults.js';
import { isJsonObject, type JsonObject, type JsonValue } from './json.js';
import type { RateLimitSettings } from './rate-limits.js';
import type { Simulator } from './simulator.js';
import type { VisibilityProfile } from './visibility.js';
import type { WebhookEndpointChanges, WebhookEndpointOptions } from './webhook-endpoint.js';

/** The body of `POST /_simulator/control`: any of these, in this order. */
export interface Control {
  /** Starts live traffic, or stops it with null. */
  readonly traffic?: { readonly changesPerSecond: number } | null;
  readonly faults?: FaultSettings;
  readonly addFault?: FaultRule;
  readonly limits?: RateLimitSettings;
  readonly recordPages?: boolean;
  readonly visibility?: Exclude<VisibilityProfile, (draw: number) => number>;
  /** Seconds forwards. */
  readonly advanceClock?: number;
  readonly skew?: number;
  readonly key?: 'revoke' | 'restore';
  readonly seed?: readonly {
    readonly object: string;
    readonly count: number;
    readonly options?: SeedOptions;
  }[];
  readonly create?: {
    readonly object: string;
    readonly fields?: JsonObject;
    readonly options?: CreateOptions;
  };
  readonly update?: {
    readonly object: string;
    readonly id: string;
    readonly fields: JsonObject;
    readonly options?: ChangeOptions;
  };
  readonly remove?: { readonly object: string; readonly id: string; readonly options?: ChangeOptions };
  readonly emit?: {
    readonly type: string;
    readonly object: string;
    readonly id?: string;
    readonly options?: ChangeOptions;
  };
  /** Answered with `webhookEndpoint: { id, secret }`, as is `rollSecret`. */
  readonly addWebhookEndpoint?: WebhookEndpointOptions;
  readonly updateWebhookEndpoint?: WebhookEndpointChanges & { readonly id: string };
  readonly rollSecret?: { readonly id: string; readonly overlapSeconds: number };
  /** The id. */
  readonly removeWebhookEndpoint?: string;
  /** So many changes of the kind that traffic makes, at once. */
  readonly makeChanges?: number;
  /** Answered with `connected: acct_…`. */
  readonly connect?: ConnectOptions;
  /** The id of a connected account. */
  readonly disconnect?: string;
  /** Where `seed`, `create`, `update`, `remove`, `emit` and `makeChanges` happen: in this connected account. */
  readonly in?: string;
}

const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);
const MOST_BYTES = 16 << 20;

export async function openSideDoor(
  simulator: Simulator,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!LOOPBACK.has(request.socket.remoteAddress ?? '')) {
    return sendJson(response, 403, { error: 'The simulator is controlled from its own machine only.' });
  }
  const path = (request.url ?? '').split('?')[0] ?? '';
  const asked = `${request.method} ${path}`;
  if (asked === 'GET /_simulator/stats') return sendJson(response, 200, simulator.stats());
  if (asked === 'GET /_simulator/request-stats') return sendJson(response, 200, simulator.requestStats());
  if (asked === 'GET /_simulator/clock') return sendJson(response, 200, { now: simulator.now() });
  if (asked === 'GET /_simulator/truth') return sendLines(response, truthLines(simulator));
  if (asked === 'GET /_simulator/events') return sendLines(response, simulator.events());
  if (asked === 'GET /_simulator/delivery-stats') return sendJson(response, 200, simulator.deliveryStats());
  if (asked === 'GET /_simulator/deliveries') return sendLines(response, simulator.deliveries());
  if (asked === 'GET /_simulator/event-deliveries') return sendLines(response, simulator.eventDeliveries());
  if (asked !== 'POST /_simulator/control') {
    return sendJson(response, 404, {
      error: `There is no ${asked}. There is GET truth, events, deliveries, event-deliveries, delivery-stats, request-stats, stats and clock, and POST control, under /_simulator/.`,
    });
  }
  let result: JsonObject;
  try {
    const body = JSON.parse(await bodyOf(request)) as JsonValue;
    if (!isJsonObject(body)) throw new Error('The body has to be a JSON object.');
    result = control(simulator, body as unknown as Control & JsonObject);
  } catch (error) {
    return sendJson(response, 400, { error: error instanceof Error ? error.message : String(error) });
  }
  return sendJson(response, 200, result);
}

const ORDERS = [
  'traffic',
  'faults',
  'addFault',
  'limits',
  'recordPages',
  'visibility',
  'advanceClock',
  'skew',
  'key',
  'seed',
  'create',
  'update',
  'remove',
  'emit',
  'addWebhookEndpoint',
  'updateWebhookEndpoint',
  'rollSecret',
  'removeWebhookEndpoint',
  'makeChanges',
  'connect',
  'disconnect',
  'in',
];

function control(simulator: Simulator, order: Control & JsonObject): JsonObject {
  for (const name of Object.keys(order)) {
    if (!ORDERS.includes(name))
      throw new Error(`There is no control "${name}". There are: ${ORDERS.join(', ')}.`);
  }
  const result: JsonObject = {};
  if (order.traffic === null) simulator.stopTraffic();
  else if (order.traffic !== undefined) simulator.startTraffic(order.traffic);
  if (order.faults !== undefined) simulator.setFaults(order.faults);
  if (order.addFault !== undefined) simulator.addFault(order.addFault);
  if (order.limits !== undefined) simulator.setLimits(order.limits);
  if (order.recordPages !== undefined) simulator.recordPages(order.recordPages);
  if (order.visibility !== undefined) simulator.setVisibility(order.visibility);
  if (order.advanceClock !== undefined) simulator.advanceClock(order.advanceClock);
  if (order.skew !== undefined) simulator.setSkew(order.skew);
  if (order.key === 'revoke') simulator.revokeKey();
  if (order.key === 'restore') simulator.restoreKey();
  if (order.connect !== undefined) result.connected = simulator.connectAccount(order.connect).account;
  const account = order.in === undefined ? simulator : simulator.connectedAccount(order.in);
  if (order.seed !== undefined) {
    result.seeded = order.seed.map(
      ({ object, count, options }) => account.createMany(object, count, options).length,
    );
  }
  if (order.create !== undefined) {
    result.created = account.create(order.create.object, order.create.fields, order.create.options);
  }
  if (order.update !== undefined) {
    const { object, id, fields, options } = order.update;
    result.updated = account.update(object, id, fields, options);
  }
  if (order.remove !== undefined) account.remove(order.remove.object, order.remove.id, order.remove.options);
  if (order.emit !== undefined) {
    const { type, object, id, options } = order.emit;
    result.emitted = account.emit(type, object, id, options).id;
  }
  Object.assign(result, controlWebhooks(simulator, order));
  if (order.makeChanges !== undefined) account.makeChanges(order.makeChanges);
  if (order.disconnect !== undefined) simulator.disconnectAccount(order.disconnect);
  return { ...result, now: simulator.now() };
}

function controlWebhooks(simulator: Simulator, order: Control): JsonObject {
  const result: JsonObject = {};
  if (order.addWebhookEndpoint !== undefined) {
    result.webhookEndpoint = { ...simulator.addWebhookEndpoint(order.addWebhookEndpoint) };
  }
  if (order.updateWebhookEndpoint !== undefined) {
    const { id, ...changes } = order.updateWebhookEndpoint;
    simulator.updateWebhookEndpoint(id, changes);
  }
  if (order.rollSecret !== undefined) {
    const { id, overlapSeconds } = order.rollSecret;
    result.webhookEndpoint = { ...simulator.rollSecret(id, overlapSeconds) };
  }
  if (order.removeWebhookEndpoint !== undefined) simulator.removeWebhookEndpoint(order.removeWebhookEndpoint);
  return result;
}

function* truthLines(simulator: Simulator): Generator<object> {
  for (const [object, objects] of simulator.truth()) {
    for (const [id, state] of objects) yield { object, id, ...state };
  }
}

function* chunked(lines: Iterable<object>): Generator<string> {
  let chunk = '';
  for (const line of lines) {
    chunk += `${JSON.stringify(line)}\n`;
    if (chunk.length < 1 << 16) continue;
    yield chunk;
    chunk = '';
  }
  yield chunk;
}

async function sendLines(response: ServerResponse, lines: Iterable<object>): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
  await pipeline(Readable.from(chunked(lines)), response);
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MOST_BYTES) throw new Error('The body is too large.');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
