import type { Entities } from '../src/domain/backlog.js';
import { isUsable } from '../src/domain/hydrate.js';
import { planTogether } from '../src/domain/set-plan.js';
import { applyWaiting } from '../src/postgres/apply-together.js';
import { isRefusedData } from '../src/postgres/errors.js';
import { changingTransaction } from '../src/postgres/number-changes.js';
import { PLAN_ONCE, withPrepared } from '../src/postgres/prepared-statements.js';
import { countWaiting, readWaiting, type WaitingEvent } from '../src/postgres/read-waiting.js';
import { tableOf } from '../src/stripe/catalog.js';
import type { ActivityDeps } from './deps.js';
import { kindOf, traitsOf, traitsWith } from './entity-traits.js';
import { isInTheWay } from './in-the-way.js';
import type { PlanOptions } from './plan-events.js';

export interface DrainInput extends Partial<Omit<PlanOptions, 'wants'>> {
  readonly account: string;
  readonly signal: AbortSignal;
  readonly entities?: Entities;
  /** Whether more is to come than the entities keep up with. */
  readonly isBacklog?: boolean;
  /** How many references there is room for among the entities. */
  readonly room: number;
}

export interface Drained {
  readonly applied: number;
  readonly stale: number;
}

const NOTHING: Drained = { applied: 0, stale: 0 };

/** Changes that one transaction takes, and that it looks at in all: then they are to be handed on. */
const AT_A_TIME = 500;
const MOST = 20_000;

/**
 * Applies what waits in the inbox together, as far as that can be decided without a look at each row. The rest stays
 * there and is claimed for its entities; so does what PostgreSQL refuses, or what somebody else holds.
 */
export async function drainInbox(deps: ActivityDeps, input: DrainInput): Promise<Drained> {
  const { account, signal, entities = 'always', isBacklog = false, room } = input;
  const { hydrate = 'auto', apiVersion = null } = input;
  if (entities === 'always') return NOTHING;
  // While the entities keep up, each change goes through its own.
  const most = entities === 'never' || isBacklog ? 0 : room;
  if ((await countWaiting(deps.pool, account, most + 1)) <= most) return NOTHING;
  const how = { account, signal, hydrate, apiVersion };
  let applied = 0;
  let stale = 0;
  let after: WaitingEvent | null = null;
  for (let seen = 0; seen < MOST && !signal.aborted; seen += AT_A_TIME) {
    const waiting: WaitingEvent[] = await readWaiting(deps.pool, account, after, AT_A_TIME);
    for (const object of [...new Set(waiting.map((event) => event.object))].sort()) {
      const ofType = waiting.filter((event) => event.object === object);
      const done = await drainType(deps, how, object, ofType);
      applied += done.applied;
      stale += done.stale;
    }
    after = waiting.at(-1) ?? null;
    if (waiting.length < AT_A_TIME) break;
  }
  return { applied, stale };
}

async function drainType(
  deps: ActivityDeps,
  input: Omit<PlanOptions, 'wants'> & Pick<DrainInput, 'account' | 'signal'>,
  object: string,
  waiting: readonly WaitingEvent[],
): Promise<Drained> {
  const { account, hydrate, signal } = input;
  const handled = new Set(
    waiting.filter(({ type }) => deps.handlers?.wants(type)).map((event) => event.objectId),
  );
  const changes = waiting
    .filter(({ objectId }) => !handled.has(objectId))
    .map((event) => ({
      id: event.id,
      key: event.objectId,
      created: event.created,
      kind: kindOf(event.type, object),
      usable: isUsable(input, event),
      evidence: () => evidenceOf(event),
    }));
  const planned = planTogether(changes, traitsWith(object, hydrate));
  if (planned.length === 0) return NOTHING;
  const places = new Map(waiting.map(({ id, place }) => [id, place]));
  const type = {
    account,
    object,
    table: tableOf(object),
    recreatable: traitsOf(object).recreatable,
    planned,
    places: planned.map(({ id }) => places.get(id) ?? ''),
  };
  try {
    return await withPrepared(deps.pool, true, (prepare) =>
      changingTransaction(
        deps.pool,
        async (client) => {
          await client.query(PLAN_ONCE);
          return applyWaiting(client, prepare, type);
        },
        signal,
      ),
    );
  } catch (error) {
    if (isRefusedData(error) || isInTheWay(error)) return NOTHING;
    throw error;
  }
}

function evidenceOf({ apiVersion, digest, state, previousAttributes }: WaitingEvent) {
  return digest === null || state === null ? null : { apiVersion, digest, state, previousAttributes };
}
