/**
 * Every way in which a request to Stripe can fail, told apart once. Texts of Stripe's errors, of the stripe
 * package's and of Node's can hold ids, customer data, masked keys or whole answers: they are looked at here
 * and go no further. What is passed on is made of names, codes, numbers and the request id.
 */
import Stripe from 'stripe';
import { StripeFailure, type StripeFailureKind } from '../domain/failures.js';
import { readInterval } from '../domain/read-interval.js';

/** Longest wait that we take from a `Retry-After`, so that one odd header does not stop an account for a day. */
const MAX_RETRY_AFTER_MS = 600_000;

export interface FailedRequest {
  readonly path: string;
  /** Where it went, such as `api.stripe.com:443`. */
  readonly host: string;
  readonly deadlineMs: number;
  /** Set when we ended it ourselves. */
  readonly ended: 'cancelled' | 'deadline' | null;
  /** Code of a failed connection, such as ECONNRESET. */
  readonly broken: string | null;
  readonly status: number | null;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The answer's `Date` in seconds, and how long it took to come, where one came. */
  readonly date: number | null;
  readonly durationMs: number;
}

/** What `error` (the stripe package's, or undefined where it saw none) means, given what is known of the request. */
export function classifyError(error: unknown, request: FailedRequest): StripeFailure {
  const { status, headers, date, durationMs } = request;
  const answer = stripesAnswer(error);
  const requestId = safeToken(headers['request-id']);
  const facts = [
    status === null ? undefined : `HTTP ${status}`,
    safeToken(answer?.rawType),
    safeToken(answer?.code),
    prefixed('param', safeToken(answer?.param)),
    prefixed('request', requestId),
  ];
  const where = `(${facts.filter((fact) => fact !== undefined).join(', ')})`;
  const { kind, ...diagnosis } =
    unanswered(request, where) ?? answered({ ...request, status: status ?? 0 }, answer, where);
  return new StripeFailure(kind, {
    ...diagnosis,
    requestId,
    status: status ?? undefined,
    retryAfterMs: retryAfterMs(headers, date),
    version: kind === 'gone' ? (readInterval({ date, durationMs }) ?? undefined) : undefined,
    cause: causeOf(error, request),
  });
}

interface Diagnosis {
  readonly kind: StripeFailureKind;
  readonly message: string;
  readonly reason?: string;
  readonly missingPermission?: string | undefined;
}

/** For a request without a whole answer; null where there is one. */
function unanswered(request: FailedRequest, where: string): Diagnosis | null {
  const { ended, broken, status } = request;
  if (ended === 'cancelled') {
    return { kind: 'cancelled', message: 'The request to Stripe was cancelled before it was answered.' };
  }
  if (ended === 'deadline') {
    return {
      kind: 'transient',
      message:
        `Stripe's answer was not complete after ${request.deadlineMs} ms, so the request was ended: try again, ` +
        'and if this goes on look at the network and at status.stripe.com.',
    };
  }
  if (broken !== null && status === null) {
    return {
      kind: 'transient',
      message:
        `Stripe could not be reached at ${request.host} (${broken}): check the network and STRIPE_API_BASE, ` +
        'then try again.',
    };
  }
  if (broken !== null) {
    return {
      kind: 'transient',
      message: `The connection to Stripe broke in the middle of an answer (${broken}) ${where}: try again.`,
    };
  }
  if (status !== null) return null;
  return {
    kind: 'invalid',
    message:
      'A request to Stripe could not be sent, because its path or a header is not well-formed: check the API ' +
      'version and the connected account, and report it as a bug if they are right.',
  };
}

function answered(
  request: FailedRequest & { readonly status: number },
  answer: Stripe.errors.StripeError | null,
  where: string,
): Diagnosis {
  const { status, headers } = request;
  const reason = safeToken(headers['stripe-rate-limited-reason']);
  if (status >= 500 || status === 409) {
    return { kind: 'transient', message: `Stripe has a problem of its own ${where}: try again later.` };
  }
  if ((status === 429 || answer?.code === 'rate_limit') && reason !== undefined) {
    const message = `Stripe's limit on requests was reached, ${reason} ${where}: send fewer, then try again.`;
    return { kind: 'rate-limited', message, reason };
  }
  if (status === 429 || answer?.code === 'rate_limit') {
    // Stripe's limiters name themselves; a 429 without a reason is an object that another request has locked.
    return { kind: 'transient', message: `The object is locked by another request ${where}: try again.` };
  }
  if (answer === null) {
    return {
      kind: 'malformed',
      message:
        `The answer is none of Stripe's API ${where}: check STRIPE_API_BASE, and whether a proxy on the way ` +
        'answered.',
    };
  }
  if (status === 401) {
    return {
      kind: 'authentication',
      message:
        `Stripe does not accept the API key ${where}: it may be mistyped, expired or revoked. Set a valid one ` +
        'in STRIPE_API_KEY or STRIPE_API_KEY_<ALIAS>.',
    };
  }
  if (answer.code === 'account_invalid') {
    return {
      kind: 'authentication',
      message:
        `The API key has no access to the connected account ${where}: check the account's id, and whether its ` +
        'access was revoked.',
    };
  }
  if (status === 403) return withoutPermission(answer.message, where);
  if (status === 400 || status === 404) return refused(status, answer, request.path, where);
  return refusal(where);
}

function withoutPermission(text: string, where: string): Diagnosis {
  const missingPermission = /\brak_[a-z0-9_]{1,80}_(?:read|write)\b/.exec(text)?.[0];
  const remedy =
    missingPermission === undefined
      ? 'give it read access to this resource'
      : `give it the permission ${missingPermission}`;
  const message =
    `The API key may not read this ${where}: ${remedy} in the Stripe dashboard (Developers, API keys), or leave ` +
    'the type out with --types.';
  return { kind: 'permission', message, missingPermission };
}

/** 400 and 404: Stripe uses both for objects that it does not find, and 404 for paths that it does not know. */
function refused(status: number, answer: Stripe.errors.StripeError, path: string, where: string): Diagnosis {
  if (namesCursor(answer, path)) {
    return {
      kind: 'cursor-lost',
      message:
        `Stripe no longer knows the object to continue from ${where}: it aged out or was deleted, so the walk ` +
        'has to begin again further back.',
    };
  }
  const missing = answer.code === 'resource_missing' || (status === 404 && /^no such /i.test(answer.message));
  // "No such customer: …; a similar object exists in test mode, but a live mode key was used": taking that for a
  // deletion would empty the tables of somebody who swapped a key.
  if (missing && /similar object exists/i.test(answer.message)) {
    return {
      kind: 'authentication',
      message:
        `The object exists in Stripe's other mode ${where}: the API key is a live one where a test one belongs, ` +
        'or the other way round.',
    };
  }
  if (missing) {
    return { kind: 'gone', message: `Stripe has no such object ${where}: it was deleted, or never was.` };
  }
  if (/not set up to use|unrecognized request url/i.test(answer.message)) {
    return {
      kind: 'invalid',
      message:
        `This account or API version does not have this part of Stripe ${where}: leave the type out with ` +
        '--types, or have it enabled in the Stripe dashboard.',
    };
  }
  return refusal(where);
}

function refusal(where: string): Diagnosis {
  return {
    kind: 'invalid',
    message:
      `Stripe refuses the request ${where}: look it up in the logs of the Stripe dashboard; trying again will ` +
      'not help.',
  };
}

/**
 * The error, where it is one that Stripe's API gave. A page of a proxy, or JSON of somebody else's, must pass
 * neither for a missing permission nor for a deleted object.
 */
function stripesAnswer(error: unknown): Stripe.errors.StripeError | null {
  const fromStripe =
    error instanceof Stripe.errors.StripeError &&
    !(error instanceof Stripe.errors.StripeOAuthError) &&
    error.statusCode !== undefined &&
    typeof error.rawType === 'string' &&
    typeof error.message === 'string';
  return fromStripe ? error : null;
}

/** Whether the error is about the object that the request continues from, and not about its parent, say. */
function namesCursor(answer: Stripe.errors.StripeError, path: string): boolean {
  const query = new URLSearchParams(path.includes('?') ? path.slice(path.indexOf('?')) : '');
  const cursor = query.get('ending_before') ?? query.get('starting_after');
  if (cursor === null) return false;
  if (answer.param === 'ending_before' || answer.param === 'starting_after') return true;
  if (/\b(?:ending_before|starting_after)\b|\baged[ -]?out\b/i.test(answer.message)) return true;
  return cursor !== '' && answer.message.includes(cursor);
}

/** `Retry-After` in milliseconds: seconds, or a date, which is read against the response's own `Date`. */
function retryAfterMs(headers: FailedRequest['headers'], date: number | null): number | undefined {
  const header = headers['retry-after'];
  if (typeof header !== 'string' || header.trim() === '') return undefined;
  const seconds = Number(header);
  const wait = Number.isNaN(seconds) ? Date.parse(header) - (date ?? Number.NaN) * 1000 : seconds * 1000;
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(Math.round(wait), 0), MAX_RETRY_AFTER_MS);
}

/** A short name or code is passed on; anything that might be a text, an address or a key is not. */
function safeToken(value: unknown): string | undefined {
  if (typeof value !== 'string' || !/^[\w[\].-]{1,80}$/.test(value)) return undefined;
  return /(?:^|[^a-z])(?:sk|rk|whsec)_/i.test(value) ? undefined : value;
}

function prefixed(name: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : `${name} ${value}`;
}

/** What was thrown, by name only: the package's errors keep headers and the raw answer, Node's the raw packet. */
function causeOf(error: unknown, request: FailedRequest): Error | undefined {
  if (request.ended !== null) return undefined;
  if (request.broken !== null) return new Error(`connection failed: ${request.broken}`);
  return error instanceof Error ? new Error(`${error.constructor.name} of the stripe package`) : undefined;
}
