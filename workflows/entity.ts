/** One entity's changes: drain, apply, close. */
import {
  ActivityFailure,
  ApplicationFailure,
  continueAsNew,
  isCancellation,
  type RetryPolicy,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ApplyInput, ApplyResult, Hydrate } from '../activities/apply-changes.js';
import type { SettleInput } from '../activities/settle-entity.js';
import { addOutcomes, NO_OUTCOMES, type OutcomeTally } from '../src/domain/account-state.js';
import { HANDLER_FAILED } from '../src/domain/failures.js';
import { type EntityBatch, mergeBatches } from '../src/domain/routing.js';
import { deliverSignal } from './messages.js';
import { applyLocally, applyPatiently, parkChanges, settleEntity } from './proxies.js';
import type { AccountSettings } from './settings.js';

type Parking = NonNullable<AccountSettings['parking']>;

export interface EntityInput extends EntityBatch {
  readonly account: string;
  readonly object: string;
  readonly objectId: string;
  readonly hydrate: Hydrate;
  readonly apiVersion: string | null;
  readonly parking?: Parking;
  /** Handed on by continue-as-new. */
  readonly tally?: OutcomeTally;
}

export async function entity(input: EntityInput): Promise<OutcomeTally> {
  const { account, object, objectId, hydrate, apiVersion, parking } = input;
  const key = { account, object, objectId };
  const queue: EntityBatch[] = [{ events: input.events, readAfter: input.readAfter }];
  setHandler(deliverSignal, (batch) => {
    queue.push(batch);
  });

  /** What a batch was taken apart into: one at a time, before what has come meanwhile. */
  const apart: EntityBatch[] = [];
  let tally = input.tally ?? NO_OUTCOMES;
  while (queue.length > 0 || apart.length > 0) {
    const isAlone = apart.length > 0;
    const batches = isAlone ? apart.splice(0, 1) : queue.splice(0);
    // An entity that never rests would never close, and its history would grow for ever.
    if (workflowInfo().continueAsNewSuggested) {
      return continueAsNew<typeof entity>({
        ...input,
        ...mergeBatches([...batches, ...apart, ...queue]),
        tally,
      });
    }
    const batch = mergeBatches(batches);
    const ids = batch.events.map((event) => event.id);
    // The batch that it comes from was tried with patience already.
    const patience = isAlone && parking !== undefined ? { ...parking, attempts: 1 } : parking;
    try {
      const applied = await apply({ ...key, ids, hydrate, apiVersion }, patience);
      tally = addOutcomes(tally, applied.tally);
      const readAfter = Math.max(-1, applied.fetch?.after ?? -1, batch.readAfter ?? -1);
      if (readAfter >= 0) {
        setCurrentDetails(`Waiting for a read of the ${object} past second ${readAfter} of Stripe's clock`);
        const read = { ...key, ids: applied.fetch?.ids ?? [], after: readAfter, apiVersion };
        tally = addOutcomes(tally, await readAndSettle(read, patience));
      }
    } catch (error) {
      if (isCancellation(error)) throw error;
      const { park, rest, singles } =
        parking === undefined ? { park: ids, rest: [], singles: [] } : afterFailure(batch, error);
      const reason = reasonOf(error);
      if (park.length > 0) {
        const parked = await parkChanges.executeWithOptions({ summary: `park ${park.length} changes` }, [
          { ...key, ids: park, reason },
        ]);
        if (parked > 0) setCurrentDetails(`**Parked** ${park.join(', ')}: ${reason}`);
        tally = { ...tally, parked: tally.parked + parked };
      }
      queue.unshift(...rest);
      apart.unshift(...singles);
    }
  }
  return tally;
}

/** The quick way first, then the patient one, which ends only with what no repetition mends. */
async function apply(input: ApplyInput, parking: Parking | undefined): Promise<ApplyResult> {
  const summary = `apply ${input.ids.length} changes`;
  try {
    return await applyLocally.executeWithOptions({ summary }, [withPatience(input, parking)]);
  } catch (error) {
    // Whoever was started by 0.1.0 goes on as it began.
    if (isCancellation(error) || (isFinal(error) && parking === undefined)) throw error;
    const retry = retryOf(parking);
    return applyPatiently.executeWithOptions({ summary: `${summary}, patiently`, ...retry }, [
      withPatience(input, parking),
    ]);
  }
}

function readAndSettle(input: SettleInput, parking: Parking | undefined): Promise<OutcomeTally> {
  const summary = `read ${input.object}, ${input.ids.length} changes`;
  return settleEntity.executeWithOptions({ summary, ...retryOf(parking) }, [withPatience(input, parking)]);
}

function withPatience<T extends object>(input: T, parking: Parking | undefined): T {
  return parking === undefined ? input : { ...input, patience: parking.attempts };
}

function retryOf(parking: Parking | undefined): { retry?: RetryPolicy } {
  if (parking === undefined) return {};
  const { firstSeconds, mostSeconds } = parking;
  return { retry: { initialInterval: firstSeconds * 1000, maximumInterval: mostSeconds * 1000 } };
}

interface AfterFailure {
  readonly park: readonly string[];
  /** What goes on as a batch. */
  readonly rest: readonly EntityBatch[];
  /** What goes on one by one. */
  readonly singles: readonly EntityBatch[];
}

/**
 * What is parked and what is tried again. A handler's failure names its event; otherwise a batch is taken apart, so
 * that one change which cannot be applied holds up no other.
 */
function afterFailure(batch: EntityBatch, error: unknown): AfterFailure {
  const ids = batch.events.map((event) => event.id);
  const failed = failedEvent(error);
  if (failed !== null) {
    const events = batch.events.filter((event) => event.id !== failed);
    return { park: [failed], rest: events.length === 0 ? [] : [{ ...batch, events }], singles: [] };
  }
  if (ids.length <= 1) return { park: ids, rest: [], singles: [] };
  const reads = batch.readAfter === null ? [] : [{ events: [], readAfter: batch.readAfter }];
  const alone = batch.events.map((event) => ({ events: [event], readAfter: null }));
  return { park: [], rest: [], singles: [...alone, ...reads] };
}

/** The event that a handler's failure names. */
function failedEvent(error: unknown): string | null {
  if (!(error instanceof ActivityFailure) || !(error.cause instanceof ApplicationFailure)) return null;
  const [eventId] = error.cause.details ?? [];
  return error.cause.type === HANDLER_FAILED && typeof eventId === 'string' ? eventId : null;
}

function isFinal(error: unknown): boolean {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof ApplicationFailure &&
    error.cause.nonRetryable === true
  );
}

function reasonOf(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof Error ? cause.message : 'it failed for a reason that has no words';
}
