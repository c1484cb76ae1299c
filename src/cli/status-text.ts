import { gapText } from '../../workflows/details.js';
import type { LastAudit } from '../postgres/read-audits.js';
import type { AccountReport } from './account-report.js';
import { backfillTotals, count, summaryText, unsweptText } from './backfill-bars.js';
import { span } from './duration.js';

/** Types that are left out, and their reasons, are shown up to here; `--json` has them all. */
const MOST_LEFT_OUT = 5;

/** The report of an account for people: a few lines that fit on a screen. */
export function statusText(report: AccountReport): string {
  const { counts, cursor, backfill, late, reads, gap, lagSeconds, behindSeconds } = report;
  const lines = [
    `${report.account}: ${report.state}${behindSeconds ? `, ${span(behindSeconds)} behind` : ''}`,
    `  cursor    ${cursor === null ? 'none yet' : `${cursor.id}, ${time(cursor.created)}`}`,
    `  lag       ${lagSeconds === null ? 'none yet' : `${lagSeconds} s`}, ${late.count} events were late` +
      `${late.count > 0 ? ` (by ${late.maxSeconds} s at worst)` : ''}, ${report.leaks} came behind the cursor`,
    `  events    ${counts.received} received: ${countsText(counts)}`,
    ...catchUpLines(report),
    `  reads     ${reads.used30d} in 30 days, of ${reads.allowance} that Stripe allows`,
    `  backfill  ${backfill === null ? 'none' : backfillText(backfill)}`,
  ];
  const leftOut = (backfill?.types ?? []).filter((type) => type.skipped !== undefined);
  for (const type of leftOut.slice(0, MOST_LEFT_OUT)) {
    lines.push(`            ${type.object} is left out: ${type.skipped}`);
  }
  if (leftOut.length > MOST_LEFT_OUT) {
    lines.push(`            and ${leftOut.length - MOST_LEFT_OUT} more are left out (see them with --json)`);
  }
  const refused = (backfill?.types ?? []).filter((type) => type.refused !== undefined);
  for (const type of refused.slice(0, MOST_LEFT_OUT))
    lines.push(
      `            ${count(type.refused ?? 0)} of ${type.object} cannot be held by PostgreSQL (the log names them)`,
    );
  for (const { object, unswept = 0 } of (backfill?.types ?? []).filter((type) => type.unswept !== undefined))
    lines.push(`            ${object}: ${unsweptText(unswept)}`);
  if (report.audit !== null) lines.push(`  audit     ${auditText(report.audit)}`);
  if (report.state !== 'stopped') lines.push(`  next      ${schedulesText(report.schedules)}`);
  if (gap !== null) lines.push(`  gap       ${gapText(gap)}`);
  if (report.trouble !== null) lines.push(`  trouble   ${report.trouble}`);
  return lines.join('\n');
}

function catchUpLines({ catchUp }: AccountReport): string[] {
  if (catchUp === null) return [];
  const share = `${Math.floor(catchUp.share * 100)} %`;
  return [`  catch-up  ${share} of the events since ${time(catchUp.from)}, ${count(catchUp.events)} so far`];
}

function backfillText({ state, types, reason, pace }: NonNullable<AccountReport['backfill']>): string {
  return `${state}, ${pace === undefined ? backfillTotals(types) : summaryText(types, pace)} (${reason})`;
}

/** The same on one short line, for a status that is shown again and again. */
export function statusLine({ account, state, behindSeconds, counts, trouble }: AccountReport): string {
  const { received, fetched, ...rest } = counts;
  const shown = Object.entries({ ...rest, 'settled by a read': fetched }).filter(([, count]) => count > 0);
  const events = shown.map(([name, count]) => `${count} ${name}`).join(', ');
  const behind = behindSeconds ? `, ${span(behindSeconds)} behind` : '';
  if (trouble !== null) return `${account} ${state}${behind}. Trouble: ${trouble}`;
  return `${account} ${state}${behind}, ${received} events${events === '' ? '' : `: ${events}`}`;
}

function auditText({ at, number, differences, healed, unverified, notCompared }: LastAudit): string {
  const found = Object.entries({
    missing: differences.missing,
    stale: differences.stale,
    extra: differences.extra,
    'in the events': differences.events,
    healed,
    'not verified': unverified,
    'types not compared': notCompared,
  }).filter(([, count]) => count > 0);
  const what = found.map(([name, count]) => `${count} ${name}`).join(', ');
  return `${number} of ${time(at)}: ${what === '' ? 'equal' : what}`;
}

function schedulesText(schedules: AccountReport['schedules']): string {
  if (schedules === null) return 'unknown: Temporal does not tell of its schedules';
  const { refresh, prune, audit } = schedules;
  const texts = Object.entries({ refresh, pruning: prune, audit }).map(([name, schedule]) => {
    if (schedule === null) return `${name} off`;
    if (schedule.nextAt === null) return `${name} ${schedule.paused ? 'paused' : 'never'}`;
    return `${name} ${time(schedule.nextAt)}`;
  });
  return texts.join(', ');
}

function countsText({ applied, stale, fetched, ignored, parked, pending }: AccountReport['counts']): string {
  return (
    `${applied} applied, ${stale} stale, ${fetched} settled by a read, ${ignored} ignored, ` +
    `${parked} parked, ${pending} pending`
  );
}

export function time(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
