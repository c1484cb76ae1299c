/** Backfills of an account: one at a time, each a child of its own that outlives the run. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  getExternalWorkflowHandle,
  isCancellation,
  log,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import { afterBackfillReport, beginBackfill } from '../src/domain/account-state.js';
import { backfillWorkflowId } from '../src/domain/ids.js';
import { isWhole, nextResync, type Resync } from '../src/domain/resync.js';
import type { AccountStore } from './account-store.js';
import { backfill } from './backfill.js';
import { type BackfillReport, reportProgressSignal } from './messages.js';
import { findableBy } from './search-attributes.js';
import type { AccountSettings } from './settings.js';

export interface Resyncs {
  ask(resync: Resync): void;
  /** Those that were asked for and have not begun. */
  waiting(): readonly Resync[];
  /** Starts what was asked for, unless a backfill runs. Requests that wait become one. */
  startNext(): Promise<void>;
  /** Asks a backfill that should be running for its progress; one that no longer runs has failed. */
  verify(): Promise<void>;
  /** Ends a backfill that runs. */
  cancel(): Promise<void>;
}

export function createResyncs(
  account: string,
  settings: AccountSettings,
  store: AccountStore,
  handedOn: readonly Resync[],
): Resyncs {
  const asked: Resync[] = [...handedOn];
  const running = () => {
    const { backfill: current } = store.get();
    return current?.state === 'running' ? current.number : null;
  };
  const failed = (number: number) =>
    store.update((state) => afterBackfillReport(state, { number, types: [], state: 'failed' }));

  async function verify(): Promise<void> {
    const number = running();
    if (number === null) return;
    try {
      await getExternalWorkflowHandle(backfillWorkflowId(account, number)).signal(reportProgressSignal);
    } catch (error) {
      if (isCancellation(error)) throw error;
      failed(number);
    }
  }

  /** Nobody awaits it. A backfill reports its own end; this is for a lost report, and for an end from outside. */
  async function watch(number: number, result: Promise<BackfillReport>): Promise<void> {
    try {
      const report = await result;
      store.update((state) => afterBackfillReport(state, report));
    } catch (error) {
      if (!isCancellation(error)) failed(number);
    }
  }

  return {
    ask: (resync) => void asked.push(resync),
    waiting: () => asked,
    verify,
    async startNext() {
      const chosen = running() === null ? nextResync(asked) : null;
      if (chosen === null) return;
      asked.splice(0, asked.length, ...chosen.rest);
      const { types, reason, since, sinceOf } = chosen.next;
      const fillsAll =
        isWhole(chosen.next) ||
        (since == null &&
          (settings.backfill.types?.every((type) => types?.includes(type) && sinceOf?.[type] === undefined) ??
            false));
      store.update((state) => beginBackfill(state, reason, fillsAll));
      const { backfill: begun, apiVersion } = store.get();
      const number = begun?.number ?? 1;
      try {
        const child = await startChild(backfill, {
          workflowId: backfillWorkflowId(account, number),
          args: [
            {
              account,
              number,
              types,
              settings,
              apiVersion,
              reason,
              since: since ?? null,
              sinceOf: sinceOf ?? {},
            },
          ],
          parentClosePolicy: ParentClosePolicy.ABANDON,
          staticSummary: `Backfill ${number} of ${account}: ${types?.join(', ') ?? 'all types'}`,
          ...findableBy(settings.searchAttributes, account),
        });
        void watch(number, child.result());
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        await verify();
      }
    },
    async cancel() {
      const number = running();
      if (number === null) return;
      try {
        await getExternalWorkflowHandle(backfillWorkflowId(account, number)).cancel();
      } catch {
        log.info('the backfill had ended already');
      }
    },
  };
}
