/** An audit without Temporal: what its workflow does, one step after the other. */

import type { AuditPlan } from '../../activities/audit-begin.js';
import type { AuditEventsState } from '../../activities/audit-events.js';
import type { AuditTypeState } from '../../activities/audit-type.js';
import type { AuditedType } from '../../activities/finish-audit.js';
import type { AuditResult } from '../../src/domain/audit-result.js';
import { readAudit } from '../../src/postgres/read-audits.js';
import { tableOf } from '../../src/stripe/catalog.js';
import type { ActivityRoom } from './activity-room.js';
import type { TestDatabase } from './database.js';

export interface AuditOptions {
  readonly types?: readonly string[] | null;
  readonly heal?: boolean;
  readonly sinceSeconds?: number;
  readonly lagSeconds?: number;
  readonly bound?: number;
  /** Between the comparison and the looks that make sure of it. */
  readonly beforeVerify?: (plan: AuditPlan) => Promise<void>;
}

let runs = 0;

export async function runAudit(
  room: ActivityRoom,
  database: TestDatabase,
  options: AuditOptions = {},
): Promise<AuditResult> {
  const { types = null, heal = false, sinceSeconds = 86_400, lagSeconds = 0, bound = 10_000 } = options;
  const { account } = room;
  runs += 1;
  const plan = await room.run('beginAudit', { account, run: `run-${runs}`, sinceSeconds, types, heal });
  const { number, apiVersion } = plan;
  let events: AuditEventsState | null = null;
  do {
    const window = { from: plan.from, to: plan.to };
    events = await room.run('auditEvents', { account, number, window, from: events, bound, seconds: 1 });
  } while (!events.window.done);
  const audited: AuditedType[] = [];
  for (const object of plan.types) {
    let state: AuditTypeState | null = null;
    do {
      state = await room.run('auditType', {
        account,
        number,
        object,
        walks: types !== null,
        apiVersion,
        bound,
        from: state,
        seconds: 1,
      });
    } while (!state.done);
    const { compared, requests, overflow, extraChecked, skipped } = state;
    const facts = { object, compared, requests, overflow, extraChecked };
    audited.push({ ...facts, notCompared: skipped, leftOutByStripe: skipped !== null });
  }
  await options.beforeVerify?.(plan);
  const tooMany = audited.filter(({ overflow }) => overflow > 0).map(({ object }) => object);
  const verify = { account, number, lagSeconds, apiVersion, tooMany, seconds: 60 };
  while ((await room.run('verifyAudit', verify)).open > 0);
  if (heal) while (!(await room.run('healAudit', { account, number, apiVersion, seconds: 60 })).done);
  await room.run('finishAudit', {
    account,
    number,
    types: audited,
    leftOut: plan.leftOut,
    events: { listed: events.window.listed, overflow: events.overflow, notCompared: null },
    named: types !== null,
    state: 'done',
    reason: null,
  });
  const audit = await readAudit(database.pool, account, number);
  if (audit?.result == null) throw new Error('the audit left no result');
  return audit.result;
}

/** Fills tables with what Stripe has, as reads of a minute ago. */
export async function mirror(room: ActivityRoom, objects: readonly string[]): Promise<void> {
  const truth = room.simulator.truth();
  for (const object of objects) {
    for (const [id, { data, deleted, complete = {} }] of truth.get(object) ?? []) {
      const lists = Object.entries(complete).map(([field, items]) => {
        const list = { ...(data[field] as object), data: items, has_more: false };
        return [field, list] as const;
      });
      const whole = { ...data, ...Object.fromEntries(lists), id };
      if (!deleted) await room.hold(object, whole, room.now() - 60, room.now() - 60);
    }
  }
}

/** What an audit says of each type: `stale cus_1 (email)`. */
export function saidOf(result: AuditResult): Record<string, string[]> {
  const line = (example: AuditResult['types'][number]['examples'][number]) =>
    [
      example.kind,
      example.id,
      ...(example.keys.length === 0 ? [] : [`(${example.keys.join(', ')})`]),
      ...(example.state === 'differs' ? [] : [example.state]),
    ].join(' ');
  const said = result.types.map((type) => [type.object, type.examples.map(line)] as const);
  return Object.fromEntries(
    [...said, ['event', result.events.examples.map(line)] as const].filter(([, lines]) => lines.length > 0),
  );
}

export async function change(
  database: TestDatabase,
  room: ActivityRoom,
  object: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<void> {
  const table = `stripe.${tableOf(object)}`;
  const { rowCount } = await database.pool.query(sql.replace('TABLE', table), [room.account, ...values]);
  if (rowCount === 0) throw new Error(`nothing changed: ${sql}`);
}
