/**
 * Lists everything that was asked for, while events keep flowing. Positions are in PostgreSQL, beside what they are the
 * positions of; what is here is who lists what, and what is told of it.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  ChildWorkflowFailure,
  condition,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  ParentClosePolicy,
  patched,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import type { ListTypeResult } from '../activities/list-type.js';
import type { PlannedType } from '../activities/plan-backfill.js';
import type { BackfillTypeProgress } from '../src/domain/account-state.js';
import { accountWorkflowId, listingWorkflowId } from '../src/domain/ids.js';
import { isWhole } from '../src/domain/resync.js';
import { backfillDetails } from './details.js';
import { type EarlierState, earlierBackfill } from './earlier-backfill.js';
import { type ListingInput, listing, listRetry } from './listing.js';
import { type BackfillReport, backfillReportSignal, reportProgressSignal } from './messages.js';
import { endBackfill, failListing, listType, planBackfill } from './proxies.js';
import { findableBy } from './search-attributes.js';
import { type AccountSettings, DEFAULT_SETTINGS } from './settings.js';

export interface BackfillInput {
  readonly account: string;
  /** As the account counts its backfills. */
  readonly number: number;
  /** Object and table names; all listable ones where null. */
  readonly types: readonly string[] | null;
  readonly settings: AccountSettings;
  readonly apiVersion: string | null;
  /** Not set by 0.2.0. See `Resync`. */
  readonly reason?: string;
  readonly since?: number | null;
  readonly sinceOf?: Readonly<Record<string, number>>;
  /** Handed on by the continue-as-new of 0.2.0. */
  readonly state?: EarlierState;
}

export async function backfill(input: BackfillInput): Promise<BackfillReport> {
  if (!patched('listings')) return earlierBackfill(input);
  const { account, number, settings, apiVersion } = input;
  const { walkers, attempts } = { ...DEFAULT_SETTINGS.backfill, ...settings.backfill };
  const asked = {
    types: input.types,
    since: input.since ?? null,
    sinceOf: input.sinceOf ?? {},
    reason: input.reason ?? 'asked for',
  };
  const progress = new Map<string, BackfillTypeProgress>();
  const untold = new Set<string>();
  let ended: 'done' | 'failed' | null = null;
  let failed = false;
  setHandler(reportProgressSignal, () => {
    for (const object of progress.keys()) untold.add(object);
  });

  const plan = await planBackfill.executeWithOptions({ summary: 'what to list' }, [{ account, ...asked }]);
  for (const { object } of plan.phases.flat()) note({ object, rows: 0, done: false });
  for (const { object, reason } of plan.leftOut) note({ object, rows: 0, done: true, skipped: reason });
  const telling = tell();
  try {
    for (const phase of plan.phases) {
      const left = [...phase];
      await Promise.all(Array.from({ length: settings.backfill.concurrency }, () => takeAll(left)));
    }
    await endBackfill({
      account,
      number: plan.number,
      outcome: failed ? 'failed' : 'done',
      isWhole: isWhole(asked),
    });
  } catch (error) {
    await CancellationScope.nonCancellable(() => report({ number, types: [], state: 'failed' }));
    throw error;
  }
  const state = failed ? 'failed' : 'done';
  ended = state;
  await telling;
  return { number, types: [...progress.values()], state };

  async function takeAll(left: PlannedType[]): Promise<void> {
    for (let type = left.shift(); type !== undefined; type = left.shift()) await list(type);
  }

  async function list({ object, since }: PlannedType): Promise<void> {
    const slice = { account, object, number: plan.number, apiVersion, since, walkers };
    try {
      const first = await listType.executeWithOptions(
        { summary: `list ${object}`, retry: listRetry(attempts) },
        [{ ...slice, seconds: settings.backfill.sliceSeconds }],
      );
      // Most types hold a page or none, and are done by now; what takes longer is a workflow of its own to look at.
      if (!first.done) noteListed(object, first);
      noteListed(object, first.done ? first : await listInChild(slice));
    } catch (error) {
      if (isCancellation(error)) throw error;
      failed = true;
      const reason = reasonOf(error);
      note({ object, rows: progress.get(object)?.rows ?? 0, done: true, skipped: reason });
      await failListing({ account, object, number: plan.number, reason });
    }
  }

  function listInChild(slice: ListingInput['slice']): Promise<ListTypeResult> {
    const { object } = slice;
    return executeChild(listing, {
      workflowId: listingWorkflowId(account, number, object),
      args: [{ slice, seconds: settings.backfill.sliceSeconds, attempts }],
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `List ${object} of ${account}, for backfill ${number}`,
      ...findableBy(settings.searchAttributes, account, object),
    });
  }

  function noteListed(object: string, { done, rows, skipped, refused }: ListTypeResult): void {
    note({
      object,
      rows,
      done,
      ...(skipped === null ? {} : { skipped }),
      ...(refused === 0 ? {} : { refused }),
    });
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
      await report({ number, types, ...(state === null ? {} : { state }) });
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
  const failure = error instanceof ChildWorkflowFailure ? error.cause : error;
  const cause = failure instanceof ActivityFailure ? failure.cause : failure;
  return cause instanceof ApplicationFailure ? (cause.message ?? 'it failed') : 'it failed';
}
