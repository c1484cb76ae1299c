import { StripeFailure } from '../src/domain/failures.js';
import type { StripeResponse } from '../src/stripe/client.js';
import type { RunningActivity } from './activity-context.js';
import type { ActivityDeps } from './deps.js';
import { inBulk } from './in-bulk.js';

/** So often a request is sent again that one of Stripe's limiters refused, before the attempt is given up. */
const MOST_REFUSALS = 20;
const PAUSE_MS = 500;

/** What a type that this account or key does not have answers with. */
const LEAVES_OUT = new Set(['permission', 'invalid', 'gone']);

/** Whether Stripe says that there is no such thing here, for this key: asking again cannot help. */
export function isLeftOut(error: unknown): error is StripeFailure {
  return error instanceof StripeFailure && LEAVES_OUT.has(error.kind);
}

/**
 * Calls until no limiter of Stripe's is in the way. An audit has time, and what it has read so far is worth more than
 * an attempt.
 */
export async function unhurried<T>(
  { sleep }: Pick<RunningActivity, 'sleep'>,
  call: () => Promise<T>,
): Promise<T> {
  for (let refusals = 1; ; refusals += 1) {
    try {
      return await call();
    } catch (error) {
      const limited = error instanceof StripeFailure && error.kind === 'rate-limited';
      if (!limited || refusals === MOST_REFUSALS) throw error;
      await sleep(error.retryAfterMs ?? PAUSE_MS * Math.min(refusals, 10));
    }
  }
}

/** A reader of Stripe's paths for an audit's activity, which counts its requests. */
export function auditReader(
  deps: ActivityDeps,
  input: { readonly account: string; readonly apiVersion: string | null },
  activity: RunningActivity,
) {
  const { account, apiVersion } = input;
  const client = inBulk(deps).stripe(account);
  const version = apiVersion === null ? {} : { apiVersion };
  let requests = 0;
  return {
    requests: () => requests,
    get: (path: string): Promise<StripeResponse> =>
      unhurried(activity, () => {
        requests += 1;
        return client.get(path, { signal: activity.signal, ...version });
      }),
  };
}

/** Runs `work` on each item, so many at a time, to the end; throws the first failure after that. */
export async function eachAtOnce<T>(
  items: readonly T[],
  most: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  const failures: unknown[] = [];
  const walker = async () => {
    for (const item of left) {
      if (failures.length > 0) return;
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: most }, walker));
  if (failures.length > 0) throw failures[0];
}
