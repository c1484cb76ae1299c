/** Lists a whole window of `created` once more, page by page from its newest event to its oldest. */
import type { Position } from './cursor.js';
import { StripeFailure } from './failures.js';
import type { ListAnswer, ListRequest } from './list-request.js';
import { noWayOn } from './pass.js';
import { PAGE } from './trail.js';

/** Both ends included, in whole seconds of Stripe's clock. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** How far a read of a window has come: where it goes on after a crash. */
export interface WindowProgress {
  /** The oldest event that was listed; null before the first. */
  readonly below: Position | null;
  readonly listed: number;
  readonly requests: number;
  readonly done: boolean;
}

export const WINDOW_BEGINS: WindowProgress = { below: null, listed: 0, requests: 0, done: false };

/**
 * Reads the window from where `progress` stands. It has no page cap, because only a whole window says that nothing
 * in it was missed. A position that Stripe does not know any more is passed by its time: the second that it lay in
 * is listed once more.
 *
 * @throws StripeFailure of kind `malformed` where a page says that there is more and shows no way on
 */
export function* readWindow(
  window: Window,
  progress: WindowProgress = WINDOW_BEGINS,
): Generator<{ request: ListRequest; progress: WindowProgress }, WindowProgress, ListAnswer> {
  let now = progress;
  let byTime: number | null = null;
  let lost: string | null = null;
  while (!now.done) {
    const below: string | null = byTime === null ? (now.below?.id ?? null) : null;
    const to = byTime ?? window.to;
    const request = { kind: 'window', from: window.from, to, below, limit: PAGE } as const;
    const answer = yield { request, progress: now };
    now = { ...now, requests: now.requests + 1 };
    if (answer === 'lost') {
      if (now.below === null || below === null) throw nowhere();
      // Lost twice, it is left with what remains of its second: Stripe shows no way through it.
      byTime = now.below.created - (lost === below ? 1 : 0);
      lost = below;
      now = { ...now, done: byTime < window.from };
      continue;
    }
    byTime = null;
    const oldest = answer.listed.at(-1);
    if (answer.hasMore && oldest === undefined) throw noWayOn('oldest');
    now = {
      ...now,
      below: oldest ?? now.below,
      listed: now.listed + answer.listed.length,
      done: !answer.hasMore,
    };
  }
  return now;
}

function nowhere(): StripeFailure {
  return new StripeFailure('malformed', {
    message:
      'Stripe says that it does not know a position in its events, and none was given; it is asked again.',
  });
}
