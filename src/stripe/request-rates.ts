/** How fast a key may be used, unless Stripe says otherwise. Stripe's limits: https://docs.stripe.com/rate-limits */

import type { PaceSettings } from '../domain/pace.js';
import type { LimitSettings } from '../domain/pace-limit.js';
import { livemodeOf } from './api-key.js';
import { parseApiBase } from './http-client.js';

/** Just below Stripe's limits in requests a second, which others who use the account share. */
export const DEFAULT_RATES = {
  /** Of 25. */
  endpoint: 24,
  /** Of 20, for files and for search. */
  filesAndSearch: 16,
  /** Of 100. */
  totalLive: 80,
  /** Of 25, in test mode and in sandboxes. */
  totalTest: 20,
} as const;

/** Requests under way: Stripe does not say how many it lets be, so this is a guard only, within our connections. */
const AT_ONCE = { endpoint: 28, total: 32 } as const;

/** Events are listed for the live lane, but for audits and for what is looked at once more: no backfill lives on them. */
const LIVE_SHARE_OF_EVENTS = 0.96;

export interface RateOptions {
  readonly apiKey: string;
  /** Scheme, host and port; Stripe's own by default. */
  readonly baseUrl?: string | undefined;
  /** For each endpoint; the default otherwise. */
  readonly perSecond?: number | undefined;
  /** For all endpoints together. */
  readonly perSecondTotal?: number | undefined;
}

/**
 * What a key is paced by. A server on this machine is no account of Stripe's: it is asked as fast as it answers, up to
 * its first refusal, unless a rate is given.
 */
export function paceSettings({ apiKey, baseUrl, perSecond, perSecondTotal }: RateOptions): PaceSettings {
  // Plain http is for this machine only.
  const isLocal = baseUrl !== undefined && parseApiBase(baseUrl).protocol === 'http';
  const isTest = livemodeOf(apiKey) === false;
  const limit = (given: number | undefined, usual: number, atOnce: number): LimitSettings => ({
    perSecond: given ?? usual,
    atOnce,
    open: isLocal && given === undefined,
  });
  const endpoint = limit(perSecond, DEFAULT_RATES.endpoint, AT_ONCE.endpoint);
  const slower = { ...endpoint, perSecond: Math.min(endpoint.perSecond, DEFAULT_RATES.filesAndSearch) };
  const events = { ...endpoint, liveShare: LIVE_SHARE_OF_EVENTS };
  return {
    total: limit(perSecondTotal, isTest ? DEFAULT_RATES.totalTest : DEFAULT_RATES.totalLive, AT_ONCE.total),
    of(name) {
      if (name === '/v1/events') return events;
      return /^\/v1\/files(?:\/|$)|\/search$/.test(name) ? slower : endpoint;
    },
  };
}
