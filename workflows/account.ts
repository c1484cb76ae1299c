/** The loop of one Stripe account. */
import {
  ActivityFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  log,
  patched,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { CatchUpResult } from '../activities/catch-up.js';
import type { FetchResult } from '../activities/fetch-events.js';
import {
  type AccountState,
  afterBackfillReport,
  afterFetch,
  afterOutcomes,
  behindSeconds,
  isDue,
  isRescanned,
  openedState,
} from '../src/domain/account-state.js';
import { afterCatchUp, type Backlog, backlogOf, shareOf } from '../src/domain/backlog.js';
import { type Resync, resyncFrom } from '../src/domain/resync.js';
import { groupByEntity } from '../src/domain/routing.js';
import { createAccountStore } from './account-store.js';
import { createDeliveries } from './deliveries.js';
import { accountDetails } from './details.js';
import {
  type AccountStatus,
  backfillReportSignal,
  pauseSignal,
  type ResyncRequest,
  rescanReportSignal,
  resumeSignal,
  resyncSignal,
  statusQuery,
  stopSignal,
  wakeSignal,
} from './messages.js';
import { catchUp, fetchEvents, openAccount } from './proxies.js';
import { createRescans } from './rescans.js';
import { createResyncs } from './resyncs.js';
import { type AccountSettings, DEFAULT_SETTINGS } from './settings.js';

export interface AccountInput {
  readonly account: string;
  readonly settings: AccountSettings;
  /** Begin at Stripe's present, whatever an earlier workflow left. */
  readonly fresh?: boolean;
  /** Handed on by continue-as-new. */
  readonly state?: AccountState;
  readonly paused?: boolean;
  readonly resyncs?: readonly Resync[];
  /** Whether the last fetch of the run before was lost, and with it what it had claimed. */
  readonly fetchLost?: boolean;
}

/** Where an account stands before it was opened. */
const NOWHERE = { cursor: null, anchor: 0, lagSeconds: null, apiVersion: null, beganAt: null };
/** What failed for good (a table is missing, say) is not repeated in a tight circle. */
const RETRY_AFTER = '10 seconds';
/** Where passes come this often, a wake would only cost one. */
const SOON_ENOUGH_SECONDS = 2;
/** How long a stop waits for entities to close; one that takes longer goes on by itself. */
const LEAVE_AFTER = '30 seconds';

/**
 * Each heartbeat that reaches the server is an action, and an account where nothing happens would have little else. That
 * a worker is dead shows after a minute then, in place of ten seconds; Stripe is asked about such an account every ten
 * seconds at the soonest.
 */
const QUIET_AFTER_SECONDS = 600;
const QUIET_HEARTBEAT = '60 seconds';

export async function account(input: AccountInput): Promise<void> {
  const { settings } = input;
  const { entities = DEFAULT_SETTINGS.entities } = settings;
  const store = createAccountStore(input.state ?? openedState(NOWHERE, settings.lag));
  const resyncs = createResyncs(input.account, settings, store, input.resyncs ?? []);
  const rescans = createRescans(input.account, settings, store);
  const deliveries = createDeliveries({
    account: input.account,
    settings,
    apiVersion: () => store.get().apiVersion,
    onOutcome: (tally) => store.update((state) => afterOutcomes(state, tally)),
  });
  let paused = input.paused ?? false;
  let stopping = false;
  let poll: CancellationScope | null = null;
  /** Set by a wake, so that the next fetch makes one pass and a flood of wakes cannot keep it from one. */
  let woken = false;
  /** Claims of whoever came before may be lost, so a new account and whoever follows a lost fetch frees them. */
  let freeOlderThanSeconds: number | null = input.state === undefined || input.fetchLost ? 0 : null;

  const interrupt = () => poll?.cancel();
  setHandler(pauseSignal, () => {
    paused = true;
    interrupt();
  });
  setHandler(resumeSignal, () => {
    paused = false;
  });
  setHandler(wakeSignal, () => {
    const { everySeconds, slowestSeconds = everySeconds } = settings.poll;
    if (woken || slowestSeconds <= SOON_ENOUGH_SECONDS) return;
    woken = true;
    interrupt();
  });
  setHandler(stopSignal, () => {
    stopping = true;
    interrupt();
  });
  setHandler(resyncSignal, (request?: ResyncRequest) => {
    resyncs.ask(resyncFrom(request, settings.backfill.types));
    interrupt();
  });
  setHandler(backfillReportSignal, (report) => {
    store.update((state) => afterBackfillReport(state, report));
    if (report.state !== undefined && resyncs.waiting().length > 0) interrupt();
  });
  setHandler(rescanReportSignal, rescans.take);
  setHandler(statusQuery, status);

  if (input.state === undefined) await open();
  await resyncs.verify();

  while (!stopping) {
    setCurrentDetails(accountDetails(status()));
    await roomOrNews();
    if (deliveries.starts() >= settings.childStartsPerRun || workflowInfo().continueAsNewSuggested)
      await giveWay();
    if (stopping || paused) continue;
    await resyncs.startNext();
    if (stopping || paused) continue;

    const { backlog = null, trouble } = store.get();
    // What keeps the walk from going on, a fetch waits out.
    if (backlog !== null && trouble === null) {
      const walked = await catchUpOnce(backlog);
      freeOlderThanSeconds = walked === null ? 0 : null;
      if (walked !== null) takeWalk(walked);
      continue;
    }
    const fetched = await fetchOnce();
    if (fetched === null) {
      freeOlderThanSeconds = 0;
      continue;
    }
    freeOlderThanSeconds = null;
    take(fetched);
  }
  setCurrentDetails(accountDetails(status()));
  await leave();

  /** Waits until there is room for more deliveries, or until something else is to be done. */
  async function roomOrNews(): Promise<void> {
    const isReady = () =>
      stopping ||
      workflowInfo().continueAsNewSuggested ||
      (!paused && deliveries.room() > settings.maxInFlight / 4);
    while (!isReady()) {
      if (paused) await condition(() => isReady() || !paused);
      else if (!(await condition(() => isReady() || paused, settings.slowAfterSeconds * 1000)))
        deliveries.excuseSlow();
    }
  }

  /** Finds where the account begins. Repeated until Stripe and PostgreSQL have answered. */
  async function open(): Promise<void> {
    const { account: alias, fresh = false } = input;
    while (!stopping) {
      const scope = new CancellationScope();
      poll = scope;
      try {
        const request = { account: alias, fresh, lagSeconds: settings.lag.floorSeconds };
        const opened = await scope.run(() =>
          openAccount.executeWithOptions({ summary: 'find where to begin' }, [request]),
        );
        store.update(() => openedState(opened, settings.lag));
        if (settings.backfill.enabled && !opened.backfilled) {
          resyncs.ask({ types: settings.backfill.types, reason: 'the first one' });
        }
        return;
      } catch (error) {
        if (!isCancellation(error) || CancellationScope.current().consideredCancelled) await note(error);
      } finally {
        poll = null;
      }
    }
  }

  /** One fetch. Null where a signal interrupted it or it failed: its claims are then freed by the next one. */
  async function fetchOnce(): Promise<FetchResult | null> {
    const { cursor, anchor, trail = [], lookedAt = null, news = 0, ...rest } = store.get();
    const { frontier, lag, caughtUp, trouble, apiVersion } = rest;
    const { everySeconds, slowestSeconds = everySeconds, waitSeconds, pageCap, batch } = settings.poll;
    const request = {
      account: input.account,
      cursor,
      anchor,
      trail,
      lookedAt,
      news,
      frontier,
      lagSeconds: lag.seconds,
      limits: settings.lag,
      room: Math.min(batch, deliveries.room()),
      waitSeconds: woken ? 0 : waitSeconds,
      pollSeconds: everySeconds,
      slowestSeconds,
      pageCap,
      freeOlderThanSeconds,
      caughtUp,
      trouble,
      hydrate: settings.hydrate,
      apiVersion,
      entities,
    };
    const summary = `events after ${cursor?.id ?? `second ${anchor}`}`;
    const scope = new CancellationScope();
    poll = scope;
    try {
      const fetched = await scope.run(() =>
        fetchEvents.executeWithOptions({ summary, ...heartbeatOf(store.get()) }, [request]),
      );
      woken = false;
      return fetched;
    } catch (error) {
      if (!isCancellation(error) || CancellationScope.current().consideredCancelled) await note(error);
      return null;
    } finally {
      poll = null;
    }
  }

  /** One slice of a walk over a backlog. Null as for a fetch. */
  async function catchUpOnce(backlog: Backlog): Promise<CatchUpResult | null> {
    const { cursor, anchor, lookedAt = null, lag, apiVersion } = store.get();
    const { sliceSeconds, walkers } = settings.catchUp ?? DEFAULT_SETTINGS.catchUp;
    const request = {
      account: input.account,
      backlog,
      cursor,
      anchor,
      lookedAt,
      lagSeconds: lag.seconds,
      hydrate: settings.hydrate,
      apiVersion,
      seconds: sliceSeconds,
      walkers,
      room: Math.min(settings.poll.batch, deliveries.room()),
      freeOlderThanSeconds,
    };
    const summary = `catch up, ${Math.floor(shareOf(backlog) * 100)} % of ${backlog.to - backlog.from} s`;
    const scope = new CancellationScope();
    poll = scope;
    try {
      return await scope.run(() => catchUp.executeWithOptions({ summary }, [request]));
    } catch (error) {
      if (!isCancellation(error) || CancellationScope.current().consideredCancelled) await note(error);
      return null;
    } finally {
      poll = null;
    }
  }

  /** Takes in what a fetch reports: the cursor, the lag, and the changes to hand on. */
  function take({ report, references }: FetchResult): void {
    const { gap: known } = store.get();
    store.update((state) => afterFetch(state, report, settings.lag));
    const { gap, rescannedAt, freedAt, stripeNow } = store.get();
    if (gap !== known) resyncs.ask({ types: settings.backfill.types, reason: 'a gap in the events' });
    hand(references);
    if (isDue(rescannedAt, stripeNow, settings.rescan.everySeconds)) beginRescan();
    if (isDue(freedAt, stripeNow, settings.free.everySeconds)) {
      freeOlderThanSeconds = settings.free.olderThanSeconds;
      store.update((state) => ({ ...state, freedAt: state.stripeNow }));
    }
    beginCatchUp();
  }

  /** A walk that trouble has interrupted goes on where it was. */
  function beginCatchUp(): void {
    const { backlog: known = null } = store.get();
    const backlog = known !== null || entities === 'always' ? null : backlogOf(store.get());
    if (backlog !== null && patched('catch-up')) store.update((state) => ({ ...state, backlog }));
  }

  function takeWalk({ report, references }: CatchUpResult): void {
    store.update((state) => afterCatchUp(state, report));
    hand(references);
  }

  function hand(references: FetchResult['references']): void {
    deliveries.hand(groupByEntity(references).map((delivery) => ({ ...delivery, readAfter: null })));
  }

  /** Once everything behind a cursor that stands still was listed again, only the deep rescans go on. */
  function beginRescan(): void {
    const { everySeconds, windowSeconds } = settings.rescan;
    const isQuiet = isRescanned(store.get(), everySeconds + windowSeconds) && patched('quiet-rescans');
    rescans.begin({ onlyDeep: isQuiet });
  }

  /** Says what went wrong and waits before it is tried again. A cancellation of the workflow goes through. */
  async function note(error: unknown): Promise<void> {
    if (isCancellation(error)) throw error;
    const cause = error instanceof ActivityFailure ? error.cause : error;
    const trouble = cause instanceof Error ? cause.message : String(cause);
    log.warn('a step of the loop failed; it is repeated', { trouble });
    store.update((state) => ({ ...state, trouble }));
    setCurrentDetails(accountDetails(status()));
    await condition(() => stopping, RETRY_AFTER);
  }

  /** Continues as new, unless a stop came meanwhile. Nothing is under way then that could get lost. */
  async function giveWay(): Promise<void> {
    await rescans.accepted();
    await deliveries.accepted();
    await condition(allHandlersFinished);
    if (stopping) return;
    const { account: alias } = input;
    await continueAsNew<typeof account>({
      account: alias,
      settings,
      state: store.get(),
      paused,
      resyncs: resyncs.waiting(),
      fetchLost: freeOlderThanSeconds === 0,
    });
  }

  /** What was claimed is delivered first. */
  async function leave(): Promise<void> {
    await resyncs.cancel();
    await rescans.cancel();
    await deliveries.accepted();
    await condition(() => deliveries.inFlight() === 0 && allHandlersFinished(), LEAVE_AFTER);
  }

  function status(): AccountStatus {
    const { lag, trail: _trail, lookedAt: _lookedAt, news: _news, backlog = null, ...rest } = store.get();
    return {
      ...rest,
      entities,
      catchUp: backlog && {
        from: backlog.from,
        to: backlog.to,
        events: backlog.listed,
        share: shareOf(backlog),
      },
      account: input.account,
      state: stopping ? 'stopping' : paused ? 'paused' : 'running',
      lagSeconds: lag.seconds,
      lagLimits: settings.lag,
      behindSeconds: behindSeconds(store.get()),
      inFlight: deliveries.inFlight(),
    };
  }
}

function heartbeatOf({ frontier, cursor, stripeNow, trouble }: AccountState): {
  heartbeatTimeout?: typeof QUIET_HEARTBEAT;
} {
  const last = frontier ?? cursor?.created ?? null;
  const isQuiet = last !== null && stripeNow !== null && stripeNow - last > QUIET_AFTER_SECONDS;
  return isQuiet && trouble === null ? { heartbeatTimeout: QUIET_HEARTBEAT } : {};
}
