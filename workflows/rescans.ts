/** Lists what lies behind the cursor again, beside the loop: the last hour often, everything once a day. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  ParentClosePolicy,
  patched,
  startChild,
} from '@temporalio/workflow';
import {
  afterRescan,
  deepRescanWindow,
  type RescanWindow,
  rescanWindow,
  withBeginning,
} from '../src/domain/account-state.js';
import { rescanWorkflowId } from '../src/domain/ids.js';
import type { AccountStore } from './account-store.js';
import type { RescanDone } from './messages.js';
import { rescanEvents } from './proxies.js';
import { rescan } from './rescan.js';
import { findableBy } from './search-attributes.js';
import { type AccountSettings, DEFAULT_SETTINGS } from './settings.js';

export interface Rescans {
  /** Starts what is due, unless it runs still or there is nothing behind the cursor. */
  begin(which: { readonly onlyDeep: boolean }): void;
  /** Takes in what one reports. */
  take(done: RescanDone): void;
  /** Waits until what was to be started is under way, so that it survives the end of the run. */
  accepted(): Promise<void>;
  /** Ends those that run; their windows are listed with the next ones. */
  cancel(): Promise<void>;
}

export function createRescans(account: string, settings: AccountSettings, store: AccountStore): Rescans {
  const { everySeconds, windowSeconds } = settings.rescan;
  const { deepEverySeconds = DEFAULT_SETTINGS.rescan.deepEverySeconds } = settings.rescan;
  let starting = 0;
  let inline: CancellationScope | null = null;

  function take({ window, report }: RescanDone): void {
    store.update((state) => afterRescan(state, window, report, settings.lag));
  }

  async function start(window: RescanWindow): Promise<void> {
    const { from, to, deep = false } = window;
    const floorSeconds = settings.lag.floorSeconds;
    starting += 1;
    try {
      const child = await startChild(rescan, {
        workflowId: rescanWorkflowId(account, deep),
        args: [{ account, from, to, deep, floorSeconds }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `${deep ? 'Deep rescan' : 'Rescan'} of ${account}: ${to - from} s behind its cursor`,
        ...findableBy(settings.searchAttributes, account),
      });
      void child.result().catch((error: unknown) => {
        if (!isCancellation(error))
          log.warn('a rescan failed; the next one covers its window', { error: String(error) });
      });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError)
        log.info('the last rescan runs still', { deep, everySeconds });
      else if (!isCancellation(error))
        log.warn('a rescan could not be started; the next one covers its window', { error: String(error) });
    } finally {
      starting -= 1;
    }
  }

  /** As runs of 0.1.0 did it: within the run, and lost with it. */
  async function rescanInline(window: RescanWindow, scope: CancellationScope): Promise<void> {
    const summary = `list ${window.to - window.from} s behind the cursor again`;
    try {
      const report = await scope.run(() =>
        rescanEvents.executeWithOptions({ summary }, [{ account, from: window.from, to: window.to }]),
      );
      take({ window, report });
    } catch (error) {
      if (!isCancellation(error))
        log.warn('a rescan failed; the next one covers its window', { error: String(error) });
    }
  }

  return {
    take,
    begin({ onlyDeep }) {
      if (inline !== null) return;
      store.update((state) => ({ ...state, rescannedAt: state.stripeNow }));
      if (patched('rescan-child')) {
        store.update(withBeginning);
        const rolling = onlyDeep ? null : rescanWindow(store.get(), windowSeconds);
        if (rolling !== null) void start(rolling);
        const deep = deepRescanWindow(store.get(), deepEverySeconds);
        if (deep === null) return;
        store.update((state) => ({ ...state, deepRescannedAt: state.stripeNow }));
        void start(deep);
        return;
      }
      const window = rescanWindow({ ...store.get(), beganAt: null, stripeNow: null }, windowSeconds);
      const scope = new CancellationScope();
      inline = scope;
      const done = window === null ? Promise.resolve() : rescanInline(window, scope);
      void done.finally(() => {
        inline = null;
      });
    },
    async accepted() {
      inline?.cancel();
      await condition(() => inline === null && starting === 0);
    },
    async cancel() {
      inline?.cancel();
      await condition(() => inline === null && starting === 0);
      if (!patched('rescan-child')) return;
      for (const deep of [false, true]) {
        try {
          await getExternalWorkflowHandle(rescanWorkflowId(account, deep)).cancel();
        } catch (error) {
          if (CancellationScope.current().consideredCancelled) throw error;
          log.info('no such rescan runs', { deep });
        }
      }
    },
  };
}
