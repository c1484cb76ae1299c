/**
 * Brings events to webhook endpoints: when each attempt is made, how many at once, and what follows from its answer. All
 * of it runs from timers and answers, never within the change that is announced, so nothing here holds up `/v1`.
 */
import type { Clock } from './clock.js';
import type { DeliveryRecord } from './delivery-record.js';
import { CONCURRENCY, fateOf, liveRetries, retryPause, TIMEOUT_SECONDS } from './delivery-settings.js';
import { createDueQueue, type DueQueue } from './due-queue.js';
import { withPendingWebhooks } from './pending-webhooks.js';
import { createPoster } from './poster.js';
import type { Random } from './random.js';
import { signatureHeader } from './signature.js';
import { activeSecrets, type WebhookEndpoint } from './webhook-endpoint.js';

export interface Deliveries {
  /** Plans what becomes of an event at an endpoint. */
  plan(endpoint: WebhookEndpoint, event: string, json: string): void;
  /** Gives up all that is still to be delivered there; an attempt under way is the last one. */
  forget(endpoint: WebhookEndpoint): void;
  /** The clock has jumped, or an endpoint's settings have changed. */
  wake(): void;
  close(): Promise<void>;
}

interface Delivery {
  readonly event: string;
  readonly json: string;
  readonly copy: number;
  attempts: number;
  firstSentAt: number;
  /** Shared by both copies of a doubled delivery. */
  readonly endpointHas: { event: boolean };
}

interface Lane {
  readonly endpoint: WebhookEndpoint;
  readonly queue: DueQueue<Delivery>;
  underWay: number;
  removed: boolean;
}

const HEADERS = {
  'Content-Type': 'application/json; charset=utf-8',
  'User-Agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
};

/** Timers of Node hold no more than 24 days, and the clock may be set meanwhile: look at least once a minute. */
const LONGEST_SLEEP_MS = 60_000;

/** `randomOf` gives a stream for each label: what becomes of an event depends on nothing else. */
export function createDeliveries(
  clock: Clock,
  record: DeliveryRecord,
  randomOf: (label: string) => Random,
): Deliveries {
  const poster = createPoster();
  const lanes = new Map<string, Lane>();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const laneOf = (endpoint: WebhookEndpoint): Lane => {
    let lane = lanes.get(endpoint.id);
    if (lane === undefined) {
      lane = { endpoint, queue: createDueQueue(), underWay: 0, removed: false };
      lanes.set(endpoint.id, lane);
    }
    return lane;
  };

  const hasRoom = ({ underWay, endpoint }: Lane): boolean =>
    underWay < (endpoint.delivery.concurrency ?? CONCURRENCY);

  const sleep = (): void => {
    clearTimeout(timer);
    if (closed) return;
    let next = Number.POSITIVE_INFINITY;
    for (const lane of lanes.values()) {
      if (hasRoom(lane)) next = Math.min(next, lane.queue.nextDueAt() ?? next);
    }
    if (next === Number.POSITIVE_INFINITY) return;
    const ms = Math.ceil((next - clock.now()) * 1000);
    timer = setTimeout(work, Math.min(Math.max(ms, 0), LONGEST_SLEEP_MS));
  };

  const work = (): void => {
    if (closed) return;
    const now = clock.now();
    for (const lane of lanes.values()) {
      while (hasRoom(lane)) {
        const delivery = lane.queue.takeDue(now);
        if (delivery === undefined) break;
        // An attempt that falls due while the endpoint is disabled is not made, and no further one either.
        if (lane.endpoint.disabled) record.failed();
        else void attempt(lane, delivery);
      }
    }
    sleep();
  };

  const attempt = async (lane: Lane, delivery: Delivery): Promise<void> => {
    const { endpoint } = lane;
    const { event, copy } = delivery;
    const sentAt = clock.now();
    if (delivery.attempts === 0) delivery.firstSentAt = sentAt;
    delivery.attempts += 1;
    lane.underWay += 1;
    record.sent(event, delivery.attempts > 1);
    const body = Buffer.from(
      endpoint.thin ? delivery.json : withPendingWebhooks(delivery.json, record.pendingOf(event)),
    );
    const signature = signatureHeader(body, activeSecrets(endpoint, sentAt), Math.floor(sentAt));
    const result = await poster.post(
      endpoint.url,
      { ...HEADERS, 'Stripe-Signature': signature },
      body,
      endpoint.delivery.timeoutSeconds ?? TIMEOUT_SECONDS,
    );
    lane.underWay -= 1;
    if (closed) return;
    const answeredAt = clock.now();
    record.answered({
      event,
      endpoint: endpoint.id,
      copy,
      attempt: delivery.attempts,
      sentAt,
      answeredAt,
      ...result,
    });
    if (result.status !== null && result.status >= 200 && result.status < 300) {
      record.delivered(event, answeredAt, !delivery.endpointHas.event);
      delivery.endpointHas.event = true;
    } else {
      const schedule = endpoint.delivery.retry ?? liveRetries;
      const pause = retryPause(schedule, delivery.attempts, answeredAt - delivery.firstSentAt);
      if (pause === undefined || lane.removed) record.failed();
      else lane.queue.push(answeredAt + pause, delivery);
    }
    work();
  };

  return {
    plan(endpoint, event, json) {
      if (closed) return;
      const delays = fateOf(endpoint.delivery, (label) => randomOf(`${endpoint.id}/${event}/${label}`));
      record.planned(event, delays.length);
      const endpointHas = { event: false };
      const now = clock.now();
      for (const [index, delay] of delays.entries()) {
        const delivery = { event, json, copy: index + 1, attempts: 0, firstSentAt: now, endpointHas };
        laneOf(endpoint).queue.push(now + delay, delivery);
      }
      sleep();
    },
    forget(endpoint) {
      const lane = laneOf(endpoint);
      lane.removed = true;
      lanes.delete(endpoint.id);
      for (const _ of lane.queue.drain()) record.failed();
      sleep();
    },
    wake: sleep,
    async close() {
      closed = true;
      clearTimeout(timer);
      await poster.close();
    },
  };
}
