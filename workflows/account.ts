/** The loop of one Stripe account. */

import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ActivityFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  sleep,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { FetchResult } from '../activities/fetch-events.js';
import {
  type AccountState,
  afterBackfillReport,
  afterFetch,
  afterOutcomes,
  afterRescan,
  beginBackfill,
  behindSeconds,
  isDue,
  openedState,
  rescanWindow,
} from '../src/domain/account-state.js';
import { backfillWorkflowId } from '../src/domain/ids.js';
import { groupByEntity } from '../src/domain/routing.js';
import { backfill } from './backfill.js';
import { createDeliveries } from './deliveries.js';
import { accountDetails } from './details.js';
import {
  backfillReportSignal,
  pauseSignal,
  type ResyncRequest,
  reportProgressSignal,
  resumeSignal,
  resyncSignal,
  statusQuery,
  stopSignal,
  wakeSignal,
} from './messages.js';
import { fetchEvents, openAccount, rescanEvents } from './proxies.js';
import { findableBy } from './search-attributes.js';
import type { AccountSettings } from './settings.js';

/** Where an account stands before it was opened. */
const NOWHERE = { cursor: null, anchor: 0, lagSeconds: null, apiVersion: null };

/** A fetch that failed for good (a table is missing, say) is not repeated in a tight circle. */
const RETRY_FETCH_AFTER = '10 seconds';

export interface AccountInput {
  readonly account: string;
  readonly settings: AccountSettings;
  /** Begin at Stripe's present, whatever an earlier workflow left. */
  readonly fresh?: boolean;
  /** Handed on by continue-as-new. */
  readonly state?: AccountState;
  readonly paused?: boolean;
  readonly resyncs?: readonly Resync[];
}

interface Resync {
  readonly types: readonly string[] | null;
  readonly reason: string;
}

export async function account(input: AccountInput): Promise<void> {
  const { settings } = input;
  let paused = input.paused ?? false;
  let stopping = false;
  let poll: CancellationScope | null = null;
  let rescanning = false;
  /** Claims of whoever came before may be lost, so a new run takes all that are not settled. */
  let freeOlderThanSeconds: number | null = 0;
  const resyncs: Resync[] = [...(input.resyncs ?? [])];
  let state = input.state ?? openedState(NOWHERE, settings.lag);

  const deliveries = createDeliveries({
    account: input.account,
    settings,
    apiVersion: () => state.apiVersion,
    onOutcome: (tally) => {
      state = afterOutcomes(state, tally);
    },
  });

  const interrupt = () => poll?.cancel();
  setHandler(pauseSignal, () => {
    paused = true;
    interrupt();
  });
  setHandler(resumeSignal, () => {
    paused = false;
  });
  setHandler(wakeSignal, () => interrupt());
  setHandler(stopSignal, () => {
    stopping = true;
    interrupt();
  });
  setHandler(resyncSignal, (request?: ResyncRequest) => {
    resyncs.push({ types: request?.types ?? settings.backfill.types, reason: 'asked for' });
    interrupt();
  });
  setHandler(backfillReportSignal, (report) => {
    state = afterBackfillReport(state, report);
    if (report.state !== undefined && resyncs.length > 0) interrupt();
  });
  setHandler(statusQuery, () => status());

  if (input.state === undefined) state = await open();
  if (state.backfill?.state === 'running') await askBackfill(state.backfill.number);

  while (!stopping) {
    setCurrentDetails(accountDetails(status()));
    await condition(() => stopping || (!paused && room() > 0));
    if (stopping) break;
    await startResync();

    const fetched = await longPoll();
    freeOlderThanSeconds = fetched === null ? 0 : null;
    if (fetched !== null) {
      const { gap } = state;
      state = afterFetch(state, fetched.report, settings.lag);
      if (state.gap !== gap) resyncs.push({ types: settings.backfill.types, reason: 'a gap in the events' });
      deliveries.hand(
        groupByEntity(fetched.references).map((delivery) => ({ ...delivery, readAfter: null })),
      );
      if (isDue(state.rescannedAt, state.stripeNow, settings.rescan.everySeconds)) void rescan();
      if (isDue(state.freedAt, state.stripeNow, settings.free.everySeconds)) {
        freeOlderThanSeconds = settings.free.olderThanSeconds;
        state = { ...state, freedAt: state.stripeNow };
      }
    }
    if (deliveries.starts() >= settings.childStartsPerRun || workflowInfo().continueAsNewSuggested) {
      await giveWay();
    }
  }
  setCurrentDetails(accountDetails(status()));
  await leave();

  async function open(): Promise<AccountState> {
    const opened = await openAccount.executeWithOptions({ summary: 'find where to begin' }, [
      { account: input.account, fresh: input.fresh ?? false, lagSeconds: settings.lag.floorSeconds },
    ]);
    if (settings.backfill.enabled && !opened.backfilled) {
      resyncs.push({ types: settings.backfill.types, reason: 'the first one' });
    }
    return openedState(opened, settings.lag);
  }

  /** What was claimed is delivered first. A child that takes longer goes on by itself. */
  async function leave(): Promise<void> {
    if (state.backfill?.state === 'running') await cancelBackfill(state.backfill.number);
    await deliveries.accepted();
    await condition(() => deliveries.inFlight() === 0 && !rescanning && allHandlersFinished(), '30 seconds');
  }

  function room(): number {
    return settings.maxInFlight - deliveries.inFlight();
  }

  /** One fetch. Null where a signal interrupted it or it failed: its claims are then freed by the next one. */
  async function longPoll(): Promise<FetchResult | null> {
    const { cursor, anchor, frontier, lag, caughtUp, trouble } = state;
    const { everySeconds, waitSeconds, pageCap, batch } = settings.poll;
    const scope = new CancellationScope();
    poll = scope;
    try {
      return await scope.run(() =>
        fetchEvents.executeWithOptions({ summary: `events after ${cursor?.id ?? `second ${anchor}`}` }, [
          {
            account: input.account,
            cursor,
            anchor,
            frontier,
            lagSeconds: lag.seconds,
            limits: settings.lag,
            room: Math.min(batch, room()),
            waitSeconds,
            pollSeconds: everySeconds,
            pageCap,
            freeOlderThanSeconds,
            caughtUp,
            trouble,
          },
        ]),
      );
    } catch (error) {
      if (CancellationScope.current().consideredCancelled) throw error;
      if (!isCancellation(error)) {
        log.warn('a fetch failed; the next one takes its place', { error: String(error) });
        state = {
          ...state,
          trouble: error instanceof ActivityFailure ? String(error.cause?.message) : String(error),
        };
        await sleep(RETRY_FETCH_AFTER);
      }
      return null;
    } finally {
      poll = null;
    }
  }

  async function rescan(): Promise<void> {
    const window = rescanWindow(state, settings.rescan.windowSeconds);
    if (rescanning || window === null) return;
    rescanning = true;
    state = { ...state, rescannedAt: state.stripeNow };
    try {
      const summary = `list ${settings.rescan.windowSeconds} s behind the cursor again`;
      const report = await rescanEvents.executeWithOptions({ summary }, [
        { account: input.account, ...window },
      ]);
      state = afterRescan(state, report, settings.lag);
    } catch (error) {
      log.warn('a rescan failed; the next one takes its place', { error: String(error) });
    } finally {
      rescanning = false;
    }
  }

  /** Starts the next backfill that was asked for, one at a time. Requests that wait become one. */
  async function startResync(): Promise<void> {
    if (resyncs.length === 0 || state.backfill?.state === 'running') return;
    const asked = resyncs.splice(0);
    const types = asked.some((resync) => resync.types === null)
      ? null
      : [...new Set(asked.flatMap((resync) => resync.types ?? []))];
    state = beginBackfill(state, asked[0]?.reason ?? 'asked for');
    const number = state.backfill?.number ?? 1;
    try {
      await startChild(backfill, {
        workflowId: backfillWorkflowId(input.account, number),
        args: [{ account: input.account, number, types, settings, apiVersion: state.apiVersion }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `Backfill ${number} of ${input.account}: ${types?.join(', ') ?? 'all types'}`,
        ...findableBy(settings.searchAttributes, input.account),
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      await askBackfill(number);
    }
  }

  /** A backfill that no longer runs cannot report, so it has failed. */
  async function askBackfill(number: number): Promise<void> {
    try {
      await getExternalWorkflowHandle(backfillWorkflowId(input.account, number)).signal(reportProgressSignal);
    } catch {
      state = afterBackfillReport(state, { number, types: [], state: 'failed' });
    }
  }

  async function cancelBackfill(number: number): Promise<void> {
    try {
      await getExternalWorkflowHandle(backfillWorkflowId(input.account, number)).cancel();
    } catch {
      log.info('the backfill had ended already');
    }
  }

  async function giveWay(): Promise<never> {
    await deliveries.accepted();
    await condition(() => !rescanning && allHandlersFinished());
    return continueAsNew<typeof account>({ ...input, fresh: false, state, paused, resyncs });
  }

  function status() {
    const { lag, ...rest } = state;
    return {
      account: input.account,
      state: stopping ? ('stopping' as const) : paused ? ('paused' as const) : ('running' as const),
      lagSeconds: lag.seconds,
      behindSeconds: behindSeconds(state),
      inFlight: deliveries.inFlight(),
      ...rest,
    };
  }
}
