import type { Gap } from '../src/domain/account-state.js';
import type { Cursor } from '../src/domain/cursor.js';
import type { ActivityDeps } from './deps.js';
import { listEvents } from './event-pages.js';

/** Where a walk goes on after Stripe no longer knew the cursor. */
export interface Reanchored {
  readonly cursor: Cursor | null;
  /** Where to begin without a cursor, in seconds of Stripe's clock. */
  readonly anchor: number;
  /** Seconds whose events may be gone for good. */
  readonly gap: Gap | null;
  readonly requests: number;
}

/** Stripe keeps events for 30 days. */
export const RETENTION_SECONDS = 30 * 24 * 3600;

/**
 * Finds a position by time, at or before `cursor.created - lagSeconds`. Where Stripe lists nothing that old,
 * the walk begins at that time instead; and where that time is past Stripe's retention, the seconds up to the
 * end of retention are a gap.
 */
export async function reanchor(
  deps: ActivityDeps,
  input: {
    readonly account: string;
    readonly cursor: Cursor;
    readonly lagSeconds: number;
    readonly signal: AbortSignal;
  },
): Promise<Reanchored> {
  const anchor = Math.max(0, input.cursor.created - input.lagSeconds);
  const page = await listEvents(deps, {
    account: input.account,
    query: `limit=1&created[lt]=${anchor}`,
    source: 'poll',
    signal: input.signal,
  });
  const [older] = page.listed;
  if (older !== undefined) return { cursor: older, anchor, gap: null, requests: 1 };
  // Without a Date our own clock has to do: a gap that is none costs a listing, one that is missed costs data.
  const kept = (page.date ?? Math.floor(Date.now() / 1000)) - RETENTION_SECONDS;
  const gap = anchor < kept ? { from: anchor, to: kept } : null;
  return { cursor: null, anchor, gap, requests: 1 };
}
