import type { Position } from '../src/domain/cursor.js';
import { StripeFailure } from '../src/domain/failures.js';
import type { ListAnswer, ListRequest } from '../src/domain/list-request.js';
import type { ActivityDeps } from './deps.js';
import { type EventPage, listEvents } from './event-pages.js';

export interface ReadList<Step> {
  readonly account: string;
  readonly source: 'poll' | 'rescan';
  readonly signal: AbortSignal;
  /** When the place of an event of that second was last read without it, as the step knows it. */
  readonly lookedAt: (step: Step, created: number) => number | null;
  /** Told before each request: how far the list has been read. */
  readonly onStep: (step: Step) => void;
  readonly onPage: (page: EventPage) => void;
}

/**
 * Does over HTTP what a read of the list asks for: each page goes into the inbox before the next is listed. Stripe's
 * failures are thrown, except where it does not know a position: that the read is to decide.
 */
export async function readList<Step extends { readonly request: ListRequest }, Result>(
  deps: ActivityDeps,
  read: Generator<Step, Result, ListAnswer>,
  input: ReadList<Step>,
): Promise<{ readonly result: Result; readonly lost: StripeFailure | null }> {
  let lost: StripeFailure | null = null;
  let next = read.next();
  while (!next.done) {
    const step = next.value;
    input.onStep(step);
    let answer: ListAnswer;
    try {
      const page = await listEvents(deps, {
        account: input.account,
        request: step.request,
        source: input.source,
        signal: input.signal,
        lookedAt: (created) => input.lookedAt(step, created),
      });
      input.onPage(page);
      answer = { ...page, listed: page.listed.map(positionOf), news: page.firstListed.length };
    } catch (error) {
      if (!(error instanceof StripeFailure && error.kind === 'cursor-lost')) throw error;
      lost = error;
      answer = 'lost';
    }
    next = read.next(answer);
  }
  return { result: next.value, lost };
}

function positionOf({ id, created }: Position): Position {
  return { id, created };
}
