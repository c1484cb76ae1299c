/** The one place that sends requests to Stripe (design.md, section 6). */
import { setMaxListeners } from 'node:events';
import Stripe from 'stripe';
import { StripeFailure, type StripeFailureKind, UserError } from '../domain/failures.js';
import type { Lane } from '../domain/pace-limit.js';
import { classifyError } from './classify-error.js';
import { createHttpClient, duringExchange, newExchange, parseApiBase } from './http-client.js';

const STRIPE_API_BASE = 'https://api.stripe.com';
const DEFAULT_DEADLINE_MS = 30_000;
/** The longest that a timer of Node's can wait; anything above fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface StripeClientOptions {
  readonly apiKey: string;
  /** Scheme, host and port; Stripe's own by default. Plain http to this machine only. */
  readonly baseUrl?: string | undefined;
  /** The version that answers are rendered in; the stripe package's own by default. */
  readonly apiVersion?: string | undefined;
  /** Connected account (`acct_…`) on whose behalf everything is read. */
  readonly stripeAccount?: string | undefined;
  /** How long a request may take, all in all, in milliseconds. */
  readonly deadlineMs?: number | undefined;
  /** Told of every request that was sent, once it is over, for metrics and the read budget. Must not throw. */
  readonly onRequest?: ((request: FinishedRequest) => void) | undefined;
}

export interface FinishedRequest {
  /** Without its query. */
  readonly path: string;
  /** HTTP status, or null where no answer came. */
  readonly status: number | null;
  readonly requestId: string | null;
  /** From the call of `get` until its end, the wait for a free connection included, in milliseconds. */
  readonly elapsedMs: number;
  readonly failure: StripeFailureKind | null;
}

export interface GetOptions {
  /** Ends the request at once and frees its connection; `get` then fails with kind `cancelled`. */
  readonly signal?: AbortSignal | undefined;
  /** For this request, in milliseconds. */
  readonly deadlineMs?: number | undefined;
  /** For this request. */
  readonly apiVersion?: string | undefined;
  /** Behind a pace: whether somebody waits for it (`live`, the default), or it is one of a backfill's. */
  readonly lane?: Lane | undefined;
}

export interface StripeResponse {
  /** The body exactly as it came: big integers, decimals and the order of keys are all still there. */
  readonly text: string;
  /** The same, parsed: always an object. Integers beyond 2^53 have lost digits here. */
  readonly body: unknown;
  readonly status: number;
  readonly requestId: string | null;
  /** Stripe's clock (its `Date` header) in whole seconds; null where the header is missing. */
  readonly date: number | null;
  /** The header itself, where `date` was corrected by what answers before and after it said. */
  readonly saidDate?: number | null;
  /** Our monotonic clock, from before sending until the whole body was read, in milliseconds. */
  readonly durationMs: number;
  /** The version that the body is rendered in. */
  readonly apiVersion: string;
}

export interface StripeClient {
  /**
   * Reads one path, such as `/v1/customers?limit=100`; parameters are part of it. Sends it once: retries are
   * Temporal's, but for those of a pace. Throws a `StripeFailure`, and nothing else.
   */
  get(path: string, options?: GetOptions): Promise<StripeResponse>;
  /** Cancels what is under way and frees all connections. */
  close(): void;
}

/**
 * A client for one key. Cheap to keep (some 45 kB, and connections only while they are used). Throws a
 * `UserError` where the key or the base URL cannot be right.
 */
export function createStripeClient(options: StripeClientOptions): StripeClient {
  const { apiKey, stripeAccount, onRequest } = options;
  if (!isHeaderValue(apiKey)) {
    throw new UserError('The Stripe API key is empty or holds characters that no key has: set it again.');
  }
  if (stripeAccount !== undefined && !isHeaderValue(stripeAccount)) {
    throw new UserError('The connected account is not an account id: give one like acct_1A2b3C.');
  }
  const base = parseApiBase(options.baseUrl ?? STRIPE_API_BASE);
  const connections = createHttpClient(base.protocol);
  const stripe = new Stripe(apiKey, {
    ...base,
    httpClient: connections.client,
    maxNetworkRetries: 0,
    telemetry: false,
    appInfo: { name: 'durable-stripe-sync' },
    ...(stripeAccount === undefined ? {} : { stripeAccount }),
  });
  const underWay = new Set<() => void>();
  let closed = false;

  async function get(path: string, request: GetOptions = {}): Promise<StripeResponse> {
    const deadlineMs = request.deadlineMs ?? options.deadlineMs ?? DEFAULT_DEADLINE_MS;
    const apiVersion = request.apiVersion ?? options.apiVersion;
    const stop = new AbortController();
    const exchange = newExchange(stop.signal);
    let ended: 'cancelled' | 'deadline' | null = null;
    const end = (why: 'cancelled' | 'deadline') => {
      ended ??= why;
      stop.abort();
    };
    const cancel = () => end('cancelled');
    const failure = (error?: unknown) => {
      const { broken, status, headers, durationMs } = exchange;
      const host = `${base.host}:${base.port}`;
      const date = secondsOf(headers.date);
      return classifyError(error, {
        path,
        host,
        deadlineMs,
        ended,
        broken,
        status,
        headers,
        date,
        durationMs,
      });
    };

    if (closed || request.signal?.aborted === true) cancel();
    if (request.signal !== undefined) {
      // Many requests at once share the signal of one activity, which is no leak to warn of.
      setMaxListeners(0, request.signal);
      request.signal.addEventListener('abort', cancel, { once: true });
    }
    underWay.add(cancel);
    const timer = setTimeout(end, Math.min(deadlineMs, MAX_TIMER_MS), 'deadline');
    const started = performance.now();
    let outcome: StripeResponse | StripeFailure;
    try {
      await duringExchange(exchange, () =>
        stripe.rawRequest('GET', path, undefined, apiVersion === undefined ? {} : { apiVersion }),
      );
      const { status, text, body, headers } = exchange;
      // Without an `error` in the body the package takes any status for a success.
      outcome =
        status === null || text === null || body === null
          ? failure()
          : {
              text,
              body,
              status,
              requestId: single(headers['request-id']),
              date: secondsOf(headers.date),
              durationMs: exchange.durationMs,
              apiVersion: single(headers['stripe-version']) ?? exchange.apiVersion,
            };
    } catch (error) {
      outcome = failure(error);
    } finally {
      clearTimeout(timer);
      underWay.delete(cancel);
      request.signal?.removeEventListener('abort', cancel);
    }
    if (exchange.sentAt !== null) {
      onRequest?.({
        path: path.replace(/\?.*$/s, ''),
        status: exchange.status,
        requestId: outcome.requestId ?? null,
        elapsedMs: performance.now() - started,
        failure: outcome instanceof StripeFailure ? outcome.kind : null,
      });
    }
    if (outcome instanceof StripeFailure) throw outcome;
    return outcome;
  }

  return {
    get,
    close() {
      closed = true;
      for (const cancel of [...underWay]) cancel();
      connections.close();
    },
  };
}

function isHeaderValue(value: string): boolean {
  return /^[\x21-\x7e]+$/.test(value);
}

function single(header: string | string[] | undefined): string | null {
  return typeof header === 'string' ? header : null;
}

function secondsOf(date: string | undefined): number | null {
  const milliseconds = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(milliseconds) ? null : Math.floor(milliseconds / 1000);
}
