import { type AuditTotals, NO_DIFFERENCES } from '../src/domain/audit.js';
import type { AuditExample, AuditResult, AuditTypeResult } from '../src/domain/audit-result.js';
import { closeAudit } from '../src/postgres/audit-row.js';
import {
  countDifferences,
  type DifferenceGroup,
  readExamples,
  tablesWithRows,
} from '../src/postgres/audit-summary.js';
import { readAudit } from '../src/postgres/read-audits.js';
import { tableOf } from '../src/stripe/catalog.js';
import { silentObjects } from '../src/stripe/stored-objects.js';
import type { ActivityDeps } from './deps.js';

/** What the workflow knows of a type; the differences themselves are in PostgreSQL. */
export interface AuditedType {
  readonly object: string;
  readonly compared: number;
  readonly requests: number;
  /** Differences beyond those that were kept. */
  readonly overflow: number;
  readonly extraChecked: boolean;
  /** Why it was not compared, or not to its end; null where it was. */
  readonly notCompared: string | null;
  /** Whether that is no surprise: Stripe says that this key or account does not have it. */
  readonly leftOutByStripe: boolean;
}

export interface FinishAuditInput {
  readonly account: string;
  readonly number: number;
  readonly types: readonly AuditedType[];
  readonly leftOut: AuditResult['leftOut'];
  readonly events: {
    readonly listed: number;
    readonly overflow: number;
    readonly notCompared: string | null;
  };
  /** Whether the types were asked for by name. */
  readonly named: boolean;
  readonly state: 'done' | 'failed' | 'cancelled';
  readonly reason: string | null;
}

/** What an audit's workflow returns. */
export interface AuditSummary {
  readonly number: number;
  readonly totals: AuditTotals;
}

/** Adds up what an audit found, keeps it, and lets go of what it worked on. Repeating it changes nothing. */
export function finishAudit(deps: ActivityDeps) {
  return async (input: FinishAuditInput): Promise<AuditSummary> => {
    const { account, number, state, reason } = input;
    const ended = await readAudit(deps.pool, account, number);
    if (ended !== null) return { number, totals: ended.result?.totals ?? NOTHING };
    const result = state === 'done' ? await resultOf(deps, input) : null;
    await closeAudit(deps.pool, { account, number }, { state, reason, result });
    return { number, totals: result?.totals ?? NOTHING };
  };
}

const NOTHING: AuditTotals = {
  ...NO_DIFFERENCES,
  compared: 0,
  events: 0,
  healed: 0,
  unverified: 0,
  notCompared: 0,
};

async function resultOf(deps: ActivityDeps, input: FinishAuditInput): Promise<AuditResult> {
  const { account, number } = input;
  const groups = await countDifferences(deps.pool, { account, number });
  const examples = await readExamples(deps.pool, { account, number });
  const incomplete = input.types.filter((type) => type.notCompared !== null);
  const filled = await tablesWithRows(
    deps.pool,
    account,
    incomplete.map(({ object }) => tableOf(object)),
  );
  const silent = new Set(silentObjects());
  const of = (object: string) => ({
    groups: groups.filter((group) => group.object === object),
    examples: examples
      .filter((example) => example.object === object)
      .map(({ object: _object, ...example }): AuditExample => example),
  });
  const types = input.types.map(({ overflow, leftOutByStripe, ...type }): AuditTypeResult => {
    const { groups: own, examples: shown } = of(type.object);
    return {
      ...type,
      table: tableOf(type.object),
      missing: sum(own, { kind: 'missing' }),
      stale: sum(own, { kind: 'stale' }),
      extra: sum(own, { kind: 'extra' }),
      healed: sum(own, { state: 'healed' }),
      unverified: sum(own, { state: 'unverified' }) + overflow,
      matters:
        type.notCompared !== null && (input.named || !leftOutByStripe || filled.has(tableOf(type.object))),
      silent: silent.has(type.object),
      examples: shown,
    };
  });
  const { groups: ofEvents, examples: shownEvents } = of('event');
  const events = {
    listed: input.events.listed,
    missing: sum(ofEvents, { kind: 'missing' }),
    pending: sum(ofEvents, { kind: 'pending' }),
    parked: sum(ofEvents, { kind: 'parked' }),
    healed: sum(ofEvents, { state: 'healed' }),
    unverified: sum(ofEvents, { state: 'unverified' }) + input.events.overflow,
    notCompared: input.events.notCompared,
    examples: shownEvents,
  };
  const total = (count: (type: AuditTypeResult) => number) =>
    types.reduce((all, type) => all + count(type), 0);
  return {
    events,
    types,
    leftOut: input.leftOut,
    totals: {
      compared: total((type) => type.compared),
      missing: total((type) => type.missing),
      stale: total((type) => type.stale),
      extra: total((type) => type.extra),
      events: events.missing + events.pending + events.parked,
      healed: total((type) => type.healed) + events.healed,
      unverified: total((type) => type.unverified) + events.unverified,
      notCompared: total((type) => Number(type.matters)) + Number(events.notCompared !== null),
    },
  };
}

/** Counts of one kind are of what certainly differed; what nobody verified is counted on its own. */
function sum(
  groups: readonly DifferenceGroup[],
  of: { readonly kind?: string; readonly state?: string },
): number {
  return groups
    .filter(({ kind, state }) =>
      of.state === undefined ? kind === of.kind && state !== 'unverified' : state === of.state,
    )
    .reduce((all, { count }) => all + count, 0);
}
