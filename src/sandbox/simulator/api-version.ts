/**
 * API versions. An event's object is rendered in the version that was in force when the event was made, and a response
 * in the one that the request names. Of the differences, the simulator knows those of 2025-03-31.basil, which moved
 * the billing period of a subscription to its items and the subscription of an invoice into `parent`.
 */
import { ApiError } from './errors.js';
import { isJsonObject, type JsonObject } from './json.js';

const BASIL = '2025-03-31';

export function checkApiVersion(version: string): string {
  if (/^\d{4}-\d{2}-\d{2}(\.[a-z0-9_]+)?(;.*)?$/.test(version)) return version;
  throw new ApiError(400, `Invalid Stripe API version: ${version}`);
}

export function rendersLikeLatest(version: string): boolean {
  return version.slice(0, 10) >= BASIL;
}

export function renderInVersion(version: string, data: JsonObject): JsonObject {
  if (rendersLikeLatest(version)) return data;
  if (data.object === 'subscription') return withPeriodOnTop(data);
  if (data.object === 'invoice') return withSubscriptionOnTop(data);
  return data;
}

function withPeriodOnTop(subscription: JsonObject): JsonObject {
  const { items } = subscription;
  const [first] = isJsonObject(items) && Array.isArray(items.data) ? items.data : [];
  if (!isJsonObject(first)) return subscription;
  return {
    ...subscription,
    current_period_start: first.current_period_start ?? null,
    current_period_end: first.current_period_end ?? null,
  };
}

function withSubscriptionOnTop(invoice: JsonObject): JsonObject {
  const { parent, ...rest } = invoice;
  const details = isJsonObject(parent) ? parent.subscription_details : undefined;
  return {
    ...rest,
    subscription: isJsonObject(details) ? (details.subscription ?? null) : null,
    paid: invoice.status === 'paid',
  };
}
