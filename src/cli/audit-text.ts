import { totalOf } from '../domain/audit.js';
import type { AuditEventsResult, AuditExample, AuditTypeResult } from '../domain/audit-result.js';
import type { AuditReport } from './audit.js';
import { time } from './status-text.js';

const NAME_WIDTH = 26;
/** Keys that are named of one object; `--json` has them all. */
const MOST_KEYS = 8;

/** The report for people: what differs first, then what was not compared, then how much is equal. */
export function auditText(report: AuditReport, runs: boolean): string {
  const { account, number, since, to, heal, events, types, leftOut, totals } = report;
  const compared = types.filter((type) => type.notCompared === null || type.compared > 0);
  const differing = compared.filter((type) => totalOf(type) + type.unverified > 0);
  const equal = compared.length - differing.length;
  const lines = [
    `${account}: audit ${number}, events from ${time(since)} to ${time(to)}`,
    ...eventLines(events),
    ...differing.flatMap(typeLines),
    ...types.filter((type) => type.notCompared !== null).map(notComparedLine),
    `  equal      ${equal} of ${count(types.length, 'type')}, ${count(totals.compared, 'object')} compared`,
    ...(leftOut.length === 0
      ? []
      : [`  left out   ${leftOut.map(({ object }) => object).join(', ')} (why: --json)`]),
  ];
  if (heal && totals.healed > 0)
    lines.push(`  healed     ${totals.healed}${events.healed > 0 && !runs ? stopped(report) : ''}`);
  lines.push(report.clean ? verdictOf(report) : '');
  return lines.join('\n').trimEnd();
}

function verdictOf({ totals }: AuditReport): string {
  return totals.healed > 0 ? 'Everything that differed is healed.' : 'Everything that was compared is equal.';
}

function stopped({ account, events }: AuditReport): string {
  return `; the ${count(events.healed, 'event')} are taken with the next start: stripe-sync start ${account}`;
}

function eventLines({
  listed,
  missing,
  pending,
  parked,
  unverified,
  notCompared,
  examples,
}: AuditEventsResult): string[] {
  if (notCompared !== null) return [`  ${'events'.padEnd(NAME_WIDTH)} NOT COMPARED: ${notCompared}`];
  const found = counts([
    [missing, 'missing in the ledger'],
    [pending, 'pending'],
    [parked, 'parked'],
    [unverified, 'NOT VERIFIED'],
  ]);
  return [
    `  ${'events'.padEnd(NAME_WIDTH)} ${count(listed, 'event')}: ${found}`,
    ...examples.map(exampleLine),
  ];
}

function typeLines(type: AuditTypeResult): string[] {
  const { object, compared, missing, stale, extra, unverified, silent, examples } = type;
  const found = counts([
    [missing, 'missing'],
    [stale, 'stale'],
    [extra, 'extra'],
    [unverified, 'NOT VERIFIED'],
  ]);
  return [
    `  ${object.padEnd(NAME_WIDTH)} ${count(compared, 'object')}: ${found}`,
    ...examples.map(exampleLine),
    ...(unverified > 0
      ? [
          `      What is not verified looked different and was not read again: list it anew (stripe-sync resync)`,
        ]
      : []),
    ...(silent && missing + stale + extra > 0
      ? ['      Stripe does not tell of every change of these by an event: the next listing brings them']
      : []),
  ];
}

function exampleLine({ id, kind, state, keys, note }: AuditExample): string {
  const named = keys.slice(0, MOST_KEYS).join(', ');
  const more = keys.length > MOST_KEYS ? ` and ${keys.length - MOST_KEYS} more` : '';
  const what = keys.length === 0 ? '' : ` (${named}${more})`;
  const became = { differs: '', healed: ', healed', unhealed: ', NOT HEALED', unverified: ', not verified' }[
    state
  ];
  return `      ${kind.padEnd(8)} ${id}${what}${became}${note === null ? '' : `: ${note}`}`;
}

function notComparedLine({ object, notCompared, matters }: AuditTypeResult): string {
  return `  ${object.padEnd(NAME_WIDTH)} ${matters ? 'NOT COMPARED' : 'not compared'}: ${notCompared}`;
}

function counts(all: readonly (readonly [number, string])[]): string {
  const some = all.filter(([value]) => value > 0).map(([value, name]) => `${value} ${name}`);
  return some.length === 0 ? 'equal' : some.join(', ');
}

function count(value: number, noun: string): string {
  return `${value.toLocaleString('en-US')} ${noun}${value === 1 ? '' : 's'}`;
}
