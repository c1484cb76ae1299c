import type { FailedChange, FailureReason, Failures } from '../postgres/read-failures.js';
import type { FailuresReport } from './failures.js';
import { time } from './status-text.js';

/** Where nobody tells how wide the terminal is. */
const COLUMNS = 200;
const LEAST_ERROR = 40;
const MOST_REASONS = 10;

const HEADER = ['EVENT', 'TYPE', 'OBJECT', 'ID', 'CREATED', 'ATTEMPTS', 'PARKED', 'ERROR'];

/** The report for people: what was given up, what is being tried again, and what to do. */
export function failuresText(report: FailuresReport, columns = COLUMNS): string {
  const { account, parked, retrying } = report;
  const lines =
    parked.count === 0
      ? [`${account}: no parked changes`]
      : [
          `${account}: ${changes(parked.count)} parked, ${parked.count === 1 ? 'it' : 'they'} could not be applied`,
          ...section(parked, columns),
          '',
          `Once the cause is gone, take them again with: stripe-sync retry ${account}`,
        ];
  if (retrying.count > 0) {
    const are = retrying.count === 1 ? 'has' : 'have';
    lines.push('', `${changes(retrying.count)} ${are} failed and will be tried again by itself:`);
    lines.push(...section(retrying, columns));
  }
  return lines.join('\n');
}

export function changes(count: number): string {
  return `${count} change${count === 1 ? '' : 's'}`;
}

function section({ count, reasons, changes: shown }: Failures, columns: number): string[] {
  const left = count - shown.length;
  return [
    '',
    ...reasonLines(reasons, columns),
    '',
    ...table([HEADER, ...shown.map(cells)], columns),
    ...(left === 0 ? [] : [`  and ${left} more (--json)`]),
  ];
}

function reasonLines(reasons: readonly FailureReason[], columns: number): string[] {
  const width = Math.max(...reasons.map(({ count }) => String(count).length));
  const lines = reasons
    .slice(0, MOST_REASONS)
    .map(({ error, count }) => cut(`  ${String(count).padStart(width)} ×  ${oneLine(error)}`, columns));
  const left = reasons.length - lines.length;
  return left === 0 ? lines : [...lines, `  and ${left} more reasons (--json)`];
}

function cells(change: FailedChange): string[] {
  const { id, type, object, objectId, created, attempts, parkedAt, error } = change;
  const parked = parkedAt === null ? '-' : time(parkedAt);
  const facts = [id, type, object ?? '-', objectId ?? '-', time(created), String(attempts), parked, error];
  return facts.map(oneLine);
}

/** Aligned; what does not fit is cut off the last column. */
function table(rows: readonly (readonly string[])[], columns: number): string[] {
  const widths = HEADER.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 2);
  const last = Math.max(LEAST_ERROR, columns - before);
  return rows.map((row) => {
    const padded = row.map((cell, column) =>
      column === row.length - 1 ? cut(cell, last) : cell.padEnd(widths[column] ?? 0),
    );
    return `  ${padded.join('  ')}`.trimEnd();
  });
}

/** An error may quote data: what it holds must neither break the line nor steer the terminal. */
export function oneLine(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ')
    .replace(/ +/g, ' ')
    .trim();
}

function cut(text: string, width: number): string {
  const letters = [...text];
  return letters.length <= width ? text : `${letters.slice(0, width - 1).join('')}…`;
}
