/**
 * The way in which the stripe package reaches the network. Its own client parses the body and drops the text,
 * bounds idle time only, and cannot be cancelled; this one keeps the text as it came, ends the moment it is
 * told to, and measures the request. What it learns goes into the `Exchange` of the request in progress.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { isUtf8 } from 'node:buffer';
import http, { type ClientRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import https from 'node:https';
import type Stripe from 'stripe';
import { UserError } from '../domain/failures.js';

const MAX_SOCKETS = 32;
const IDLE_SOCKET_MS = 60_000;

/** One request of ours: how to end it early, and what is known of it so far. */
export interface Exchange {
  /** Ends the request at once, wherever it is. */
  readonly stop: AbortSignal;
  /** Our monotonic clock when a connection was taken for it; null until then. */
  sentAt: number | null;
  apiVersion: string;
  /** Null until the headers of an answer came. */
  status: number | null;
  headers: IncomingHttpHeaders;
  /** Why the connection failed, as a code such as ECONNRESET; null while it has not. */
  broken: string | null;
  /** The body, once the whole of it was read: exactly as it came, or null where that is no UTF-8. */
  text: string | null;
  /** Set for a success whose body is a JSON object, and only then. */
  body: object | null;
  /** From `sentAt` until the whole body was read, in milliseconds. */
  durationMs: number;
}

export function newExchange(stop: AbortSignal): Exchange {
  return {
    stop,
    sentAt: null,
    apiVersion: '',
    status: null,
    headers: {},
    broken: null,
    text: null,
    body: null,
    durationMs: 0,
  };
}

// The package has no per-request way to hand anything to its HTTP client.
const current = new AsyncLocalStorage<Exchange>();

/** Runs one request of the stripe package, on whose behalf the HTTP client fills `exchange`. */
export function duringExchange<T>(exchange: Exchange, request: () => Promise<T>): Promise<T> {
  return current.run(exchange, request);
}

export interface ApiBase {
  readonly protocol: 'http' | 'https';
  readonly host: string;
  readonly port: string;
}

/**
 * Takes a base URL apart. Throws a `UserError` unless it is https, or http to this machine: over plain http
 * anywhere else, whoever listens on the way would read the key.
 */
export function parseApiBase(url: string): ApiBase {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || (parsed.protocol !== 'https:' && parsed.protocol !== 'http:')) {
    throw new UserError(
      'The base URL of Stripe is not an http(s) URL: give one like https://api.stripe.com.',
    );
  }
  if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '' || parsed.hash !== '') {
    throw new UserError(
      'The base URL of Stripe holds more than a host: give scheme, host and port only; the key goes elsewhere.',
    );
  }
  if (parsed.pathname !== '/') {
    throw new UserError('The base URL of Stripe has a path, which is not supported: leave it out.');
  }
  // URL parsing has normalised the host: 127.1 and 0x7f000001 read 127.0.0.1 here.
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  const loopback = host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
  if (parsed.protocol === 'http:' && !loopback) {
    throw new UserError(
      'The base URL of Stripe is plain http, which would show the key to the network: use https (http is for ' +
        'localhost, 127.0.0.0/8 and ::1 only).',
    );
  }
  const protocol = parsed.protocol === 'https:' ? 'https' : 'http';
  return { protocol, host, port: parsed.port || (protocol === 'https' ? '443' : '80') };
}

/** An HTTP client for the stripe package over its own pool of connections; `close` ends all of them. */
export function createHttpClient(protocol: ApiBase['protocol']): {
  client: Stripe.HttpClient;
  close(): void;
} {
  const library = protocol === 'https' ? https : http;
  const agent = new library.Agent({
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    timeout: IDLE_SOCKET_MS,
    // The connections that a quiet hour does not need grow old and close.
    scheduling: 'lifo',
  });

  const client: Stripe.HttpClient = {
    getClientName: () => 'durable-stripe-sync',
    // Async, because the package turns a synchronous throw into an unhandled rejection and never settles.
    makeRequest: async (host, port, path, method, headers) => {
      const exchange = current.getStore();
      if (exchange === undefined) throw new Error('a request was made outside of duringExchange');
      exchange.apiVersion = String(headers['Stripe-Version']);
      const options: RequestOptions = { host, port, path, method, headers };
      const raw =
        (await receive(exchange, () => library.request({ ...options, agent }))) ??
        (await receive(exchange, () => library.request({ ...options, agent: false })));
      if (raw === null) throw new Error('the connection broke');
      exchange.text = isUtf8(raw) ? raw.toString('utf8') : null;
      return responseOf(exchange);
    },
  };
  return { client, close: () => agent.destroy() };
}

/**
 * Sends one request and reads the whole body. Null means that an idle connection turned out to have been closed
 * by the other side: the one case in which sending again at once is right, on a connection of its own.
 *
 * Rejects with errors without a `code`: on ECONNRESET and EPIPE the package would send again by itself, after
 * half a second of sleep that hears no cancellation, even with its retries off.
 */
function receive(exchange: Exchange, open: () => ClientRequest): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    if (exchange.stop.aborted) return reject(new Error('the request was ended'));
    const request = open();
    let settled = false;
    const fail = (code: string) => {
      // After a whole answer the connection may close as it likes.
      if (settled) return;
      settled = true;
      const stale = request.reusedSocket && exchange.status === null && /^(ECONNRESET|EPIPE)$/.test(code);
      if (stale && !exchange.stop.aborted) return resolve(null);
      exchange.broken = code;
      reject(new Error('the connection broke'));
    };
    const failed = (error: NodeJS.ErrnoException) => fail(error.code ?? 'unknown');
    exchange.stop.addEventListener(
      'abort',
      () => {
        request.destroy();
        // A request that still waits for a connection would not notice before it gets one.
        reject(new Error('the request was ended'));
      },
      { once: true },
    );
    request.once('socket', () => {
      exchange.sentAt = performance.now();
    });
    request.on('error', failed);
    request.once('close', () => fail('closed'));
    request.once('response', (response) => {
      exchange.status = response.statusCode ?? 0;
      exchange.headers = response.headers;
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', failed);
      response.once('end', () => {
        settled = true;
        exchange.durationMs = performance.now() - (exchange.sentAt ?? performance.now());
        resolve(Buffer.concat(chunks));
      });
    });
    request.end();
  });
}

function responseOf(exchange: Exchange): Stripe.HttpClientResponse {
  const status = exchange.status ?? 0;
  // The package prints a notice of Stripe's to stderr with every response that carries one.
  const { 'stripe-notice': _notice, ...headers } = exchange.headers;
  return {
    getStatusCode: () => status,
    getHeaders: () => headers as Record<string, string | string[]>,
    getRawResponse: () => ({}),
    toStream: () => {
      throw new Error('responses are not streamed');
    },
    toJSON: async () => {
      if (exchange.text === null) throw new SyntaxError('the body is not UTF-8');
      const parsed: unknown = JSON.parse(exchange.text);
      if (status < 200 || status > 299) return parsed;
      if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
        throw new SyntaxError('the body is not an object');
      }
      exchange.body = parsed;
      // The package takes any body with an `error` for a failed request, and a failed reporting.report_run or
      // scheduled_query_run is a good answer that has one. It also adds properties. So it gets a stand-in.
      return {};
    },
  };
}
