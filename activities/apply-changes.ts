import type { PoolClient } from 'pg';
import { NO_OUTCOMES, type OutcomeTally } from '../src/domain/account-state.js';
import { endOfSecond } from '../src/domain/chain.js';
import { type Hydration, isUsable } from '../src/domain/hydrate.js';
import { planChanges } from '../src/domain/ordering.js';
import { lockEntity } from '../src/postgres/entity-lock.js';
import { changingTransaction } from '../src/postgres/number-changes.js';
import { readPending } from '../src/postgres/read-pending.js';
import { readRow } from '../src/postgres/read-row.js';
import { readStates } from '../src/postgres/read-states.js';
import { settleEvents } from '../src/postgres/settle-events.js';
import { writeEventRow, writeTombstone } from '../src/postgres/write-row.js';
import { tableOf } from '../src/stripe/catalog.js';
import { type AttemptTime, attemptTime } from './activity-context.js';
import { decidingAnew, RowChanged } from './deciding-anew.js';
import type { ActivityDeps } from './deps.js';
import { currentRow, type EntityKey, kindOf, traitsWith } from './entity-traits.js';
import { notingFailures } from './noting-failures.js';
import { handlersUntil, runHandlers, StepFailed, withHandlerRoom } from './run-handlers.js';

export interface ApplyInput extends EntityKey, Hydration {
  readonly ids: readonly string[];
  /** Attempts after which what PostgreSQL or a handler refuses is final. */
  readonly patience?: number;
  /** False where Stripe has no address for the object: its events' payloads are all there is. */
  readonly readable?: boolean;
}

export interface ApplyResult {
  readonly tally: OutcomeTally;
  /** Changes that only a read of the object can settle, made wholly after this second of Stripe's clock. */
  readonly fetch: { readonly ids: readonly string[]; readonly after: number } | null;
  /** Set where handlers took so long that changes are left over: they are for the next apply. */
  readonly more?: true;
}

/**
 * Applies an entity's changes in one transaction: lock the entity, take the changes that have no outcome yet,
 * decide, write under the version guard, run the user's handlers, give outcomes, commit. Repeating it is harmless:
 * what has an outcome is not taken again. An attempt that was given up commits nothing once it hears of that.
 *
 * Where a handler fails, the changes before its own go in without it, and the failure names its event. Where handlers
 * take long, what they were run for goes in, and the rest is left over: the row may then hold the state of a change
 * whose own handler is still to come.
 */
export function applyChanges(deps: ActivityDeps) {
  return async (input: ApplyInput): Promise<ApplyResult> => {
    const time = attemptTime();
    return notingFailures(deps, input, time.attempt, () => applyWithin(deps, input, time));
  };
}

/** The same inside of another activity, which notes its own failures. */
export function applyWithin(deps: ActivityDeps, input: ApplyInput, time: AttemptTime): Promise<ApplyResult> {
  return withHandlerRoom(deps, input, time, async () => {
    try {
      return await applyRounds(deps, input, time);
    } catch (error) {
      const isTimeLeft = performance.now() < handlersUntil(time);
      if (error instanceof StepFailed && error.before.length > 0 && isTimeLeft)
        await applyRounds(deps, { ...input, ids: error.before }, time);
      throw error;
    }
  });
}

function applyRounds(deps: ActivityDeps, input: ApplyInput, time: AttemptTime): Promise<ApplyResult> {
  return decidingAnew(() => applyOnce(deps, input, time));
}

function applyOnce(deps: ActivityDeps, input: ApplyInput, time: AttemptTime): Promise<ApplyResult> {
  const { account, object, objectId } = input;
  const table = tableOf(object);
  const work = async (client: PoolClient): Promise<ApplyResult> => {
    await lockEntity(client, input);
    const pending = await readPending(client, account, input.ids);
    if (pending.length === 0) return { tally: NO_OUTCOMES, fetch: null };
    const row = currentRow(await readRow(client, table, account, objectId), object);
    const changes = pending.map((event) => ({
      id: event.id,
      created: event.created,
      kind: kindOf(event.type, object),
      digest: event.digest,
      usable: isUsable(input, event),
    }));
    const traits = traitsWith(object, input.readable === false ? 'payload' : input.hydrate);
    let plan = planChanges(row, changes, traits);
    if (plan.contested !== null) {
      // Where one second holds several states, what they say of one another may spare a read.
      const known = await readStates(client, input, plan.contested);
      const end = endOfSecond(
        plan.contested,
        known.map((state) => ({ ...state, kind: kindOf(state.type, object) })),
        traits,
      );
      if (end !== null) plan = planChanges(row, changes, traits, end);
    }
    if (plan.apply !== null) {
      const { id, version, deleted } = plan.apply;
      const write = { account, object, id: objectId, ...version, deleted, source: id, eventId: id };
      // A deletion is one also where PostgreSQL cannot hold what the event carries: the last state stays.
      const isStateless = deleted && pending.some((event) => event.id === id && event.digest === '');
      const written = isStateless
        ? await writeTombstone(client, table, { ...write, replaces: row })
        : await writeEventRow(client, table, { ...write, replaces: row });
      // A tombstone without a row is another matter: there is no state to mark.
      if (!written && !(isStateless && (await readRow(client, table, account, objectId)) === null))
        throw new RowChanged();
    }
    const done = await runHandlers(deps, client, input, { steps: plan.steps, pending, time });
    const settle = (ids: readonly string[], outcome: 'applied' | 'stale') =>
      settleEvents(client, { account, ids: ids.filter((id) => done.has(id)), outcome });
    const applied = await settle(plan.applied, 'applied');
    const stale = await settle(plan.stale, 'stale');
    const tally = { ...NO_OUTCOMES, applied, stale };
    // What is left over is planned anew, and what is to be read with it.
    return done.size < plan.steps.length ? { tally, fetch: null, more: true } : { tally, fetch: plan.fetch };
  };
  return changingTransaction(deps.pool, work, time.signal);
}
