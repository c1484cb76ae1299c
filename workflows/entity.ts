/** One entity's changes: drain, apply, close. */
import { RetryState, TimeoutFailure } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  continueAsNew,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ApplyInput, ApplyResult } from '../activities/apply-changes.js';
import type { SettleInput, SettleResult } from '../activities/settle-entity.js';
import { addOutcomes, NO_OUTCOMES, type OutcomeTally } from '../src/domain/account-state.js';
import { HANDLER_FAILED } from '../src/domain/failures.js';
import type { Hydrate } from '../src/domain/hydrate.js';
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
  /** What waits for a read that Stripe does not answer: one batch at most, after what has come meanwhile. */
  const unread: EntityBatch[] = [];
  /** Reads without an answer, one after the other. */
  let unanswered = 0;
  let tally = input.tally ?? NO_OUTCOMES;
  while (queue.length > 0 || apart.length > 0 || unread.length > 0) {
    const isAlone = apart.length > 0;
    const lane = isAlone ? apart : queue.length > 0 ? queue : unread;
    const batches = lane.splice(0, isAlone ? 1 : lane.length);
    // An entity that never rests would never close, and its history would grow for ever.
    if (workflowInfo().continueAsNewSuggested) {
      return continueAsNew<typeof entity>({
        ...input,
        ...mergeBatches([...batches, ...apart, ...queue, ...unread]),
        tally,
      });
    }
    const batch = mergeBatches(batches);
    if (isKnown(batch, unread)) continue;
    const ids = batch.events.map((event) => event.id);
    // The batch that it comes from was tried with patience already.
    const patience = isAlone && parking !== undefined ? { ...parking, attempts: 1 } : parking;
    try {
      const applied = await apply({ ...key, ids, hydrate, apiVersion }, patience);
      tally = addOutcomes(tally, applied.tally);
      if (applied.more) {
        lane.unshift(batch);
        continue;
      }
      const readAfter = Math.max(-1, applied.fetch?.after ?? -1, batch.readAfter ?? -1);
      if (readAfter >= 0) {
        setCurrentDetails(`Waiting for a read of the ${object} past second ${readAfter} of Stripe's clock`);
        const read = { ...key, ids: applied.fetch?.ids ?? [], after: readAfter, apiVersion };
        let settled: SettleResult;
        do {
          settled = await readAndSettle(read, patience, unanswered);
          tally = addOutcomes(tally, settled);
        } while (settled.more);
        unanswered = 0;
      }
    } catch (error) {
      if (isCancellation(error)) throw error;
      if (isUnanswered(error)) {
        unanswered += 1;
        setCurrentDetails(`**No answer** to reads of the ${object}, tried again: ${reasonOf(error)}`);
        unread.splice(0, unread.length, mergeBatches([batch, ...unread]));
        continue;
      }
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
    return applyPatiently.executeWithOptions({ summary: `${summary}, patiently`, ...retryOf(parking) }, [
      withPatience(input, parking),
    ]);
  }
}

/** @param unanswered how many such reads in a row had no answer: the next one keeps the longest wait */
function readAndSettle(
  input: SettleInput,
  parking: Parking | undefined,
  unanswered: number,
): Promise<SettleResult> {
  const options = {
    summary: `read ${input.object}, ${input.ids.length} changes`,
    ...retryOf(parking, unanswered > 0),
    ...(parking?.readSeconds === undefined ? {} : { scheduleToCloseTimeout: parking.readSeconds * 1000 }),
  };
  return settleEntity.executeWithOptions(options, [withPatience(input, parking)]);
}

function withPatience<T extends object>(input: T, parking: Parking | undefined): T {
  return parking === undefined ? input : { ...input, patience: parking.attempts };
}

function retryOf(parking: Parking | undefined, isSlow = false) {
  if (parking === undefined) return {};
  const { firstSeconds, mostSeconds } = parking;
  const initialInterval = (isSlow ? mostSeconds : firstSeconds) * 1000;
  return { retry: { initialInterval, maximumInterval: mostSeconds * 1000 } };
}

/** Whether all that the batch asks for waits in another one: events that were freed are delivered again. */
function isKnown(batch: EntityBatch, waiting: readonly EntityBatch[]): boolean {
  const ids = new Set(waiting.flatMap(({ events }) => events.map(({ id }) => id)));
  return ids.size > 0 && batch.readAfter === null && batch.events.every(({ id }) => ids.has(id));
}

/**
 * Whether the time for a read ran out although nothing has refused it: Stripe does not answer for this object, or for
 * none. Its newer changes may need no read, so they go first, and then it is read again, for as long as it takes. An
 * answer that makes no sense, or a fault of our own, is a failure like any other.
 */
function isUnanswered(error: unknown): boolean {
  if (!(error instanceof ActivityFailure)) return false;
  const { cause, retryState } = error;
  // Time that runs out in the middle of an attempt is a failure of that attempt, which has no repetition.
  if (cause instanceof TimeoutFailure) return true;
  return (
    retryState === RetryState.TIMEOUT &&
    cause instanceof ApplicationFailure &&
    !UNREASONABLE.has(cause.type ?? '')
  );
}

const UNREASONABLE = new Set(['Internal', 'Stripe/malformed']);

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
