/**
 * The backfill of 0.1.0 and 0.2.0, for those that run while a worker is replaced: it lists one page of a type after the
 * other, and keeps its positions itself. Once none of them is in the server's retention, it can go.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  patched,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { BackfillTypeProgress } from '../src/domain/account-state.js';
import { accountWorkflowId } from '../src/domain/ids.js';
import type { ListingPosition } from '../src/domain/listing.js';
import type { BackfillInput, backfill } from './backfill.js';
import { createDeliveries } from './deliveries.js';
import { backfillDetails } from './details.js';
import { type BackfillReport, backfillReportSignal, reportProgressSignal } from './messages.js';
import { backfillType, finishBackfill, listTypes } from './proxies.js';

export interface EarlierState {
  readonly types: readonly BackfillTypeProgress[];
  readonly positions: Readonly<Record<string, ListingPosition>>;
  /** Whether a type could not be listed to its end. */
  readonly failed: boolean;
}

export async function earlierBackfill(input: BackfillInput): Promise<BackfillReport> {
  const { account, number, settings } = input;
  const positions = new Map<string, ListingPosition>(Object.entries(input.state?.positions ?? {}));
  const progress = new Map<string, BackfillTypeProgress>(
    (input.state?.types ?? []).map((type) => [type.object, type]),
  );
  const untold = new Set<string>();
  let ended: 'done' | 'failed' | 'goes on' | null = null;
  setHandler(reportProgressSignal, () => {
    for (const object of progress.keys()) untold.add(object);
  });

  if (input.state === undefined) {
    const types = input.types ?? (await listTypes.executeWithOptions({ summary: 'which types to list' }, []));
    for (const object of types) note({ object, rows: 0, done: false });
  }
  const deliveries = createDeliveries({
    account,
    settings,
    apiVersion: () => input.apiVersion,
    onOutcome: () => undefined,
  });
  const telling = tell();
  const left = [...progress.values()].filter((type) => !type.done).map((type) => type.object);
  let giveWay = false;
  let failed = input.state?.failed ?? false;
  try {
    await Promise.all(Array.from({ length: settings.backfill.concurrency }, () => walker()));
    await deliveries.accepted();
    if (!giveWay && !failed && input.types === null) await finishBackfill(account);
  } catch (error) {
    await CancellationScope.nonCancellable(() => report({ number, types: [], state: 'failed' }));
    throw error;
  }
  if (giveWay) {
    ended = 'goes on';
    await telling;
    const state = { types: [...progress.values()], positions: Object.fromEntries(positions), failed };
    return continueAsNew<typeof backfill>({ ...input, state });
  }
  const state = failed ? 'failed' : 'done';
  ended = state;
  await telling;
  return { number, types: [...progress.values()], state };

  /** Takes one type after the other. */
  async function walker(): Promise<void> {
    for (let object = left.shift(); object !== undefined && !giveWay; object = left.shift())
      await list(object);
  }

  async function list(object: string): Promise<void> {
    while (!giveWay) {
      const from = positions.get(object) ?? null;
      const summary = `list ${object}${from === null ? '' : ` from row ${from.rows}`}`;
      try {
        const slice = await backfillType.executeWithOptions({ summary }, [
          {
            account,
            object,
            number,
            apiVersion: input.apiVersion,
            from,
            seconds: settings.backfill.sliceSeconds,
          },
        ]);
        deliveries.hand(
          slice.ambiguous.map(({ objectId, after }) => ({ object, objectId, events: [], readAfter: after })),
        );
        // Histories of 0.1.0 did not wait here, nor had so much to hand on.
        if (deliveries.room() <= 0 && patched('room-for-reads'))
          await condition(() => giveWay || deliveries.room() > 0);
        if (slice.position !== null) positions.set(object, slice.position);
        const done = slice.position === null;
        const refused = (progress.get(object)?.refused ?? 0) + (slice.refused?.count ?? 0);
        note({
          object,
          rows: slice.rows,
          done,
          ...(slice.skipped === null ? {} : { skipped: slice.skipped }),
          ...(refused === 0 ? {} : { refused }),
        });
        if (done) return;
      } catch (error) {
        if (isCancellation(error)) throw error;
        failed = true;
        note({ object, rows: from?.rows ?? 0, done: true, skipped: reasonOf(error) });
        return;
      }
      giveWay = giveWay || workflowInfo().continueAsNewSuggested;
    }
  }

  function note(type: BackfillTypeProgress): void {
    progress.set(type.object, type);
    untold.add(type.object);
    setCurrentDetails(backfillDetails([...progress.values()]));
  }

  /** Nobody awaits it until the end, so nothing may come out of it. One signal at a time, each with all that is new, so that a fast backfill does not flood its account. */
  async function tell(): Promise<void> {
    for (;;) {
      try {
        await condition(() => untold.size > 0 || ended !== null);
      } catch {
        return;
      }
      const types = [...untold].flatMap((object) => progress.get(object) ?? []);
      untold.clear();
      const state = ended;
      await report({ number, types, ...(state === 'done' || state === 'failed' ? { state } : {}) });
      if (state !== null) return;
    }
  }

  /** An account that was stopped hears nothing any more, and need not. */
  async function report(what: BackfillReport): Promise<void> {
    try {
      await getExternalWorkflowHandle(accountWorkflowId(account)).signal(backfillReportSignal, what);
    } catch (error) {
      log.info('the account does not hear the report', { error: String(error) });
    }
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure ? (cause.message ?? 'it failed') : 'it failed';
}
