import { expect } from 'vitest';
import type { CheckReport } from '../../src/cli/doctor/check.js';

/** The only report of a check. */
export function named(reports: readonly CheckReport[], check: string): CheckReport {
  const found = reports.filter((report) => report.check === check);
  expect(found).toHaveLength(1);
  return found[0] as CheckReport;
}

export const names = (reports: readonly CheckReport[]) => reports.map(({ check }) => check);

export const troubles = (reports: readonly CheckReport[]) =>
  reports.filter(({ result }) => result !== 'ok').map(({ check, result }) => `${check}: ${result}`);
