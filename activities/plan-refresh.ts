import { planOf, type Refreshable, type RefreshPlan } from '../src/domain/refresh.js';
import { readAccount } from '../src/postgres/account-row.js';
import { readOldestOpen } from '../src/postgres/read-oldest-open.js';
import { isEmptyTable, readListedSoFar } from '../src/postgres/read-refresh-state.js';
import { openWhile } from '../src/stripe/append-only.js';
import { tableOf } from '../src/stripe/catalog.js';
import { refreshTypes } from '../src/stripe/refresh-types.js';
import { heartbeating } from './activity-context.js';
import type { ActivityDeps } from './deps.js';

export interface RefreshInput {
  readonly account: string;
  /** Between two refreshes. */
  readonly everySeconds: number;
  /** Stripe object names; null for all. */
  readonly types: readonly string[] | null;
}

/** Where nothing was measured yet: as far as the lag widens by itself unless it is told otherwise. */
const UNKNOWN_LAG_SECONDS = 300;

/** Works out what has to be listed again, since no event tells of its changes, and from when on. */
export function planRefresh(deps: ActivityDeps) {
  return ({ account, everySeconds, types }: RefreshInput): Promise<RefreshPlan> =>
    heartbeating(async ({ signal }) => {
      const row = await readAccount(deps.pool, account);
      const listed = new Map(
        (await readListedSoFar(deps.pool, account)).map((entry) => [entry.object, entry]),
      );
      const refreshables: Refreshable[] = [];
      for (const { object, partly } of refreshTypes(types)) {
        const { completeTo = null, wholeSecondsAgo = null, rows = 0 } = listed.get(object) ?? {};
        const open = partly === 'newest' && completeTo !== null ? openWhile(object) : null;
        const oldestOpen =
          open === null
            ? null
            : await readOldestOpen(deps.pool, { account, table: tableOf(object), ...open }, signal);
        const isUnused =
          partly === null && rows === 0 && (await isEmptyTable(deps.pool, account, tableOf(object)));
        refreshables.push({ object, partly, completeTo, wholeSecondsAgo, isUnused, oldestOpen });
      }
      return planOf(refreshables, { everySeconds, lagSeconds: row?.lagSeconds ?? UNKNOWN_LAG_SECONDS });
    });
}
