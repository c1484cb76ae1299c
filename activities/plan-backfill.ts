import { Context } from '@temporalio/activity';
import { type Resync, sinceOf } from '../src/domain/resync.js';
import { openBackfill } from '../src/postgres/backfills.js';
import { resolveTypes, UnknownTypesError } from '../src/stripe/catalog.js';
import { backfillPhases } from '../src/stripe/listings.js';
import type { ActivityDeps } from './deps.js';
import { assertSameAccount } from './same-account.js';

export interface PlanBackfillInput extends Resync {
  readonly account: string;
}

export interface BackfillPlan {
  /** By which PostgreSQL knows the backfill. */
  readonly number: number;
  /** Each phase needs the rows of the ones before. */
  readonly phases: readonly (readonly PlannedType[])[];
  /** What was asked for and cannot be listed, with the reason. */
  readonly leftOut: readonly { readonly object: string; readonly reason: string }[];
}

export interface PlannedType {
  /** Stripe's name. */
  readonly object: string;
  /** Only what was created, or belongs to what changed, from this second on; null: all. */
  readonly since: number | null;
}

/** Notes a backfill, and says what it is to list. The catalog is data on disk, which a workflow does not read. */
export function planBackfill(deps: ActivityDeps) {
  return async (input: PlanBackfillInput): Promise<BackfillPlan> => {
    const { account, types, reason } = input;
    await assertSameAccount(deps, account, Context.current().cancellationSignal);
    const leftOut: { object: string; reason: string }[] = [];
    const known = types?.filter((name) => isKnown(name, leftOut)) ?? null;
    const plan = backfillPhases(known, (object) => sinceOf(input, object) !== null);
    const { workflowExecution } = Context.current().info;
    const number = await openBackfill(deps.pool, {
      account,
      run: workflowExecution?.runId ?? 'without a run',
      workflow: workflowExecution?.workflowId ?? 'without a workflow',
      reason,
      types: plan.phases.flat(),
    });
    return {
      number,
      phases: plan.phases.map((phase) => phase.map((object) => ({ object, since: sinceOf(input, object) }))),
      leftOut: [...leftOut, ...plan.leftOut],
    };
  };
}

/** A signal from the Temporal UI may name anything. */
function isKnown(name: string, leftOut: { object: string; reason: string }[]): boolean {
  try {
    resolveTypes([name]);
    return true;
  } catch (error) {
    if (!(error instanceof UnknownTypesError)) throw error;
    leftOut.push({ object: name.slice(0, 100), reason: 'Stripe has no such type' });
    return false;
  }
}
