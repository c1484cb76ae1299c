import { markBackfilled } from '../src/postgres/account-row.js';
import { endBackfill as noteEnd } from '../src/postgres/backfills.js';
import { countCharges } from '../src/postgres/count-charges.js';
import { postgresErrorSummary } from '../src/postgres/errors.js';
import { endListing } from '../src/postgres/listings.js';
import type { ActivityDeps } from './deps.js';

export interface EndBackfillInput {
  readonly account: string;
  readonly number: number;
  readonly outcome: 'done' | 'failed';
  /** Whether the account's tables now hold all of it, so that a later start needs no backfill. */
  readonly isWhole: boolean;
}

export function endBackfill(deps: ActivityDeps) {
  return async ({ account, number, outcome, isWhole }: EndBackfillInput): Promise<void> => {
    if (isWhole && outcome === 'done') await markBackfilled(deps.pool, account);
    // It reads all charges, which may be too many for one statement. The poll is slower without it, and no worse.
    if (isWhole)
      await countCharges(deps.pool, account).catch((error: unknown) => {
        if (postgresErrorSummary(error) === null) throw error;
        deps.log.info({ account }, 'the charges of the last 30 days could not be counted');
      });
    await noteEnd(deps.pool, account, number, outcome);
  };
}

export interface FailListingInput {
  readonly account: string;
  readonly object: string;
  readonly number: number;
  readonly reason: string;
}

/** Notes that a type could not be listed to its end. */
export function failListing(deps: ActivityDeps) {
  return ({ reason, ...listing }: FailListingInput): Promise<void> =>
    endListing(deps.pool, listing, 'failed', reason);
}
