/** How far an audit is, for whoever waits for it and for the Temporal UI. */
import { defineQuery } from '@temporalio/workflow';

export interface AuditProgress {
  readonly number: number | null;
  readonly phase: 'begins' | 'comparing' | 'verifying' | 'healing' | 'ended';
  readonly types: number;
  readonly typesDone: number;
  /** Events and objects that were compared so far. */
  readonly events: number;
  readonly objects: number;
  /** What looks different and is neither explained nor certain; null while it is not known. */
  readonly open: number | null;
  /** The types under way. */
  readonly underWay: readonly string[];
}

export const auditProgressQuery = defineQuery<AuditProgress>('progress');

/** One line on it. */
export function auditProgressText({
  phase,
  types,
  typesDone,
  events,
  objects,
  open,
  underWay,
}: AuditProgress): string {
  switch (phase) {
    case 'begins':
      return 'Audit begins';
    case 'comparing': {
      const now = underWay.length === 0 ? '' : `: ${underWay.slice(0, 3).join(', ')}`;
      return `Comparing: ${typesDone} of ${types} types, ${objects} objects, ${events} events${now}`;
    }
    case 'verifying':
      return `Making sure of ${open === null ? 'what looks different' : `${open} that look different`}`;
    case 'healing':
      return 'Healing what differs';
    case 'ended':
      return `Compared ${objects} objects of ${types} types and ${events} events`;
  }
}
