/** Lists what lies behind the cursor again, beside the loop. */
import { CancellationScope, condition, isCancellation, log } from '@temporalio/workflow';
import { afterRescan, rescanWindow } from '../src/domain/account-state.js';
import type { AccountStore } from './account-store.js';
import { rescanEvents } from './proxies.js';
import type { AccountSettings } from './settings.js';

export interface Rescans {
  /** Begins one unless one runs or there is nothing behind the cursor. Nothing comes out of it. */
  begin(): void;
  /** Ends the one that runs; its window is listed with the next one. */
  cancel(): Promise<void>;
}

export function createRescans(account: string, settings: AccountSettings, store: AccountStore): Rescans {
  let running: CancellationScope | null = null;

  async function rescan(scope: CancellationScope): Promise<void> {
    const window = rescanWindow(store.get(), settings.rescan.windowSeconds);
    if (window === null) return;
    const summary = `list ${window.to - window.from} s behind the cursor again`;
    try {
      const report = await scope.run(() =>
        rescanEvents.executeWithOptions({ summary }, [{ account, ...window }]),
      );
      store.update((state) => afterRescan(state, window, report, settings.lag));
    } catch (error) {
      if (!isCancellation(error))
        log.warn('a rescan failed; the next one covers its window', { error: String(error) });
    }
  }

  return {
    begin() {
      if (running !== null) return;
      const scope = new CancellationScope();
      running = scope;
      store.update((state) => ({ ...state, rescannedAt: state.stripeNow }));
      void rescan(scope).finally(() => {
        running = null;
      });
    },
    async cancel() {
      running?.cancel();
      await condition(() => running === null);
    },
  };
}
