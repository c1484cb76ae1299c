import { setTimeout as delay } from 'node:timers/promises';
import { CancelledFailure, Context } from '@temporalio/activity';

/**
 * The running activity, as its body needs it. The cancellation signal is taken once, at the start: asking for
 * it inside an abort listener crashes the worker.
 */
export interface RunningActivity {
  readonly signal: AbortSignal;
  /** The same over all attempts: workflow, run and activity. */
  readonly id: string;
  readonly attempt: number;
  /** Waits, and rejects with the activity's cancellation. */
  sleep(milliseconds: number): Promise<void>;
  /** What the next attempt finds, should this one be lost. */
  remember(details: unknown): void;
  readonly remembered: unknown;
}

const HEARTBEAT_MS = 2_000;

/** Runs `body` while a timer heartbeats, so that a slow request does not look like a dead worker. */
export async function heartbeating<T>(body: (activity: RunningActivity) => Promise<T>): Promise<T> {
  const context = Context.current();
  const { workflowExecution, activityId, attempt, heartbeatDetails } = context.info;
  const signal = context.cancellationSignal;
  let details: unknown = heartbeatDetails;
  const timer = setInterval(() => context.heartbeat(details), HEARTBEAT_MS);
  try {
    return await body({
      signal,
      id: `${workflowExecution?.workflowId}/${workflowExecution?.runId}/${activityId}`,
      attempt,
      remembered: heartbeatDetails,
      remember(next) {
        details = next;
        context.heartbeat(next);
      },
      async sleep(milliseconds) {
        try {
          await delay(Math.max(0, milliseconds), undefined, { signal });
        } catch {
          throw new CancelledFailure('the activity was cancelled');
        }
      },
    });
  } finally {
    clearInterval(timer);
  }
}
