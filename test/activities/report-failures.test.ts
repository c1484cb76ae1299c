import { describe, expect, it } from 'vitest';
import { reportable } from '../../activities/report-failures.js';

const FIRST = { attempt: 1, isLocal: false, patience: null };

describe('a fault of our own', () => {
  it('is told to Temporal by its place, without its words', () => {
    const failure = reportable(new TypeError('jane@example.com lives at home'), FIRST);
    expect(failure.message).toMatch(/^TypeError\s+at \S.*report-failures\.test\.ts:\d+:\d+\)?$/);
  });

  it('keeps words to itself that look like a place', () => {
    const failure = reportable(new Error('she said\n    at home:1:2\n'), FIRST);
    expect(failure.message).not.toContain('home');
  });

  it('keeps words to itself that were put into its name', () => {
    const error = Object.assign(new Error('x'), { name: 'jane@example.com' });
    expect(reportable(error, FIRST).message).not.toContain('jane');
  });

  it('that was thrown as a value is told by its type', () => {
    expect(reportable('jane@example.com', FIRST).message).toBe('string');
  });
});
