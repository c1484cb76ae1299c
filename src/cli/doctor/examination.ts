/** All checks of an account: the groups at once, in the order of a report. */
import { type CheckReport, GROUPS, type Group } from './check.js';
import { checkPostgres } from './postgres-checks.js';
import { checkStripe } from './stripe-checks.js';
import { checkTemporal } from './temporal-checks.js';

export interface Examination {
  readonly env: NodeJS.ProcessEnv;
  /** The alias. */
  readonly account: string;
  /** This machine's clock, in milliseconds since 1970. */
  readonly machineNow: () => number;
  /** Told how far a group is. */
  readonly progress: (group: Group, text: string) => void;
}

/** Never rejects because of what is examined. */
export async function examine(examination: Examination): Promise<CheckReport[]> {
  const postgres = checkPostgres(examination);
  const reports = await Promise.all([
    checkStripe(examination, postgres.known),
    postgres.reports,
    checkTemporal(examination),
  ]);
  return reports.flat();
}

/** As "Stripe 34 of 82 types, Temporal done". */
export function progressText(parts: ReadonlyMap<Group, string>): string {
  return GROUPS.flatMap((group) => (parts.has(group) ? [`${group} ${parts.get(group)}`] : [])).join(', ');
}
