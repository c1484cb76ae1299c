import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { StripeFailure, UserError } from '../src/domain/failures.js';
import { isTransientPostgresError, postgresErrorSummary } from '../src/postgres/errors.js';

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
      throw reportable(error, Context.current().info.attempt);
    }
  };
  return reporting as A;
}

/** @param attempt which attempt of its activity failed, from 1 */
export function reportable(error: unknown, attempt: number): Error {
  const isOutOfPatience = attempt >= PATIENCE;
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
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
      nonRetryable: !transient,
    });
  }
  const name = error instanceof Error ? error.name : typeof error;
  const place = error instanceof Error ? error.stack?.split('\n').find((line) => line.includes(' at ')) : '';
  return ApplicationFailure.create({
    type: 'Internal',
    message: `${name}${place ?? ''}`,
    nonRetryable: isOutOfPatience,
  });
}
