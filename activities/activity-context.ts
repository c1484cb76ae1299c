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
  /** Waits, or returns early where one of `until` aborts. Rejects with the activity's cancellation. */
  sleep(milliseconds: number, ...until: readonly AbortSignal[]): Promise<void>;
  /** What the next attempt finds, should this one be lost. */
  remember(details: unknown): void;
  /** The same with the next of the heartbeats that come anyway, each two seconds: for what changes often. */
  rememberSoon(details: unknown): void;
  readonly remembered: unknown;
}

/** What an attempt must know to end in time. Taken at its start. */
export interface AttemptTime {
  readonly signal: AbortSignal;
  /** From 1. */
  readonly attempt: number;
  /** Of `performance.now()`: when Temporal gives the attempt up. */
  readonly endsAt: number;
}

export function attemptTime(): AttemptTime {
  const { cancellationSignal: signal, info } = Context.current();
  return { signal, attempt: info.attempt, endsAt: performance.now() + info.startToCloseTimeoutMs };
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
      rememberSoon(next) {
        details = next;
      },
      sleep: (milliseconds, ...until) => sleep(milliseconds, signal, until),
    });
  } finally {
    clearInterval(timer);
  }
}

function sleep(milliseconds: number, cancelled: AbortSignal, until: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => () => {
      clearTimeout(timer);
      cancelled.removeEventListener('abort', cancel);
      for (const signal of until) signal.removeEventListener('abort', done);
      settle();
    };
    const done = end(resolve);
    const cancel = end(() => reject(new CancelledFailure('the activity was cancelled')));
    const timer = setTimeout(done, Math.max(0, milliseconds));
    cancelled.addEventListener('abort', cancel);
    for (const signal of until) signal.addEventListener('abort', done);
    if (cancelled.aborted) cancel();
    else if (until.some((signal) => signal.aborted)) done();
  });
}
