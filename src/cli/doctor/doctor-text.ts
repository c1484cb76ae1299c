import { type CheckReport, GROUPS } from './check.js';

/** The report for people: a line for each check, and below it what to do where it did not pass. */
export function doctorText(account: string, reports: readonly CheckReport[]): string {
  const width = Math.max(...reports.map(({ check }) => check.length));
  const lines = GROUPS.flatMap((group) => [
    group,
    ...reports
      .filter((report) => report.group === group)
      .flatMap(({ result, check, found, remedy }) => [
        `  ${result.padEnd(4)}  ${check.padEnd(width)}  ${found}`,
        ...(remedy === undefined ? [] : [`  ${' '.repeat(4)}  ${' '.repeat(width)}  → ${remedy}`]),
      ]),
    '',
  ]);
  return `${[...lines, summary(account, reports)].join('\n')}\n`;
}

function summary(account: string, reports: readonly CheckReport[]): string {
  const count = (which: CheckReport['result']) => reports.filter(({ result }) => result === which).length;
  return `${account}: ${count('ok')} ok, ${count('warn')} to be looked at, ${count('fail')} failed`;
}

/** What failed, on one line; null where nothing did. */
export function verdict(account: string, reports: readonly CheckReport[]): string | null {
  const failed = reports.filter(({ result }) => result === 'fail');
  if (failed.length === 0) return null;
  const names = failed.map(({ group, check }) => `${check} (${group})`).join(', ');
  return `${account} is not in order: ${names}. What to do is said above, below each.`;
}
