import type { PoolClient } from 'pg';
import type { SettledStep } from '../src/domain/ordering.js';
import { HandlerFailure } from '../src/handlers/handler-failure.js';
import type { PendingEvent } from '../src/postgres/read-pending.js';
import { readState } from '../src/postgres/read-row.js';
import { tableOf } from '../src/stripe/catalog.js';
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

/**
 * Runs the user's handlers for the changes that a transaction settles, in their order in time, on the row as the
 * transaction leaves it.
 *
 * @throws StepFailed where a handler failed
 */
export async function runHandlers(
  deps: ActivityDeps,
  client: PoolClient,
  entity: EntityKey,
  settled: {
    readonly steps: readonly SettledStep[];
    readonly pending: readonly PendingEvent[];
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { handlers } = deps;
  if (handlers === undefined) return;
  const { steps, pending, signal } = settled;
  const types = new Map(pending.map((event) => [event.id, event.type]));
  if (!steps.some(({ id }) => handlers.wants(types.get(id) ?? ''))) return;
  const { account, object, objectId } = entity;
  const row = await readState(client, tableOf(object), account, objectId);
  if (row === null) throw new Error('a change of an object was settled that has no row');
  for (const [index, { id: eventId, superseded }] of steps.entries()) {
    if (!handlers.wants(types.get(eventId) ?? '')) continue;
    try {
      await handlers.run(client, { account, eventId, row: { id: objectId, ...row }, superseded, signal });
    } catch (error) {
      if (!(error instanceof HandlerFailure)) throw error;
      throw new StepFailed(
        error,
        steps.slice(0, index).map(({ id }) => id),
      );
    }
  }
}
