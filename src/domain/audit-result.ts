/** What an audit found, as it is kept and as `audit --json` tells it. Fields are added, never renamed. */
import type { AuditTotals, DifferenceCounts } from './audit.js';

/** One difference. Ids and names of keys only: values stay where they are. */
export interface AuditExample {
  readonly id: string;
  /** Of an event: missing in the ledger, or there and `pending` or `parked`. `cut`: the list did not show all of it. */
  readonly kind: 'missing' | 'stale' | 'extra' | 'pending' | 'parked' | 'cut';
  /** `unverified`: it looked different and could not be looked at again. */
  readonly state: 'differs' | 'unverified' | 'healed' | 'unhealed';
  /** Top-level keys whose values differ; empty where there is only one side. */
  readonly keys: readonly string[];
  /** What else there is to say: what it is, or why it could not be healed. */
  readonly note: string | null;
}

export interface AuditTypeResult extends DifferenceCounts {
  readonly object: string;
  readonly table: string;
  /** Objects that were compared with their rows. */
  readonly compared: number;
  readonly requests: number;
  readonly healed: number;
  readonly unverified: number;
  /** Why the type could not be compared, or not to its end. */
  readonly notCompared: string | null;
  /** Whether it counts that it could not be: it was asked for, has rows, or should have been there. */
  readonly matters: boolean;
  /** Whether rows that Stripe no longer has were looked for: only a complete listing shows them. */
  readonly extraChecked: boolean;
  /** Whether Stripe may change such objects without an event. */
  readonly silent: boolean;
  readonly examples: readonly AuditExample[];
}

export interface AuditEventsResult {
  /** Events that Stripe lists of the window. */
  readonly listed: number;
  readonly missing: number;
  readonly pending: number;
  readonly parked: number;
  readonly healed: number;
  readonly unverified: number;
  readonly notCompared: string | null;
  readonly examples: readonly AuditExample[];
}

export interface AuditResult {
  readonly events: AuditEventsResult;
  /** All types that were looked at, those without a difference too. */
  readonly types: readonly AuditTypeResult[];
  /** Types with rows that were not looked at, and why. */
  readonly leftOut: readonly { readonly object: string; readonly reason: string }[];
  readonly totals: AuditTotals;
}
