/** How long the ledger and the change feed are kept. */
import { RETENTION_SECONDS } from './reanchor.js';

export interface Keeping {
  /** Seconds, of the ledger's events and of the feed's changes; null keeps them for good. */
  readonly eventsSeconds: number | null;
  readonly changesSeconds: number | null;
}

/** Clocks that differ, and a walk that is under way. */
const MARGIN_SECONDS = 86_400;

/**
 * How old an event has to be by its `created`, in seconds, before its row may go. While Stripe can still list an event
 * or deliver it, its row is what keeps it from being applied again.
 */
export function leastAgeOfEvent(keepSeconds: number): number {
  return Math.max(keepSeconds, RETENTION_SECONDS) + MARGIN_SECONDS;
}
