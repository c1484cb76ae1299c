/** What an account's schedules are: what comes when, and what it starts. */
import { ScheduleOverlapPolicy } from '@temporalio/client';
import type { FollowInput } from '../../activities/follow-connected.js';
import type { RefreshInput } from '../../activities/plan-refresh.js';
import type { PruneInput } from '../../activities/prune-account.js';
import type { AuditInput } from '../../workflows/audit.js';
import { findableBy } from '../../workflows/search-attributes.js';
import { RETENTION_SECONDS } from '../domain/reanchor.js';

export const SCHEDULES = ['refresh', 'prune', 'audit'] as const;
export type ScheduleName = (typeof SCHEDULES)[number];

/** Times in seconds; null switches a schedule off, and keeps for good what would be deleted. */
export interface ScheduleSettings {
  readonly refreshSeconds: number | null;
  readonly auditSeconds: number | null;
  /** Whether a scheduled audit repairs what it finds. */
  readonly auditHeal: boolean;
  readonly keepEventsSeconds: number | null;
  readonly keepChangesSeconds: number | null;
}

const DAY_SECONDS = 86_400;

export const DEFAULT_SCHEDULES: ScheduleSettings = {
  refreshSeconds: DAY_SECONDS,
  auditSeconds: null,
  auditHeal: false,
  keepEventsSeconds: 30 * DAY_SECONDS,
  keepChangesSeconds: 30 * DAY_SECONDS,
};

export interface ScheduledAccount {
  readonly account: string;
  readonly taskQueue: string;
  /** Stripe object names that the account is to hold; null for all. */
  readonly types: readonly string[] | null;
  readonly settings: ScheduleSettings;
  /** Whether the namespace knows `StripeAccount`. */
  readonly searchAttributes: boolean;
  /** Whether the account is paused, and its schedules with it. */
  readonly paused?: boolean;
}

/** Its workflows' ids are the schedule's with the time behind it. */
export function scheduleId(account: string, name: ScheduleName): string {
  return `${account}/${name}`;
}

export interface Plan {
  readonly scheduleId: string;
  readonly everySeconds: number;
  readonly workflowType: ScheduleName | 'connected';
  readonly taskQueue: string;
  readonly input: RefreshInput | PruneInput | AuditInput | FollowInput;
  readonly summary: string;
  readonly searchAttributes: boolean;
  readonly account: string;
  readonly paused: boolean;
}

/** What a schedule is to be; null where it is switched off. */
export function planOf(scheduled: ScheduledAccount, name: ScheduleName): Plan | null {
  const { account, taskQueue, types, settings, searchAttributes, paused = false } = scheduled;
  const of = (everySeconds: number, input: Plan['input'], summary: string): Plan => ({
    scheduleId: scheduleId(account, name),
    everySeconds: Math.round(everySeconds),
    workflowType: name,
    taskQueue,
    input,
    summary,
    searchAttributes,
    account,
    paused,
  });
  const { refreshSeconds, auditSeconds, auditHeal, keepEventsSeconds, keepChangesSeconds } = settings;
  switch (name) {
    case 'refresh':
      if (refreshSeconds === null) return null;
      return of(
        refreshSeconds,
        { account, everySeconds: refreshSeconds, types },
        `Refresh of ${account}: what changes without an event`,
      );
    case 'prune':
      return of(
        DAY_SECONDS,
        { account, eventsSeconds: keepEventsSeconds, changesSeconds: keepChangesSeconds },
        `Pruning of ${account}: what is past its age`,
      );
    case 'audit':
      if (auditSeconds === null) return null;
      return of(
        auditSeconds,
        { account, sinceSeconds: auditWindow(auditSeconds), types, heal: auditHeal },
        `Audit of ${account}, at a set time`,
      );
  }
}

const HOUR_SECONDS = 3_600;

/** Each audit reaches a little behind the one before it, and no further back than Stripe lists events. */
function auditWindow(everySeconds: number): number {
  return Math.min(RETENTION_SECONDS, Math.round(everySeconds) + HOUR_SECONDS);
}

/** Of what a server that was down has missed, one is made up for, and only while it is not much too late. */
const CATCH_UP_SECONDS = 3_600;
const MOST_JITTER_SECONDS = 300;
/** Temporal takes no shorter one. */
const LEAST_CATCH_UP_SECONDS = 10;

/** A plan as Temporal takes it. */
export function optionsOf(plan: Plan) {
  const { everySeconds, workflowType, taskQueue, input, summary, account } = plan;
  const seconds = (count: number) => count * 1000;
  return {
    scheduleId: plan.scheduleId,
    spec: {
      // By the account's name and not by the time of its start: a daily restart would put off a daily refresh for ever.
      intervals: [{ every: seconds(everySeconds), offset: seconds(offsetOf(plan.scheduleId, everySeconds)) }],
      jitter: seconds(Math.min(MOST_JITTER_SECONDS, Math.floor(everySeconds / 10))),
    },
    action: {
      type: 'startWorkflow' as const,
      workflowType,
      workflowId: plan.scheduleId,
      taskQueue,
      args: [input],
      staticSummary: summary,
      ...findableBy(plan.searchAttributes, account),
    },
    policies: {
      overlap: ScheduleOverlapPolicy.SKIP,
      catchupWindow: seconds(Math.max(LEAST_CATCH_UP_SECONDS, Math.min(CATCH_UP_SECONDS, everySeconds))),
    },
    state: {
      paused: plan.paused,
      note: plan.paused ? `${account} is paused` : `as ${account} was started`,
    },
  };
}

/** Spreads accounts over the interval, so that many which are started at once do not refresh at once. */
function offsetOf(id: string, everySeconds: number): number {
  let digest = 0;
  for (const letter of id) digest = (Math.imul(digest, 31) + (letter.codePointAt(0) ?? 0)) >>> 0;
  return digest % everySeconds;
}
