import { DatabaseError } from 'pg';
import { StripeFailure, UserError } from '../src/domain/failures.js';
import { isTransientPostgresError } from '../src/postgres/errors.js';
import { noteFailure, noteOutage } from '../src/postgres/settle-events.js';
import type { ActivityDeps } from './deps.js';
import type { EntityKey } from './entity-traits.js';
import { StepFailed } from './run-handlers.js';

/** An outage that is over sooner is nothing to report: with a wait of one second that doubles, some 7 s. */
const OUTAGE_FROM_ATTEMPT = 4;

const AWAY: ReadonlySet<string> = new Set(['transient', 'rate-limited', 'authentication']);

const attemptsOf = new WeakMap<object, number>();

/**
 * How often the changes that this error is about have failed so far, by the ledger. Temporal's own count also holds
 * the attempts that an outage took, for which nothing may be given up. Undefined for what is not counted there.
 */
export function attemptsNoted(error: unknown): number | undefined {
  return typeof error === 'object' && error !== null ? attemptsOf.get(error) : undefined;
}

/**
 * Notes in the ledger what went wrong with changes that are tried again, in full: the ledger is the user's own
 * database, Temporal and the log are not. That Stripe is away is no fault of the changes: it is noted once it lasts,
 * and counts as one attempt.
 */
export async function notingFailures<T>(
  deps: ActivityDeps,
  changes: EntityKey & { readonly ids: readonly string[] },
  attempt: number,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { account } = changes;
    const words = wordsOf(error);
    if (words !== null) {
      const ids = error instanceof StepFailed ? [error.eventId] : changes.ids;
      // Where even this fails, PostgreSQL is away, and what matters is the first failure.
      const attempts = await noteFailure(deps.pool, { account, ids, error: words }).catch((failure) =>
        isTransientPostgresError(failure) ? 0 : null,
      );
      if (attempts !== null) attemptsOf.set(error as object, attempts);
    } else if (isStripeAway(error) && attempt >= OUTAGE_FROM_ATTEMPT) {
      const outage = { account, ids: changes.ids, error: error.message };
      await noteOutage(deps.pool, outage).catch(() => undefined);
    }
    throw error;
  }
}

/** Null for what time mends by itself. */
function wordsOf(error: unknown): string | null {
  if (error instanceof StepFailed) return error.failure.message;
  if (error instanceof StripeFailure)
    return AWAY.has(error.kind) || error.kind === 'cancelled' ? null : error.message;
  if (isTransientPostgresError(error)) return null;
  return error instanceof DatabaseError ? `PostgreSQL: ${error.message}` : null;
}

/** No repetition is one too many for these: Stripe does not answer, or the worker lacks a key that it takes. */
function isStripeAway(error: unknown): error is StripeFailure | UserError {
  return error instanceof UserError || (error instanceof StripeFailure && AWAY.has(error.kind));
}
