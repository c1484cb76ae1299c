/** One entity's changes: drain, apply, close. */
import {
  ActivityFailure,
  ApplicationFailure,
  continueAsNew,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ApplyInput, ApplyResult, Hydrate } from '../activities/apply-changes.js';
import { addOutcomes, NO_OUTCOMES, type OutcomeTally } from '../src/domain/account-state.js';
import { type EntityBatch, mergeBatches } from '../src/domain/routing.js';
import { deliverSignal } from './messages.js';
import { applyLocally, applyPatiently, parkChanges, settleEntity } from './proxies.js';

export interface EntityInput extends EntityBatch {
  readonly account: string;
  readonly object: string;
  readonly objectId: string;
  readonly hydrate: Hydrate;
  readonly apiVersion: string | null;
  /** Handed on by continue-as-new. */
  readonly tally?: OutcomeTally;
}

export async function entity(input: EntityInput): Promise<OutcomeTally> {
  const { account, object, objectId, hydrate, apiVersion } = input;
  const key = { account, object, objectId };
  const queue: EntityBatch[] = [{ events: input.events, readAfter: input.readAfter }];
  setHandler(deliverSignal, (batch) => {
    queue.push(batch);
  });

  let tally = input.tally ?? NO_OUTCOMES;
  while (queue.length > 0) {
    const batches = queue.splice(0);
    // An entity that never rests would never close, and its history would grow for ever.
    if (workflowInfo().continueAsNewSuggested) {
      return continueAsNew<typeof entity>({ ...input, ...mergeBatches(batches), tally });
    }
    const ids = [...new Set(batches.flatMap((batch) => batch.events.map((event) => event.id)))];
    try {
      const applied = await apply({ ...key, ids, hydrate, apiVersion });
      tally = addOutcomes(tally, applied.tally);
      const readAfter = Math.max(
        -1,
        applied.fetch?.after ?? -1,
        ...batches.map((batch) => batch.readAfter ?? -1),
      );
      if (readAfter >= 0) {
        setCurrentDetails(`Waiting for a read of the ${object} past second ${readAfter} of Stripe's clock`);
        const read = { ...key, ids: applied.fetch?.ids ?? [], after: readAfter, atOnce: false, apiVersion };
        tally = addOutcomes(
          tally,
          await settleEntity.executeWithOptions({ summary: `read ${object}, ${read.ids.length} changes` }, [
            read,
          ]),
        );
      }
    } catch (error) {
      if (isCancellation(error)) throw error;
      const reason = reasonOf(error);
      const parked = await parkChanges.executeWithOptions({ summary: `park ${ids.length} changes` }, [
        { ...key, ids, reason },
      ]);
      if (parked > 0) setCurrentDetails(`**Parked** ${parked} changes: ${reason}`);
      tally = { ...tally, parked: tally.parked + parked };
    }
  }
  return tally;
}

/** The quick way first. Only a refusal of the data is final; anything else is repeated for as long as needed. */
async function apply(input: ApplyInput): Promise<ApplyResult> {
  const summary = `apply ${input.ids.length} changes`;
  try {
    return await applyLocally.executeWithOptions({ summary }, [input]);
  } catch (error) {
    if (isCancellation(error) || isFinal(error)) throw error;
    return applyPatiently.executeWithOptions({ summary: `${summary}, patiently` }, [input]);
  }
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
