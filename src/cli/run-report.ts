/** What a bounded run of the sandbox shows: did every event arrive, how fast, and are the tables right. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { Pool } from 'pg';
import { resyncSignal } from '../../workflows/messages.js';
import { accountWorkflowId } from '../domain/ids.js';
import { readOutcomes } from '../postgres/read-outcomes.js';
import { type Comparison, compareTruth } from '../sandbox/compare-truth.js';
import type { Simulator } from '../sandbox/simulator/index.js';
import { silentObjects } from '../stripe/stored-objects.js';
import { queryStatus } from './account-report.js';

export interface RunReport {
  readonly generated: number;
  readonly seen: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly late: { readonly count: number; readonly maxSeconds: number };
  readonly leaks: number;
  /** Seconds from a change, and from its event's becoming visible, to the commit that settled it. */
  readonly sinceCreated: Spread;
  readonly sinceVisible: Spread;
  readonly comparison: Comparison;
  /** Null where the simulator delivers none. */
  readonly webhooks: { readonly delivered: number; readonly failed: number } | null;
  /** Whether nothing was left to do when the tables were compared. */
  readonly settled: boolean;
}

interface Spread {
  readonly median: number;
  readonly worst: number;
}

/** How long the last changes may take to come to rest, in milliseconds. */
const SETTLE_TIMEOUT_MS = 90_000;

export interface RunToReport {
  readonly client: Client;
  readonly pool: Pool;
  readonly simulator: Simulator;
  readonly account: string;
  /** Seconds of the simulator's clock from which events count. */
  readonly since: number;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/**
 * Waits until every event of the run has its outcome and the backfill is done, lists once more what changes
 * without an event, and compares the tables with the truth. What differs is looked at again for a while: a
 * read may still be under way.
 */
export async function settleAndReport(run: RunToReport): Promise<RunReport> {
  const { client, account, signal } = run;
  const look = () => reportRun(run);
  const rested = await until(look, (report) => report.settled, signal);
  if (!rested.settled) return rested;
  const before = await queryStatus(client, account);
  const handle = client.workflow.getHandle(accountWorkflowId(account));
  await handle.signal(resyncSignal, { types: silentObjects() });
  const number = (before?.backfill?.number ?? 0) + 1;
  await until(
    () => queryStatus(client, account),
    (status) => status?.backfill?.number === number && status.backfill.state !== 'running',
    signal,
  );
  return until(look, (report) => report.settled && report.comparison.differences.length === 0, signal);
}

/** Looks once a second until what it sees is good, or time is up. A worker that is busy answers at a later look. */
async function until<T>(
  look: () => Promise<T>,
  isGood: (seen: T) => boolean,
  signal: AbortSignal,
): Promise<T> {
  const end = Date.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    try {
      const seen = await look();
      if (isGood(seen) || Date.now() >= end) return seen;
    } catch (error) {
      if (Date.now() >= end) throw error;
    }
    await sleep(1_000, undefined, { signal });
  }
}

async function reportRun({ client, pool, simulator, account, since }: RunToReport): Promise<RunReport> {
  const status = await queryStatus(client, account);
  const events = simulator.events().filter((event) => event.created >= since);
  const announced = new Set(simulator.events().map((event) => `${event.object}/${event.objectId}`));
  const ledger = new Map((await readOutcomes(pool, account)).map((event) => [event.id, event]));
  const outcomes: Record<string, number> = {
    applied: 0,
    stale: 0,
    fetched: 0,
    ignored: 0,
    parked: 0,
    pending: 0,
  };
  const sinceCreated: number[] = [];
  const sinceVisible: number[] = [];
  let seen = 0;
  for (const event of events) {
    const entry = ledger.get(event.id);
    if (entry === undefined) continue;
    seen += 1;
    outcomes[entry.outcome ?? 'pending'] = (outcomes[entry.outcome ?? 'pending'] ?? 0) + 1;
    if (entry.settledAt === null || entry.outcome === 'ignored') continue;
    sinceCreated.push(entry.settledAt - event.changedAt);
    sinceVisible.push(entry.settledAt - event.visibleAt);
  }
  const comparison = await compareTruth(pool, account, simulator.truth(), announced);
  const backfilled = status?.backfill === null || status?.backfill?.state === 'done';
  return {
    generated: events.length,
    seen,
    outcomes,
    late: { count: status?.lateness.count ?? 0, maxSeconds: status?.lateness.maxSeconds ?? 0 },
    leaks: status?.leaks ?? 0,
    sinceCreated: spread(sinceCreated),
    sinceVisible: spread(sinceVisible),
    comparison,
    webhooks: webhooksOf(simulator),
    settled: seen === events.length && outcomes.pending === 0 && backfilled,
  };
}

function webhooksOf(simulator: Simulator): RunReport['webhooks'] {
  const { sent, delivered, failed } = simulator.deliveryStats();
  return sent === 0 ? null : { delivered, failed };
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, worst: sorted.at(-1) ?? 0 };
}

export function isRight({ settled, comparison, outcomes }: RunReport): boolean {
  return settled && comparison.differences.length === 0 && comparison.equal > 0 && outcomes.parked === 0;
}

/** The report for people. */
export function runReportText(report: RunReport): string {
  const { comparison, outcomes } = report;
  const seconds = ({ median, worst }: Spread) => `median ${median.toFixed(2)} s, worst ${worst.toFixed(2)} s`;
  const quicker =
    report.sinceVisible.median < 0 ? ' (below 0: the webhook came before the list showed the event)' : '';
  const counts = Object.entries(outcomes).map(([name, count]) => `${count} ${name}`);
  const lines = [
    `events     ${report.generated} generated, ${report.seen} seen: ${counts.join(', ')}`,
    `late       ${report.late.count} surfaced behind newer ones (worst ${report.late.maxSeconds} s), ${report.leaks} behind the cursor`,
    `latency    from created to committed: ${seconds(report.sinceCreated)}`,
    `           from visible to committed: ${seconds(report.sinceVisible)}${quicker}`,
    report.webhooks === null
      ? 'webhooks   none: polling alone'
      : `webhooks   ${report.webhooks.delivered} delivered, ${report.webhooks.failed} given up`,
    `tables     ${comparison.equal} rows and ${comparison.tombstones} tombstones are equal, ${comparison.differences.length} differ`,
  ];
  const invisible = Object.entries(comparison.invisible).map(([object, count]) => `${count} ${object}`);
  if (invisible.length > 0)
    lines.push(`           not compared, since no list or event shows them: ${invisible.join(', ')}`);
  for (const { object, id, kind, keys } of comparison.differences.slice(0, MOST_SHOWN)) {
    lines.push(`  ${object} ${id}: ${kind}${keys === undefined ? '' : ` in ${keys.join(', ')}`}`);
  }
  if (!report.settled)
    lines.push('Some events had no outcome yet, or the backfill was not done, when time was up.');
  lines.push(isRight(report) ? "tables equal Stripe's truth" : "tables DIFFER from Stripe's truth");
  return lines.join('\n');
}

const MOST_SHOWN = 20;
