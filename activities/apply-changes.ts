import { Context } from '@temporalio/activity';
import type { PoolClient } from 'pg';
import { NO_OUTCOMES, type OutcomeTally } from '../src/domain/account-state.js';
import { endOfSecond } from '../src/domain/chain.js';
import { planChanges } from '../src/domain/ordering.js';
import { lockEntity } from '../src/postgres/entity-lock.js';
import { transaction } from '../src/postgres/pool.js';
import { type PendingEvent, readPending } from '../src/postgres/read-pending.js';
import { readRow } from '../src/postgres/read-row.js';
import { readStates } from '../src/postgres/read-states.js';
import { settleEvents } from '../src/postgres/settle-events.js';
import { writeEventRow } from '../src/postgres/write-row.js';
import { tableOf } from '../src/stripe/catalog.js';
import type { ActivityDeps } from './deps.js';
import { currentRow, type EntityKey, kindOf, traitsOf } from './entity-traits.js';
import { notingFailures } from './noting-failures.js';
import { runHandlers, StepFailed } from './run-handlers.js';

/** Where the state of an object comes from: an event's payload, a read, or whichever is right. */
export type Hydrate = 'auto' | 'fetch' | 'payload';

export interface ApplyInput extends EntityKey {
  readonly ids: readonly string[];
  readonly hydrate: Hydrate;
  /** The API version whose payloads may be stored; null takes any. */
  readonly apiVersion: string | null;
  /** Attempts after which what PostgreSQL or a handler refuses is final. */
  readonly patience?: number;
  /** False where Stripe has no address for the object: its events' payloads are all there is. */
  readonly readable?: boolean;
}

export interface ApplyResult {
  readonly tally: OutcomeTally;
  /** Changes that only a read of the object can settle, made wholly after this second of Stripe's clock. */
  readonly fetch: { readonly ids: readonly string[]; readonly after: number } | null;
}

/** How often a decision is made anew because a backfill's page changed the row in between. */
const ROUNDS = 5;

/**
 * Applies an entity's changes in one transaction: lock the entity, take the changes that have no outcome yet,
 * decide, write under the version guard, run the user's handlers, give outcomes, commit. Repeating it is harmless:
 * what has an outcome is not taken again. An attempt that was given up commits nothing once it hears of that.
 *
 * Where a handler fails, the changes before its own go in without it, and the failure names its event.
 */
export function applyChanges(deps: ActivityDeps) {
  return async (input: ApplyInput): Promise<ApplyResult> => {
    const signal = Context.current().cancellationSignal;
    return notingFailures(deps, input, async () => {
      try {
        return await applyRounds(deps, input, signal);
      } catch (error) {
        if (error instanceof StepFailed && error.before.length > 0)
          await applyRounds(deps, { ...input, ids: error.before }, signal);
        throw error;
      }
    });
  };
}

async function applyRounds(deps: ActivityDeps, input: ApplyInput, signal: AbortSignal): Promise<ApplyResult> {
  for (let round = 1; ; round += 1) {
    const result = await applyOnce(deps, input, signal);
    if (result !== null) return result;
    if (round === ROUNDS) throw new Error('the row changed with every attempt to write it');
  }
}

class RowChanged extends Error {}

async function applyOnce(
  deps: ActivityDeps,
  input: ApplyInput,
  signal: AbortSignal,
): Promise<ApplyResult | null> {
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
    const traits = { ...traitsOf(object), ...(input.readable === false ? { retrievable: false } : {}) };
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
      if (!(await writeEventRow(client, table, { ...write, replaces: row }))) throw new RowChanged();
    }
    await runHandlers(deps, client, input, { steps: plan.steps, pending, signal });
    const applied = await settleEvents(client, { account, ids: plan.applied, outcome: 'applied' });
    const stale = await settleEvents(client, { account, ids: plan.stale, outcome: 'stale' });
    return { tally: { ...NO_OUTCOMES, applied, stale }, fetch: plan.fetch };
  };
  try {
    return await transaction(deps.pool, work, signal);
  } catch (error) {
    if (error instanceof RowChanged) return null;
    throw error;
  }
}

function isUsable({ hydrate, apiVersion }: ApplyInput, event: PendingEvent): boolean {
  if (hydrate !== 'auto') return hydrate === 'payload';
  return !event.partial && (apiVersion === null || event.apiVersion === apiVersion);
}
