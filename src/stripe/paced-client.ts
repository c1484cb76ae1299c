/** A client whose requests go at the pace of their key. */
import { setMaxListeners } from 'node:events';

import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { StripeFailure } from '../domain/failures.js';
import type { GetOptions, StripeClient, StripeResponse } from './client.js';
import { endpointOf } from './endpoint.js';
import { cancelledFailure, type Fate, type Refusal, type RequestPace } from './request-pace.js';

/** For how long a bulk request is sent again after its first 429. */
const REPEAT_MS = 30_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 4_000;

/**
 * The client behind a pace, which several clients of one key may share. The wait for a permit is no part of the
 * request: neither of its duration nor of its deadline. A bulk request that ends in 429 is sent again, for half a
 * minute at most; for a live one that is up to the caller. `close` ends the waits of this client, and closes it.
 */
export function pacedClient(client: StripeClient, pace: RequestPace): StripeClient {
  const underWay = new Set<AbortController>();

  async function send(path: string, options: GetOptions, signal: AbortSignal): Promise<StripeResponse> {
    const endpoint = endpointOf(path);
    const lane = options.lane ?? 'live';
    let place: number | undefined;
    let until: number | undefined;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      const patienceMs = until === undefined ? undefined : Math.max(0, until - performance.now());
      const permit = await pace.take({ endpoint, lane, signal, place, patienceMs });
      let fate: Fate = 'other';
      try {
        const response = await client.get(path, { ...options, signal });
        fate = 'ok';
        return response;
      } catch (error) {
        fate = fateOf(error);
        if (lane === 'live' || typeof fate === 'string') throw error;
        place = permit.place;
        until ??= performance.now() + REPEAT_MS;
        pauseMs = pauseOf(fate, pauseMs);
        if (performance.now() + pauseMs > until) throw error;
      } finally {
        permit.settle(fate);
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => {
        throw cancelledFailure();
      });
    }
  }

  return {
    ...client,
    async get(path, options = {}) {
      const stop = new AbortController();
      const cancel = () => stop.abort();
      if (options.signal !== undefined) {
        if (options.signal.aborted) cancel();
        // Many requests at once share the signal of one activity, which is no leak to warn of.
        setMaxListeners(0, options.signal);
        options.signal.addEventListener('abort', cancel, { once: true });
      }
      underWay.add(stop);
      try {
        return await send(path, options, stop.signal);
      } finally {
        underWay.delete(stop);
        options.signal?.removeEventListener('abort', cancel);
      }
    },
    close() {
      client.close();
      for (const stop of [...underWay]) stop.abort();
    },
  };
}

function fateOf(error: unknown): Fate {
  if (!(error instanceof StripeFailure)) return 'other';
  if (error.kind !== 'rate-limited' && error.status !== 429) return 'other';
  return { reason: error.reason ?? null, retryAfterMs: error.retryAfterMs ?? null };
}

/** The pace itself waits out what a limiter asked for; nobody else does that for a lock. */
function pauseOf({ reason, retryAfterMs }: Refusal, pauseMs: number): number {
  return reason === null ? Math.max(pauseMs, retryAfterMs ?? 0) : pauseMs;
}
