import { describe, expect, it } from 'vitest';
import { type FigureReport, percentile, reportText, spreadOf, summarize } from '../../bench/figure.js';

const run = (value: number, baseline: number) => [
  {
    what: 'rows',
    unit: '/s',
    value,
    baseline: { what: 'raw', value: baseline },
    wanted: { atLeast: 100, ratioAtLeast: 0.5 },
  },
];

describe('several runs of a figure', () => {
  it('give the lowest, the middle and the highest, in any order', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ minimum: 1, median: 2, maximum: 3 });
    expect(spreadOf([4, 1])).toEqual({ minimum: 1, median: 2.5, maximum: 4 });
  });

  it('keep each ratio within its own run', () => {
    const [rows] = summarize([run(100, 100), run(200, 400), run(300, 300)]);
    expect(rows?.values).toEqual({ minimum: 100, median: 200, maximum: 300 });
    expect(rows?.baseline?.ratio).toEqual({ minimum: 0.5, median: 1, maximum: 1 });
    expect(rows?.isMet).toBe(true);
  });

  it('fall short where the value does or the ratio does', () => {
    expect(summarize([run(99, 99)])[0]?.isMet).toBe(false);
    expect(summarize([run(1_000, 3_000)])[0]?.isMet).toBe(false);
    expect(summarize([run(1_500, 3_000)])[0]?.isMet).toBe(true);
  });

  it('have no verdict where nothing is wanted', () => {
    expect(summarize([[{ what: 'pages', unit: '', value: 3 }]])[0]?.isMet).toBeNull();
  });
});

describe('a percentile', () => {
  it('is the smallest value that so many are not above', () => {
    const values = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(percentile(values, 0.5)).toBe(50);
    expect(percentile(values, 0.99)).toBe(99);
    expect(percentile([7], 0.5)).toBe(7);
  });

  it('is endless where too many changes were never committed', () => {
    expect(percentile([1, 2, Number.POSITIVE_INFINITY], 0.99)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('the table of a figure', () => {
  it('says what is met and what is not', () => {
    const report: FigureReport = {
      figure: 'rows',
      says: 'rows a second',
      at: '2026-01-01T00:00:00.000Z',
      machine: {
        ...{ cores: 2, processor: 'one', memoryGiB: 4, system: 'linux 6', node: 'v22.0.0' },
        ...{ postgres: 'PostgreSQL 18.4.0', load: 0.1 },
      },
      options: {},
      seconds: 1,
      measures: [...summarize([run(1_500, 3_000)]), ...summarize([run(50, 50)])],
      notes: ['A note.'],
    };
    const text = reportText(report);
    expect(text).toContain('2 cores');
    expect(text).toMatch(/rows .*1,500 .*raw .*3,000 .*0\.5 .*yes/);
    expect(text).toMatch(/rows .*50 .*raw .*1 .*NO/);
    expect(text).toContain('A note.');
  });
});
