import type { AccountReport } from './account-report.js';

/** The report of an account for people: a few lines that fit on a screen. */
export function statusText(report: AccountReport): string {
  const { counts, cursor, backfill, late, reads, gap } = report;
  const lines = [
    `${report.account}: ${report.state}${report.behindSeconds ? `, ${span(report.behindSeconds)} behind` : ''}`,
    `  cursor    ${cursor === null ? 'none yet' : `${cursor.id} (${time(cursor.created)})`}, lag ${report.lagSeconds ?? '?'} s`,
    `  events    ${counts.received} received: ${counts.applied} applied, ${counts.stale} stale, ${counts.fetched} settled by a read, ` +
      `${counts.ignored} ignored, ${counts.parked} parked, ${counts.pending} pending`,
    `  late      ${late.count}${late.count > 0 ? ` (worst ${late.maxSeconds} s)` : ''}, leaks ${report.leaks}`,
    `  reads     ${reads.used30d} of ${reads.allowance} in 30 days`,
    `  backfill  ${backfillLine(backfill)}`,
  ];
  for (const type of backfill?.types ?? []) {
    if (type.skipped !== undefined) lines.push(`            ${type.object} is left out: ${type.skipped}`);
  }
  if (gap !== null) {
    lines.push(
      `  gap       events between ${time(gap.from)} and ${time(gap.to)} are past Stripe's retention; a resync follows by itself`,
    );
  }
  if (report.trouble !== null) lines.push(`  trouble   ${report.trouble}`);
  return lines.join('\n');
}

function backfillLine(backfill: AccountReport['backfill']): string {
  if (backfill === null) return 'none';
  const done = backfill.types.filter((type) => type.done).length;
  const rows = backfill.types.reduce((sum, type) => sum + type.rows, 0);
  return `${backfill.state}: ${done} of ${backfill.types.length} types, ${rows} rows (${backfill.reason})`;
}

function time(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function span(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
