/** What `start` says of schedules, in words and as settings. */
import { Option } from 'commander';
import { DEFAULT_SCHEDULES, type ScheduleSettings } from '../temporal/schedule-plans.js';
import { parseDuration } from './duration.js';

/** Not null: that is no value to commander. */
type Seconds = number | 'off';

/** Durations in seconds. What is left out is as in `DEFAULT_SCHEDULES`. */
export interface ScheduleOptions {
  readonly refreshInterval?: Seconds;
  readonly auditInterval?: Seconds;
  readonly auditHeal?: boolean;
  readonly keepEvents?: Seconds;
  readonly keepChanges?: Seconds;
}

/** The options without defaults of commander's, so that what was not given can follow from what was. */
export function scheduleOptions(): Option[] {
  return [
    new Option(
      '--refresh-interval <duration>',
      'time between two listings of what changes without an event, or off (default: 24h; off with --no-backfill)',
    ).argParser(orOff(parseDuration('1m', '30d'))),
    new Option('--audit-interval <duration>', 'time between two audits, or off (default: off)').argParser(
      orOff(parseDuration('10m', '90d')),
    ),
    new Option('--audit-heal', 'scheduled audits repair what differs'),
    new Option(
      '--keep-events <duration>',
      'how long events stay in the ledger once they are settled, or off to keep them for good (default: 30d)',
    ).argParser(orOff(parseDuration('30d', '36500d'))),
    new Option(
      '--keep-changes <duration>',
      'how long changes stay in the change feed, or off to keep them for good (default: 30d)',
      // A refresh finds in the feed which parents changed since the last walk over all of them, a week ago at most.
    ).argParser(orOff(parseDuration('8d', '36500d'))),
  ];
}

function orOff(parse: (text: string) => number) {
  return (text: string): Seconds => (text.trim().toLowerCase() === 'off' ? 'off' : parse(text));
}

/** @param isBackfilled whether the account takes what was there before its start: else a refresh would fetch it */
export function scheduleSettings(options: ScheduleOptions, isBackfilled: boolean): ScheduleSettings {
  const { refreshInterval, auditInterval, keepEvents, keepChanges } = options;
  const usual = DEFAULT_SCHEDULES;
  return {
    refreshSeconds: given(refreshInterval, isBackfilled ? usual.refreshSeconds : null),
    auditSeconds: given(auditInterval, usual.auditSeconds),
    auditHeal: options.auditHeal ?? usual.auditHeal,
    keepEventsSeconds: given(keepEvents, usual.keepEventsSeconds),
    keepChangesSeconds: given(keepChanges, usual.keepChangesSeconds),
  };
}

function given(value: Seconds | undefined, otherwise: number | null): number | null {
  return value === 'off' ? null : (value ?? otherwise);
}
