/**
 * The frame of a figure: several runs, each beside what the machine could do at best in the same run, and the lowest,
 * middle and highest of them as a table or as JSON. Absolute figures drift from machine to machine and from minute to
 * minute; the ratios of one run do not.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { type Machine, machine, machineText } from './machine.js';

/** What one run found. */
export interface Measured {
  readonly what: string;
  readonly unit: string;
  readonly value: number;
  /** The same on a path without this project, in the same unit and the same run. */
  readonly baseline?: { readonly what: string; readonly value: number };
  readonly wanted?: Wanted;
}

/** What it ought to be: of the value, or of the value's ratio to the baseline. */
export interface Wanted {
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly ratioAtLeast?: number;
  readonly ratioAtMost?: number;
}

export interface Spread {
  readonly minimum: number;
  readonly median: number;
  readonly maximum: number;
}

/** All runs of one measure. */
export interface Summary extends Omit<Measured, 'value' | 'baseline'> {
  readonly runs: number;
  readonly values: Spread;
  readonly baseline?: { readonly what: string; readonly values: Spread; readonly ratio: Spread };
  /** By the median; null where nothing is wanted. */
  readonly isMet: boolean | null;
}

export interface FigureReport {
  readonly figure: string;
  readonly says: string;
  readonly at: string;
  readonly machine: Machine;
  readonly options: Readonly<Record<string, unknown>>;
  readonly seconds: number;
  readonly measures: readonly Summary[];
  readonly notes: readonly string[];
}

export interface Figure {
  readonly runs: number;
  readonly values: Readonly<Record<string, string>>;
  /** When everything has to be over, in milliseconds from now. */
  readonly withinMs: number;
  say(line: string): void;
  /** What one run found. */
  add(measures: readonly Measured[]): void;
  /** Something to know about the figures: how a sum was made, which index served. */
  note(line: string): void;
}

export interface FigureDefinition {
  readonly name: string;
  readonly says: string;
  readonly runs?: number;
  /** Seconds after which it is given up. */
  readonly within?: number;
  /** Names and defaults of its own options. */
  readonly options?: Readonly<Record<string, string>>;
}

/** How long the parts have to end once the time is up. */
const GRACE_MS = 30_000;

/** Runs a figure as a program: reads its options, prints what was found; the exit code is 1 where it failed. */
export async function figure(
  definition: FigureDefinition,
  work: (figure: Figure) => Promise<void>,
): Promise<void> {
  const { name, says, options = {} } = definition;
  const own = { runs: String(definition.runs ?? 3), within: String(definition.within ?? 300), ...options };
  const texts = Object.entries(own).map(([key, value]) => [key, { type: 'string', default: value }] as const);
  const config = {
    options: { ...Object.fromEntries(texts), json: { type: 'boolean', default: false } },
  } satisfies ParseArgsConfig;
  const { json, ...values } = parseArgs(config).values as { json: boolean } & Record<string, string>;
  const withinMs = Number(values.within) * 1000;
  // Servers end with this process, whatever keeps it from ending them.
  const timer = setTimeout(() => {
    process.stderr.write(`${name} did not end within ${values.within} s.\n`);
    process.exit(1);
  }, withinMs + GRACE_MS);
  timer.unref();

  const runs: (readonly Measured[])[] = [];
  const notes: string[] = [];
  const began = performance.now();
  const on = machine();
  const given: Figure = {
    runs: Number(values.runs),
    values,
    withinMs,
    say: (line) => void process.stderr.write(`${line}\n`),
    add: (measures) => void runs.push(measures),
    note: (line) => void (notes.includes(line) || notes.push(line)),
  };
  try {
    await work(given);
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    // What is left of the work is of no use any more, and may keep the process for long.
    process.exit(1);
  } finally {
    clearTimeout(timer);
  }
  const report: FigureReport = {
    figure: name,
    says,
    at: new Date().toISOString(),
    machine: on,
    options: values,
    seconds: Math.round((performance.now() - began) / 1000),
    measures: summarize(runs),
    notes,
  };
  process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `${reportText(report)}\n`);
}

/** Runs in any order, each with the same measures. */
export function summarize(runs: readonly (readonly Measured[])[]): Summary[] {
  const names = [...new Set(runs.flatMap((measures) => measures.map(({ what }) => what)))];
  return names.map((what) => {
    const found = runs.flatMap((measures) => measures.filter((measured) => measured.what === what));
    const [first] = found;
    if (first === undefined) throw new Error(`Nothing was measured of ${what}.`);
    const values = spreadOf(found.map(({ value }) => value));
    const beside = found.flatMap(({ value, baseline }) =>
      baseline === undefined ? [] : [{ value: baseline.value, ratio: value / baseline.value }],
    );
    const baseline = first.baseline && {
      what: first.baseline.what,
      values: spreadOf(beside.map(({ value }) => value)),
      ratio: spreadOf(beside.map(({ ratio }) => ratio)),
    };
    return {
      what,
      unit: first.unit,
      runs: found.length,
      values,
      ...(baseline && { baseline }),
      ...(first.wanted && { wanted: first.wanted }),
      isMet: first.wanted === undefined ? null : isMet(first.wanted, values.median, baseline?.ratio.median),
    };
  });
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    minimum: at(0),
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    maximum: at(sorted.length - 1),
  };
}

/** The smallest value that this share of all is not above. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

function isMet(wanted: Wanted, value: number, ratio: number | undefined): boolean {
  const { atLeast, atMost, ratioAtLeast, ratioAtMost } = wanted;
  return (
    (atLeast === undefined || value >= atLeast) &&
    (atMost === undefined || value <= atMost) &&
    (ratioAtLeast === undefined || (ratio ?? Number.NaN) >= ratioAtLeast) &&
    (ratioAtMost === undefined || (ratio ?? Number.NaN) <= ratioAtMost)
  );
}

export function reportText(report: FigureReport): string {
  const rows = report.measures.map((measure) => {
    const { minimum, median, maximum } = measure.values;
    const { ratio } = measure.baseline ?? {};
    return [
      measure.what,
      measure.unit,
      number(minimum),
      number(median),
      number(maximum),
      measure.baseline?.what ?? '',
      measure.baseline === undefined ? '' : number(measure.baseline.values.median),
      ratio === undefined
        ? ''
        : `${number(ratio.median)} (${number(ratio.minimum)} to ${number(ratio.maximum)})`,
      measure.wanted === undefined ? '' : `${wantedText(measure.wanted)}: ${measure.isMet ? 'yes' : 'NO'}`,
    ];
  });
  const heads = ['', 'unit', 'minimum', 'median', 'maximum', 'beside', 'median', 'ratio', 'wanted'];
  return [
    `${report.figure}: ${report.says}`,
    machineText(report.machine),
    '',
    ...columns([heads, ...rows]),
    ...(report.notes.length > 0 ? ['', ...report.notes] : []),
    '',
  ].join('\n');
}

function wantedText({ atLeast, atMost, ratioAtLeast, ratioAtMost }: Wanted): string {
  return [
    atLeast === undefined ? [] : [`>= ${number(atLeast)}`],
    atMost === undefined ? [] : [`<= ${number(atMost)}`],
    ratioAtLeast === undefined ? [] : [`ratio >= ${number(ratioAtLeast)}`],
    ratioAtMost === undefined ? [] : [`ratio <= ${number(ratioAtMost)}`],
  ]
    .flat()
    .join(', ');
}

function number(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 0.1 ? 2 : 4;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  // Numbers to the right, words to the left.
  const isRight = (column: number) => (column >= 2 && column <= 4) || column === 6;
  return rows.map((row) =>
    row
      .map((cell, column) =>
        isRight(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}
