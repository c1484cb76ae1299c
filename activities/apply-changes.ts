import { NO_OUTCOMES, type OutcomeTally } from '../src/domain/account-state.js';
import { planChanges } from '../src/domain/ordering.js';
import { lockEntity } from '../src/postgres/entity-lock.js';
import { transaction } from '../src/postgres/pool.js';
import { readPending } from '../src/postgres/read-pending.js';
import { readRow } from '../src/postgres/read-row.js';
import { settleEvents } from '../src/postgres/settle-events.js';
import { writeEventRow } from '../src/postgres/write-row.js';
import { tableOf } from '../src/stripe/catalog.js';
import type { ActivityDeps } from './deps.js';
import { currentRow, type EntityKey, kindOf, traitsOf } from './entity-traits.js';

/** Where the state of an object comes from: an event's payload, a read, or whichever is right. */
export type Hydrate = 'auto' | 'fetch' | 'payload';

export interface ApplyInput extends EntityKey {
  readonly ids: readonly string[];
  readonly hydrate: Hydrate;
  /** The API version whose payloads may be stored; null takes any. */
  readonly apiVersion: string | null;
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
 * decide, write under the version guard, give outcomes, commit. Repeating it is harmless: what has an outcome
 * is not taken again.
 */
export function applyChanges(deps: ActivityDeps) {
  return async (input: ApplyInput): Promise<ApplyResult> => {
    for (let round = 1; ; round += 1) {
      const result = await applyOnce(deps, input);
      if (result !== null) return result;
      if (round === ROUNDS) throw new Error('the row changed with every attempt to write it');
    }
  };
}

class RowChanged extends Error {}

async function applyOnce(deps: ActivityDeps, input: ApplyInput): Promise<ApplyResult | null> {
  const { account, object, objectId } = input;
  const table = tableOf(object);
  try {
    return await transaction(deps.pool, async (client) => {
      await lockEntity(client, input);
      const pending = await readPending(client, account, input.ids);
      if (pending.length === 0) return { tally: NO_OUTCOMES, fetch: null };
      const row = currentRow(await readRow(client, table, account, objectId));
      const changes = pending.map((event) => ({
        id: event.id,
        created: event.created,
        kind: kindOf(event.type),
        digest: event.digest,
        usable: isUsable(input, event.apiVersion),
      }));
      const plan = planChanges(row, changes, traitsOf(object));
      if (plan.apply !== null) {
        const { id, version, deleted } = plan.apply;
        const written = await writeEventRow(client, table, {
          account,
          id: objectId,
          ...version,
          deleted,
          source: id,
          replaces: row,
        });
        if (!written) throw new RowChanged();
      }
      const applied = await settleEvents(client, { account, ids: plan.applied, outcome: 'applied' });
      const stale = await settleEvents(client, { account, ids: plan.stale, outcome: 'stale' });
      return { tally: { ...NO_OUTCOMES, applied, stale }, fetch: plan.fetch };
    });
  } catch (error) {
    if (error instanceof RowChanged) return null;
    throw error;
  }
}

function isUsable(input: ApplyInput, apiVersion: string | null): boolean {
  if (input.hydrate !== 'auto') return input.hydrate === 'payload';
  return input.apiVersion === null || apiVersion === input.apiVersion;
}
