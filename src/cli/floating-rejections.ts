import type { Logger } from 'pino';

/**
 * A handler that does not await a promise leaves its failure to nobody, and Node ends a process for that: one
 * user's slip would take down the worker of all accounts, over and over. It is told in the log instead, without
 * the failure's words, which may quote data.
 *
 * @returns what restores Node's own way
 */
export function keepRunningOnFloatingRejections(log: Logger): () => void {
  const tell = (reason: unknown) => {
    const error =
      reason instanceof Error && /^[A-Za-z]{1,40}$/.test(reason.name) ? reason.name : typeof reason;
    log.error({ error }, 'a promise failed that nobody awaits: look for a missing await in the handlers');
  };
  process.on('unhandledRejection', tell);
  return () => void process.off('unhandledRejection', tell);
}
