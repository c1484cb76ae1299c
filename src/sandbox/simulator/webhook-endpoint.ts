/** A webhook endpoint: where its events go, which ones it wants, and the secrets that sign them. */
import { checkApiVersion } from './api-version.js';
import { eventTypes } from './catalog.js';
import { checkDeliverySettings, type DeliverySettings } from './delivery-settings.js';
import { randomText } from './ids.js';
import type { JsonObject } from './json.js';
import type { Random } from './random.js';

export interface WebhookEndpointOptions {
  readonly url: string;
  /** `whsec_…`; made up from the seed unless it is given. */
  readonly secret?: string;
  /** Event types, or `*` for all of them, which is the default. */
  readonly enabledEvents?: readonly string[];
  /** Renders the events for this endpoint; each event's own version, unless it is given. */
  readonly apiVersion?: string;
  /**
   * True for the endpoint of a platform: it gets the events of connected accounts, which name theirs. The platform is
   * the simulated account once it has connected ones; before that, another one, which the simulated is connected to.
   * Not among this account's `/v1/webhook_endpoints`.
   */
  readonly connect?: boolean;
  /** True for an event destination that gets thin events, which Stripe keeps under `/v2` and not here. */
  readonly thin?: boolean;
  readonly delivery?: DeliverySettings;
}

export interface WebhookEndpointChanges {
  readonly url?: string;
  readonly enabledEvents?: readonly string[];
  /** A disabled endpoint gets no events, and the retry of an earlier one that falls due meanwhile is its last. */
  readonly disabled?: boolean;
  /** Replaces all settings; `{}` ends all faults. */
  readonly delivery?: DeliverySettings;
}

/** All that there is to know about an endpoint, as the journal keeps it. */
export interface WebhookEndpoint {
  readonly id: string;
  url: string;
  /** The newest first; `until` in seconds of the simulator's clock, null for the one that does not expire. */
  secrets: { readonly secret: string; readonly until: number | null }[];
  enabledEvents: readonly string[];
  readonly apiVersion: string | null;
  readonly connect: boolean;
  readonly thin: boolean;
  disabled: boolean;
  delivery: DeliverySettings;
}

/** A rolled secret stays active for up to a day. */
const LONGEST_OVERLAP_SECONDS = 86_400;

export function newSecret(random: Random): string {
  return `whsec_${randomText(random, 32)}`;
}

/** Throws when the URL, an event type, the version or a setting makes no sense. */
export function makeEndpoint(
  options: WebhookEndpointOptions,
  random: Random,
  accountMark: string,
): WebhookEndpoint {
  const { connect = false, thin = false, apiVersion, secret, delivery = {} } = options;
  if (secret === '') throw new Error('The secret of a webhook endpoint cannot be empty.');
  return {
    id: thin
      ? `ed_test_${randomText(random, 46)}`
      : `we_1${randomText(random, 7)}${accountMark}${randomText(random, 8)}`,
    url: checkUrl(options.url),
    secrets: [{ secret: secret ?? newSecret(random), until: null }],
    enabledEvents: checkTypes(options.enabledEvents ?? ['*']),
    apiVersion: apiVersion === undefined ? null : checkApiVersion(apiVersion),
    connect,
    thin,
    disabled: false,
    delivery: checkDeliverySettings(delivery),
  };
}

/** Changes an endpoint, or throws and changes nothing. */
export function changeEndpoint(endpoint: WebhookEndpoint, changes: WebhookEndpointChanges): void {
  const { url, enabledEvents, disabled, delivery } = changes;
  const checked = {
    ...(url === undefined ? {} : { url: checkUrl(url) }),
    ...(enabledEvents === undefined ? {} : { enabledEvents: checkTypes(enabledEvents) }),
    ...(disabled === undefined ? {} : { disabled }),
    ...(delivery === undefined ? {} : { delivery: checkDeliverySettings(delivery) }),
  };
  Object.assign(endpoint, checked);
}

/** Makes a new secret the endpoint's own; the one before goes on signing for the overlap. */
export function rollEndpointSecret(
  endpoint: WebhookEndpoint,
  overlapSeconds: number,
  now: number,
  secret: string,
): void {
  if (!(overlapSeconds >= 0 && overlapSeconds <= LONGEST_OVERLAP_SECONDS)) {
    throw new RangeError(
      `A rolled secret stays active for 0 to ${LONGEST_OVERLAP_SECONDS} seconds, not ${overlapSeconds}.`,
    );
  }
  const until = now + overlapSeconds;
  const before = endpoint.secrets.map((old) => ({ ...old, until: Math.min(old.until ?? until, until) }));
  endpoint.secrets = [{ secret, until: null }, ...before.filter((old) => old.until > now)];
}

export function activeSecrets(endpoint: WebhookEndpoint, now: number): string[] {
  return endpoint.secrets.filter(({ until }) => until === null || until > now).map(({ secret }) => secret);
}

export function wantsEvent(endpoint: WebhookEndpoint, type: string): boolean {
  if (endpoint.disabled) return false;
  return endpoint.enabledEvents.includes('*') || endpoint.enabledEvents.includes(type);
}

/** What `/v1/webhook_endpoints` shows of it: never a secret, which Stripe tells at the making only. */
export function endpointFields(endpoint: WebhookEndpoint): JsonObject {
  return {
    id: endpoint.id,
    api_version: endpoint.apiVersion,
    application: null,
    description: null,
    enabled_events: [...endpoint.enabledEvents],
    metadata: {},
    status: endpoint.disabled ? 'disabled' : 'enabled',
    url: endpoint.url,
  };
}

function checkUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return url;
  throw new Error(`A webhook endpoint needs a URL with http or https, and ${JSON.stringify(url)} is none.`);
}

/** Thin events have a `v1.` before the type of their snapshot; both are understood, and the shorter one is kept. */
function checkTypes(types: readonly string[]): string[] {
  return types.map((given) => {
    const type = given.replace(/^v1\./, '');
    if (type === '*' || eventTypes.has(type)) return type;
    throw new Error(`Stripe has no event type "${given}".`);
  });
}
