import { DatabaseError } from 'pg';
import { StripeFailure } from '../src/domain/failures.js';
import { isTransientPostgresError } from '../src/postgres/errors.js';
import { noteFailure } from '../src/postgres/settle-events.js';
import type { ActivityDeps } from './deps.js';
import type { EntityKey } from './entity-traits.js';
import { StepFailed } from './run-handlers.js';

/**
 * Notes in the ledger what went wrong with changes that are tried again, in full: the ledger is the user's own
 * database, Temporal and the log are not. Outages are no fault of the changes, and are not noted.
 */
export async function notingFailures<T>(
  deps: ActivityDeps,
  changes: EntityKey & { readonly ids: readonly string[] },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const words = wordsOf(error);
    if (words !== null) {
      const ids = error instanceof StepFailed ? [error.eventId] : changes.ids;
      // Where even this fails, PostgreSQL is away, and what matters is the first failure.
      await noteFailure(deps.pool, { account: changes.account, ids, error: words }).catch(() => undefined);
    }
    throw error;
  }
}

/** Null for what time mends by itself. */
function wordsOf(error: unknown): string | null {
  if (error instanceof StepFailed) return error.failure.message;
  if (error instanceof StripeFailure) {
    return error.kind === 'transient' || error.kind === 'rate-limited' || error.kind === 'cancelled'
      ? null
      : error.message;
  }
  if (isTransientPostgresError(error)) return null;
  return error instanceof DatabaseError ? `PostgreSQL: ${error.message}` : null;
}
