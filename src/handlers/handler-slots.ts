import pLimit from 'p-limit';
import type { Pool } from 'pg';

/** All connections that handlers may use were in use for as long as there was time to wait. */
export class HandlersBusy extends Error {
  override readonly name = 'HandlersBusy';
  constructor() {
    super('All connections that handlers may use are in use: it is tried again.');
  }
}

export interface SlotWait {
  readonly signal: AbortSignal;
  /** Of `performance.now()`: nothing is begun any more from then on. */
  readonly until: number;
}

/** @throws HandlersBusy; the signal's reason; and what `work` throws */
export type HandlerSlots = <T>(work: () => Promise<T>, wait: SlotWait) => Promise<T>;

/**
 * Room for transactions that run handlers: half of the pool's connections. A handler may take seconds, and the rest of
 * the worker (what fetches, and what applies without handlers) must not wait for it.
 */
export function createHandlerSlots(pool: Pool): HandlerSlots {
  const limit = pLimit(Math.max(1, Math.floor((pool.options.max ?? 10) / 2)));
  return (work, { signal, until }) => {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      let isWaiting = true;
      const leave = (reason: unknown) => {
        isWaiting = false;
        reject(reason);
      };
      const giveUp = () => leave(signal.reason);
      const timer = setTimeout(() => leave(new HandlersBusy()), Math.max(0, until - performance.now()));
      signal.addEventListener('abort', giveUp, { once: true });
      void limit(async () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
        // A turn that nobody waits for any more costs nothing.
        if (isWaiting) await work().then(resolve, reject);
      });
    });
  };
}
