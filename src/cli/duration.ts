import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

/** Parses `5s`, `2m`, `1h`, `1d` or a bare number of seconds, between two of them. Returns seconds. */
export function parseDuration(least: string, most: string) {
  const [min, max] = [secondsIn(least), secondsIn(most)];
  return (text: string): number => {
    const seconds = secondsIn(text);
    if (seconds === null) throw new InvalidArgumentError('Give a duration such as 5s, 2m or 1h.');
    if ((min !== null && seconds < min) || (max !== null && seconds > max)) {
      throw new InvalidArgumentError(`Give a duration from ${least} to ${most}.`);
    }
    return seconds;
  };
}

function secondsIn(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim());
  const unit = UNITS[match?.[2] ?? 's'];
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}

/** Parses a whole number between `least` and `most`. */
export function parseWhole(least: number, most: number = Number.MAX_SAFE_INTEGER) {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  return (text: string): number => {
    const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw new InvalidArgumentError(`Give a whole number ${range}.`);
    }
    return value;
  };
}

/** Parses a number above 0, and of at most `most`. */
export function parsePositive(most: number) {
  return (text: string): number => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!(value > 0 && value <= most)) {
      throw new InvalidArgumentError(`Give a number above 0, and of at most ${most}.`);
    }
    return value;
  };
}
