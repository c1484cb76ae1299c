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

const DATE = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)?)?$/i;

/**
 * Parses a time that is over: so long ago (`24h`, `7d`), or a date with or without a time (`2026-10-01`,
 * `2026-10-01T12:00Z`), in UTC unless it names another zone. Returns seconds since 1970.
 */
export function parseSince(text: string): number {
  const now = Date.now() / 1000;
  // A bare number could be a year, a count of days or seconds since 1970.
  const ago = /[a-z]$/.test(text.trim()) ? secondsIn(text) : null;
  const at = ago === null ? dateIn(text.trim()) : now - ago;
  if (at === null || at < 0 || at > now) {
    throw new InvalidArgumentError('Give a time that is over, such as 24h, 7d or 2026-10-01.');
  }
  return Math.floor(at);
}

function dateIn(text: string): number | null {
  const [, day, time = '00:00', zone = 'Z'] = DATE.exec(text) ?? [];
  const midnight = new Date(`${day}T00:00Z`);
  // JavaScript takes February 30 for a day in March.
  if (Number.isNaN(midnight.getTime()) || midnight.toISOString().slice(0, 10) !== day) return null;
  const at = Date.parse(`${day}T${time}${zone.toUpperCase()}`);
  return Number.isNaN(at) ? null : at / 1000;
}

/** Such as "40 s", "5 min" or "3 h". */
export function span(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
