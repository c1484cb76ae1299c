/**
 * What can go wrong, typed once. Every message here is meant for people and may end up in Temporal, in a log
 * or on a terminal: it says what happened, why, and what to do, and never holds a key, a payload or customer
 * data. The same goes for `cause`: whoever sets it makes sure of that.
 *
 * Pure: workflows may import this file.
 */
import type { Version } from './version.js';

/**
 * - `rate-limited`: a limiter of Stripe said no; `reason` names it. Slow down, then try again.
 * - `authentication`: the key is no good for this account at all. Nothing works until somebody changes it.
 * - `permission`: the key may not read this one resource; `missingPermission` names what it lacks.
 * - `cursor-lost`: Stripe no longer knows the object that `ending_before` or `starting_after` names.
 * - `gone`: Stripe says that the object does not exist.
 * - `invalid`: the request itself is refused, or this account does not have that part of Stripe. Trying again
 *   cannot help.
 * - `malformed`: an answer came that Stripe's API does not give (no JSON, a proxy's page). Worth few retries.
 * - `transient`: network, time-out, 5xx, conflict, lock. Try again.
 * - `cancelled`: the caller's own signal, or the client was closed.
 */
export type StripeFailureKind =
  | 'rate-limited'
  | 'authentication'
  | 'permission'
  | 'cursor-lost'
  | 'gone'
  | 'invalid'
  | 'malformed'
  | 'transient'
  | 'cancelled';

export interface StripeFailureDetails {
  /** What happened, why, and what to do: one line, for people. */
  readonly message: string;
  readonly requestId?: string | undefined;
  /** HTTP status, where an answer came at all. */
  readonly status?: number | undefined;
  /** Stripe-Rate-Limited-Reason, such as `endpoint-rate`. */
  readonly reason?: string | undefined;
  /** How long Stripe asks us to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** Name of the permission that a restricted key lacks, such as `rak_customer_read`. */
  readonly missingPermission?: string | undefined;
  /** For `gone`: when Stripe said so, on its own clock. This is the version of the tombstone. */
  readonly version?: Version | undefined;
  /** Only ever an error of our own making: those of the stripe package and of Node hold answers. */
  readonly cause?: Error | undefined;
}

/** A request to Stripe that did not give what was asked for. */
export class StripeFailure extends Error {
  override readonly name = 'StripeFailure';
  readonly kind: StripeFailureKind;
  declare readonly requestId?: string;
  declare readonly status?: number;
  declare readonly reason?: string;
  declare readonly retryAfterMs?: number;
  declare readonly missingPermission?: string;
  declare readonly version?: Version;

  constructor(kind: StripeFailureKind, details: StripeFailureDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    if (details.requestId !== undefined) this.requestId = details.requestId;
    if (details.status !== undefined) this.status = details.status;
    if (details.reason !== undefined) this.reason = details.reason;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
    if (details.missingPermission !== undefined) this.missingPermission = details.missingPermission;
    if (details.version !== undefined) this.version = details.version;
  }
}

/**
 * Something that the person at the command line can put right. The CLI prints the message alone, without a
 * stack trace, and exits with `exitCode`: 1 for "failed or differs", 2 for wrong usage or configuration.
 */
export class UserError extends Error {
  override readonly name: string = 'UserError';
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What the loop of an account waits out by itself, and reports in words: Stripe's failures, and a key that is missing. */
export function isTrouble(error: unknown): error is StripeFailure | UserError {
  return error instanceof UserError || (error instanceof StripeFailure && error.kind !== 'cancelled');
}

/** Type of the failure that a user's handler raised; its first detail is the id of the event. */
export const HANDLER_FAILED = 'Handler/failed';
