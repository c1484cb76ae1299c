import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { HANDLER_FAILED, StripeFailure, UserError } from '../src/domain/failures.js';
import { HandlersBusy } from '../src/handlers/handler-slots.js';
import { isTransientPostgresError, postgresErrorSummary } from '../src/postgres/errors.js';
import { attemptsNoted } from './noting-failures.js';
import { StepFailed } from './run-handlers.js';

type Activity = (...args: never[]) => Promise<unknown>;

/** Failures that no repetition mends. */
const FINAL = new Set(['permission', 'invalid']);
/** Attempts after which an answer that makes no sense, or a fault of our own, is final: it is no outage. */
const PATIENCE = 10;

/**
 * Lets only failures out that Temporal may keep: their messages name codes, request ids and permissions, and
 * never a payload or a key. What PostgreSQL says in words can quote the data, so its code stands for it.
 */
export function reportFailures<A extends Activity>(activity: A): A {
  const reporting = async (...args: Parameters<A>) => {
    try {
      return await activity(...args);
    } catch (error) {
      const { attempt, isLocal } = Context.current().info;
      throw reportable(error, { attempt, isLocal, patience: patienceOf(args[0]) });
    }
  };
  return reporting as A;
}

interface Attempt {
  /** From 1. */
  readonly attempt: number;
  readonly isLocal: boolean;
  /** Attempts after which what is refused is final; null where it is final at once. */
  readonly patience: number | null;
}

function patienceOf(input: unknown): number | null {
  if (typeof input !== 'object' || input === null || !('patience' in input)) return null;
  return typeof input.patience === 'number' ? input.patience : null;
}

export function reportable(error: unknown, { attempt, isLocal, patience }: Attempt): Error {
  const failures = attemptsNoted(error) ?? attempt;
  const isOutOfPatience = failures >= PATIENCE;
  // A local activity leaves the patience to the one on the task queue.
  const isFinal = isLocal || failures >= (patience ?? 1);
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof Error && error.name === 'AbortError')
    return new CancelledFailure('the attempt was given up');
  if (error instanceof StepFailed) {
    return ApplicationFailure.create({
      type: HANDLER_FAILED,
      message: error.message,
      details: [error.eventId],
      nonRetryable: isFinal,
    });
  }
  if (error instanceof HandlersBusy)
    return ApplicationFailure.create({ type: 'Handler/busy', message: error.message });
  if (error instanceof StripeFailure) {
    if (error.kind === 'cancelled') return new CancelledFailure('the request was cancelled');
    return ApplicationFailure.create({
      type: `Stripe/${error.kind}`,
      message: error.message,
      nonRetryable: FINAL.has(error.kind) || (error.kind === 'malformed' && isOutOfPatience),
      ...(error.retryAfterMs === undefined ? {} : { nextRetryDelay: error.retryAfterMs }),
    });
  }
  if (error instanceof UserError)
    return ApplicationFailure.create({ type: 'Configuration', message: error.message });
  const summary = postgresErrorSummary(error);
  if (summary !== null) {
    const transient = isTransientPostgresError(error);
    return ApplicationFailure.create({
      type: transient ? 'PostgreSQL/unavailable' : 'PostgreSQL/refused',
      message: summary,
      nonRetryable: !transient && isFinal,
    });
  }
  return ApplicationFailure.create({
    type: 'Internal',
    message: error instanceof Error ? nameAndPlaceOf(error) : typeof error,
    nonRetryable: isOutOfPatience,
  });
}

/** A fault of our own, without its words: they may quote anything, and a stack begins with them. */
function nameAndPlaceOf({ name, message, stack = '' }: Error): string {
  const frame = stack
    .split('\n')
    .find((line) => /^\s+at \S.*:\d+:\d+\)?$/.test(line) && !message.includes(line));
  return `${/^[A-Za-z][A-Za-z0-9]{0,40}$/.test(name) ? name : 'Error'}${frame ?? ''}`;
}
