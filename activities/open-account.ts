import type { Cursor } from '../src/domain/cursor.js';
import { noteBeginning, readAccount, writeAccount } from '../src/postgres/account-row.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { heartbeating } from './activity-context.js';
import type { ActivityDeps } from './deps.js';
import { askForEvents } from './event-pages.js';

export interface OpenInput {
  readonly account: string;
  /** Begin at Stripe's present, whatever an earlier run left. */
  readonly fresh: boolean;
  readonly lagSeconds: number;
}

export interface OpenedAccount {
  readonly cursor: Cursor | null;
  /** Where to begin without a cursor, in seconds of Stripe's clock. */
  readonly anchor: number;
  /** The lag that an earlier run had reached, in seconds. */
  readonly lagSeconds: number | null;
  /** The API version that the account's events are rendered in; null where it has no events yet. */
  readonly apiVersion: string | null;
  readonly backfilled: boolean;
  /** Events are taken from here on, in seconds of Stripe's clock; null where an older version opened it. */
  readonly beganAt: number | null;
  /** Up to which `created` the last deep rescan has listed everything again; null where there was none. */
  readonly deepRescannedTo: number | null;
  /** When the list was last read to its end, in seconds of Stripe's clock; null where that is not known. */
  readonly lookedAt: number | null;
}

/**
 * An account without events, and an answer without a time: our own clock may be off by this much. Listing more than
 * is needed costs a request.
 */
const DOUBT_SECONDS = 86_400;

/**
 * Finds where an account begins: where an earlier run stopped, or at the newest settled event, so that a
 * backfill which begins afterwards leaves nothing between the two.
 */
export function openAccount(deps: ActivityDeps) {
  return (input: OpenInput): Promise<OpenedAccount> =>
    heartbeating(async ({ signal }) => {
      if (!input.fresh) await noteBeginning(deps.pool, input.account);
      const left = input.fresh ? null : await readAccount(deps.pool, input.account);
      if (left !== null) return left;

      const list = (to: number | null) =>
        askForEvents(deps, {
          account: input.account,
          request: { kind: 'window', from: null, to, below: null, limit: 1 },
          signal,
        });
      const newest = await list(null);
      const now = newest.readAt ?? newest.seenAt - DOUBT_SECONDS;
      const anchor = Math.max(0, now - input.lagSeconds);
      const settled = await list(anchor - 1);
      const start = { cursor: settled.listed[0] ?? null, anchor, apiVersion: newest.apiVersion };
      await writeAccount(deps.pool, input.account, start);
      await recordReads(deps.pool, input.account, 2);
      return {
        ...start,
        lagSeconds: null,
        backfilled: false,
        beganAt: anchor,
        deepRescannedTo: null,
        lookedAt: null,
      };
    });
}
