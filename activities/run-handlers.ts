import type { PoolClient } from 'pg';
import type { SettledStep } from '../src/domain/ordering.js';
import { HandlerFailure } from '../src/handlers/handler-failure.js';
import { type PendingEvent, readPendingTypes } from '../src/postgres/read-pending.js';
import { readState } from '../src/postgres/read-row.js';
import { tableOf } from '../src/stripe/catalog.js';
import type { AttemptTime } from './activity-context.js';
import type { ActivityDeps } from './deps.js';
import type { EntityKey } from './entity-traits.js';

/** A handler threw: the transaction is to be rolled back, and the changes before this one can go in without it. */
export class StepFailed extends Error {
  readonly eventId: string;
  readonly before: readonly string[];
  readonly failure: HandlerFailure;

  constructor(failure: HandlerFailure, before: readonly string[]) {
    super(failure.publicMessage);
    this.eventId = failure.eventId;
    this.before = before;
    this.failure = failure;
  }
}

/** What the last handler may take (10 s), and the time to give it up and to commit, in milliseconds. */
const LAST_HANDLER_MS = 12_000;

/**
 * When the last handler may begin, on `performance.now()`. Handlers of one batch that took more time together than
 * the attempt has would be rolled back with it, attempt after attempt.
 */
export function handlersUntil({ endsAt }: AttemptTime): number {
  return endsAt - LAST_HANDLER_MS;
}

/** Runs a transaction that applies these changes, with a place among those that run handlers where it will. */
export async function withHandlerRoom<T>(
  deps: ActivityDeps,
  { account, ids }: { readonly account: string; readonly ids: readonly string[] },
  time: AttemptTime,
  work: () => Promise<T>,
): Promise<T> {
  const { handlers } = deps;
  if (handlers === undefined || ids.length === 0) return work();
  const types = await readPendingTypes(deps.pool, account, ids);
  if (!types.some((type) => handlers.wants(type))) return work();
  return handlers.withRoom(work, { signal: time.signal, until: handlersUntil(time) });
}

/**
 * Runs the user's handlers for the changes that a transaction settles, in their order in time, on the row as the
 * transaction leaves it. Where the time is up, it stops before the next handler, though never before the first.
 *
 * @returns ids of the changes that may be settled: the steps up to where it stopped
 * @throws StepFailed where a handler failed
 */
export async function runHandlers(
  deps: ActivityDeps,
  client: PoolClient,
  entity: EntityKey,
  settled: {
    readonly steps: readonly SettledStep[];
    readonly pending: readonly PendingEvent[];
    readonly time: AttemptTime;
  },
): Promise<ReadonlySet<string>> {
  const { handlers } = deps;
  const { steps, pending, time } = settled;
  const idsOf = (some: readonly SettledStep[]) => some.map(({ id }) => id);
  const all = new Set(idsOf(steps));
  if (handlers === undefined) return all;
  const types = new Map(pending.map((event) => [event.id, event.type]));
  const isWanted = ({ id }: SettledStep) => handlers.wants(types.get(id) ?? '');
  const first = steps.findIndex(isWanted);
  if (first === -1) return all;
  const { account, object, objectId } = entity;
  const row = await readState(client, tableOf(object), account, objectId);
  // The object is gone, and no state of it was ever known: there is nothing that a handler could be shown.
  if (row === null) return all;
  for (const [index, step] of steps.entries()) {
    if (!isWanted(step)) continue;
    const before = idsOf(steps.slice(0, index));
    if (index > first && performance.now() >= handlersUntil(time)) return new Set(before);
    const { id: eventId, superseded } = step;
    const { signal, attempt } = time;
    const call = { account, eventId, row: { id: objectId, ...row }, superseded, signal, attempt };
    try {
      await handlers.run(client, call);
    } catch (error) {
      if (!(error instanceof HandlerFailure)) throw error;
      throw new StepFailed(error, before);
    }
  }
  return all;
}
