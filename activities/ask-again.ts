import { StripeFailure } from '../src/domain/failures.js';

/** A request that fails is made again after so many milliseconds. */
const AGAIN_AFTER_MS = [500, 1_000, 2_000, 4_000];
const WORTH_ANOTHER = new Set(['transient', 'malformed', 'rate-limited']);

export interface Again {
  /** How often it is asked again, at most. */
  readonly times: number;
  /** Resolves after the wait, and says whether it is still worth another request. */
  readonly wait: (ms: number) => Promise<boolean>;
}

/**
 * Asks Stripe, and asks again a few times where that may help.
 *
 * @throws the last failure
 */
export async function askAgain<T>(ask: () => Promise<T>, { times, wait }: Again): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof StripeFailure) || !WORTH_ANOTHER.has(error.kind)) throw error;
      const pause = attempt < times ? AGAIN_AFTER_MS[attempt] : undefined;
      if (pause === undefined || !(await wait(Math.max(pause, error.retryAfterMs ?? 0)))) throw error;
    }
  }
}

/** As `askAgain`, for a page below a cursor: Stripe may not know what the cursor names any more. */
export async function askBelow<T>(
  cursor: string | null,
  ask: () => Promise<T>,
  again: Again,
): Promise<T | 'lost cursor'> {
  try {
    return await askAgain(ask, again);
  } catch (error) {
    if (error instanceof StripeFailure && error.kind === 'cursor-lost' && cursor !== null)
      return 'lost cursor';
    throw error;
  }
}
