import { Context } from '@temporalio/activity';
import { readAccount } from '../src/postgres/account-row.js';
import { openAudit } from '../src/postgres/audit-row.js';
import { tablesWithRows } from '../src/postgres/audit-summary.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { assertMigrated } from '../src/postgres/schema.js';
import { syncedObjects, tableOf } from '../src/stripe/catalog.js';
import { type Listing, listingOf } from '../src/stripe/listings.js';
import type { ActivityDeps } from './deps.js';

export interface BeginAuditInput {
  readonly account: string;
  /** Temporal's id of the run. */
  readonly run: string;
  /** How far back events are compared, from Stripe's present. */
  readonly sinceSeconds: number;
  /** Stripe object names; null for all that have a list of their own. */
  readonly types: readonly string[] | null;
  readonly heal: boolean;
}

export interface AuditPlan {
  readonly number: number;
  /** Window of the events, both ends included, in seconds of Stripe's clock. */
  readonly from: number;
  readonly to: number;
  /** The account's lag in seconds; null where it has none yet. */
  readonly lagSeconds: number | null;
  readonly apiVersion: string | null;
  readonly types: readonly string[];
  readonly leftOut: readonly { readonly object: string; readonly reason: string }[];
}

/**
 * Opens an audit: its number, its window on Stripe's clock, and the types that it compares. The window never reaches
 * back behind the account's own beginning: what is older was never to be in the ledger.
 */
export function beginAudit(deps: ActivityDeps) {
  return async ({ account, run, sinceSeconds, types, heal }: BeginAuditInput): Promise<AuditPlan> => {
    const signal = Context.current().cancellationSignal;
    await assertMigrated(deps.pool);
    const known = await readAccount(deps.pool, account);
    const response = await deps.stripe(account).get('/v1/events?limit=1', { signal });
    await recordReads(deps.pool, account, 1);
    const now = response.date ?? Math.floor(Date.now() / 1000);
    const from = Math.max(Math.floor(now - sinceSeconds), known?.beganAt ?? 0);
    const window = await openAudit(deps.pool, { account, run, from, to: now, types, heal });
    return {
      ...window,
      lagSeconds: known?.lagSeconds ?? null,
      apiVersion: known?.apiVersion ?? null,
      types: types ?? comparedTypes(),
      leftOut: types === null ? await leftOut(deps, account) : [],
    };
  };
}

/** What one list or one request shows. */
function comparedTypes(): string[] {
  return syncedObjects()
    .map(({ object }) => object)
    .filter((object) => isCompared(listingOf(object)));
}

function isCompared({ how }: Listing): boolean {
  return how === 'list' || how === 'singleton';
}

/** Types that have rows and are not compared unless they are named, with the reason. */
async function leftOut(deps: ActivityDeps, account: string): Promise<AuditPlan['leftOut']> {
  const others = syncedObjects().filter(({ object }) => !isCompared(listingOf(object)));
  const filled = await tablesWithRows(
    deps.pool,
    account,
    others.map((entry) => tableOf(entry)),
  );
  return others
    .filter((entry) => filled.has(tableOf(entry)))
    .map(({ object }) => ({ object, reason: reasonOf(listingOf(object)) }));
}

function reasonOf(listing: Listing): string {
  switch (listing.how) {
    case 'parents':
      return `it is listed under each ${listing.walks[0]?.parent ?? 'parent'}: name it with --types`;
    case 'embedded':
      return `its rows follow those of their ${listing.parent}`;
    case 'events':
    case 'nothing':
      return listing.why;
    default:
      return 'it was not asked for';
  }
}
