/** The account's webhook endpoints, and the way of each event to those that want it. */
import type { Announced } from './announce.js';
import type { Changes } from './changes.js';
import type { Clock } from './clock.js';
import { createDeliveries } from './deliveries.js';
import type { DeliveryAttempt, DeliveryRecord, DeliveryStats, EventDelivery } from './delivery-record.js';
import type { Random } from './random.js';
import { thinEventJson } from './thin-event.js';
import {
  changeEndpoint,
  endpointFields,
  makeEndpoint,
  newSecret,
  rollEndpointSecret,
  type WebhookEndpoint,
  type WebhookEndpointChanges,
  type WebhookEndpointOptions,
  wantsEvent,
} from './webhook-endpoint.js';

/** An endpoint's id and its newest secret, which nothing shows a second time. */
export interface EndpointSecret {
  readonly id: string;
  readonly secret: string;
}

/** The webhooks of a simulator, to the process it runs in. */
export interface WebhookControls {
  /** From now on, events that are announced go there too. Throws when an option makes no sense. */
  addWebhookEndpoint(options: WebhookEndpointOptions): EndpointSecret;
  updateWebhookEndpoint(id: string, changes: WebhookEndpointChanges): void;
  /** A new secret. The one before signs as well, for so many seconds of the simulator's clock (a day at most). */
  rollSecret(id: string, overlapSeconds: number): EndpointSecret;
  /** Gives up what is still to be delivered there. */
  removeWebhookEndpoint(id: string): void;
  /** The `webhooks` of `stats()`, at no cost: the other figures there are counted over all events at each call. */
  deliveryStats(): DeliveryStats;
  /** The last attempts (20,000), in the order of their answers. */
  deliveries(): readonly DeliveryAttempt[];
  /** What became of an event, by the id that `/v1/events` shows; undefined while it was meant for no endpoint. */
  deliveryOf(event: string): EventDelivery | undefined;
  eventDeliveries(): Iterable<EventDelivery & { readonly event: string }>;
}

export interface Webhooks {
  readonly controls: WebhookControls;
  publish(account: string, announced: readonly Announced[]): void;
  /** The clock has been set. */
  wake(): void;
  /** What the journal has to keep of the endpoints. */
  endpoints(): WebhookEndpoint[];
  close(): Promise<void>;
}

export interface WebhookContext {
  readonly clock: Clock;
  readonly record: DeliveryRecord;
  readonly changes: Pick<Changes, 'create' | 'update' | 'remove'>;
  readonly account: string;
  /** Whether other accounts are connected to this one: what they announce is then what its own platform's endpoints get. */
  readonly isPlatform: () => boolean;
  readonly accountMark: string;
  /** Endpoints of an earlier run. What was not delivered when it ended is never sent. */
  readonly known: readonly WebhookEndpoint[];
  readonly randomOf: (label: string) => Random;
  /** Called after each change of an endpoint. */
  readonly changed: () => void;
}

export function createWebhooks(context: WebhookContext): Webhooks {
  const { clock, record, changes, account } = context;
  const endpoints = new Map(context.known.map((endpoint) => [endpoint.id, endpoint]));
  const deliveries = createDeliveries(clock, record, (label) => context.randomOf(`deliveries/${label}`));
  const random = context.randomOf('webhook-endpoints');

  const endpointOf = (id: string): WebhookEndpoint => {
    const endpoint = endpoints.get(id);
    if (endpoint === undefined) throw new Error(`There is no webhook endpoint ${id}.`);
    return endpoint;
  };
  const isListed = ({ connect, thin }: WebhookEndpoint): boolean => !connect && !thin;

  const jsonFor = (endpoint: WebhookEndpoint, account: string, { event, jsonIn }: Announced): string => {
    if (endpoint.thin) {
      const ids = context.randomOf(`thin-events/${event.id}`);
      return thinEventJson(event, ids, endpoint.connect ? account : null);
    }
    const json = endpoint.apiVersion === null ? event.json : jsonIn(endpoint.apiVersion);
    const head = '"object":"event",';
    return endpoint.connect ? json.replace(head, `${head}"account":${JSON.stringify(account)},`) : json;
  };

  /** An endpoint hears of its own account, or of the ones that are connected to it; see `connect`. */
  const hears = ({ connect }: WebhookEndpoint, of: string): boolean =>
    connect ? of !== account || !context.isPlatform() : of === account;

  const controls: WebhookControls = {
    addWebhookEndpoint(options) {
      const endpoint = makeEndpoint(options, random, context.accountMark);
      endpoints.set(endpoint.id, endpoint);
      if (isListed(endpoint)) changes.create('webhook_endpoint', endpointFields(endpoint), { event: false });
      context.changed();
      return { id: endpoint.id, secret: newestSecret(endpoint) };
    },
    updateWebhookEndpoint(id, wanted) {
      const endpoint = endpointOf(id);
      changeEndpoint(endpoint, wanted);
      if (isListed(endpoint)) {
        changes.update('webhook_endpoint', id, endpointFields(endpoint), { event: false });
      }
      context.changed();
      deliveries.wake();
    },
    rollSecret(id, overlapSeconds) {
      const endpoint = endpointOf(id);
      rollEndpointSecret(endpoint, overlapSeconds, clock.now(), newSecret(random));
      context.changed();
      return { id, secret: newestSecret(endpoint) };
    },
    removeWebhookEndpoint(id) {
      const endpoint = endpointOf(id);
      endpoints.delete(id);
      if (isListed(endpoint)) changes.remove('webhook_endpoint', id, { event: false });
      deliveries.forget(endpoint);
      context.changed();
    },
    deliveryStats: record.stats,
    deliveries: record.attempts,
    deliveryOf: record.of,
    eventDeliveries: record.all,
  };

  return {
    controls,
    publish(of, announced) {
      for (const endpoint of endpoints.values()) {
        if (!hears(endpoint, of)) continue;
        for (const one of announced) {
          if (wantsEvent(endpoint, one.event.type)) {
            deliveries.plan(endpoint, one.event.id, jsonFor(endpoint, of, one));
          }
        }
      }
    },
    wake: deliveries.wake,
    endpoints: () => [...endpoints.values()],
    close: deliveries.close,
  };
}

function newestSecret({ secrets }: WebhookEndpoint): string {
  return secrets[0]?.secret ?? '';
}
