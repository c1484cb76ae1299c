import { within } from '../domain/lateness-advice.js';
import type { LatenessReport } from './lateness.js';
import { time } from './status-text.js';

const COLUMNS = 80;
const LABEL_WIDTH = 10;
const BAR_WIDTH = 46;
const COUNT_WIDTH = 11;
const SHARE_WIDTH = 9;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** The report for people: a histogram, the percentiles, what came behind the cursor, and what follows from it. */
export function latenessText(report: LatenessReport): string {
  const { account, since, measured, notMeasured, leaks } = report;
  const lines = [
    `${account}: how late Stripe listed events, since ${time(since)}`,
    '',
    ...(measured === 0 ? [] : [...histogramLines(report), '', ...percentileLines(report), '']),
    `  measured  ${count(measured)} events`,
    ...(notMeasured === 0
      ? []
      : [`  left out  ${count(notMeasured)}: nobody had looked shortly before, or not listed yet`]),
    `  leaks     ${
      leaks.count === 0
        ? 'none came behind the cursor'
        : `${count(leaks.count)} came behind the cursor and ${leaks.count === 1 ? 'was' : 'were'} found by the rescan`
    }`,
    `  lag       ${lagText(report)}`,
    '',
    ...wrapped(report.advice),
  ];
  return lines.join('\n');
}

/** One line per bucket, down to the last one that holds anything. */
function histogramLines({ histogram, measured }: LatenessReport): string[] {
  const last = histogram.findLastIndex((bucket) => bucket.count > 0);
  const most = Math.max(...histogram.map((bucket) => bucket.count));
  const lines = histogram.slice(0, last + 1).map(({ upToSeconds, count: events }) => {
    const label = upToSeconds === null ? 'later' : `${upToSeconds} s`;
    const share = events === 0 ? '' : shareText(events / measured);
    const numbers = `${count(events).padStart(COUNT_WIDTH)}${share.padStart(SHARE_WIDTH)}`;
    return `${label.padStart(LABEL_WIDTH)}  ${barOf(events / most).padEnd(BAR_WIDTH)}  ${numbers}`.trimEnd();
  });
  const header = `${'  listed within'.padEnd(LABEL_WIDTH + BAR_WIDTH + 4)}${'events'.padStart(COUNT_WIDTH)}`;
  return [header, ...lines];
}

/** A bar in eighths of a column. What is there at all is seen, however little it is. */
export function barOf(share: number): string {
  const eighths = share > 0 ? Math.max(1, Math.round(share * BAR_WIDTH * 8)) : 0;
  return `${'█'.repeat(Math.floor(eighths / 8))}${EIGHTHS[eighths % 8] ?? ''}`;
}

/** Never rounded to all or to nothing. */
export function shareText(share: number): string {
  const percent = share * 100;
  if (percent === 100) return '100 %';
  if (percent < 0.01) return '<0.01 %';
  if (percent > 99.99) return '>99.99 %';
  return `${percent.toFixed(percent < 1 || percent > 99 ? 2 : 1)} %`;
}

function percentileLines({ percentiles, worstSeconds }: LatenessReport): string[] {
  const columns = [
    ...percentiles.map(({ percent, seconds }) => [`${percent} %`, within(seconds)]),
    ['all', within(worstSeconds ?? 0)],
  ];
  const row = (name: string, index: 0 | 1) =>
    `  ${name.padEnd(8)}${columns.map((column) => (column[index] ?? '').padStart(10)).join('')}`;
  return [row('of all', 0), row('within', 1)];
}

function lagText({ lagSeconds, lagLimits }: LatenessReport): string {
  if (lagSeconds === null) return 'not known yet';
  return lagLimits === null
    ? `${count(lagSeconds)} s`
    : `${count(lagSeconds)} s; it moves between ${count(lagLimits.floorSeconds)} s and ${count(lagLimits.maxSeconds)} s`;
}

/** Breaks a paragraph between words, except within a command. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.match(/`[^`]*`\S*|\S+/g) ?? []) {
    if (line !== '' && line.length + 1 + word.length > COLUMNS - 2) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => `  ${each}`);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
