import { StripeFailure } from '../src/domain/failures.js';
import { readWindow, WINDOW_BEGINS, type Window, type WindowProgress } from '../src/domain/window.js';
import { compareEventPage } from '../src/postgres/audit-event-page.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { heartbeating } from './activity-context.js';
import { unhurried } from './audit-request.js';
import type { ActivityDeps } from './deps.js';
import { askForEvents } from './event-pages.js';
import { inBulk } from './in-bulk.js';

export interface AuditEventsInput {
  readonly account: string;
  readonly number: number;
  readonly window: Window;
  readonly from: AuditEventsState | null;
  /** Differences that are kept at most. */
  readonly bound: number;
  /** How long to list before reporting, in seconds. */
  readonly seconds: number;
}

export interface AuditEventsState {
  readonly window: WindowProgress;
  readonly stored: number;
  /** Differences beyond the bound. */
  readonly overflow: number;
}

/**
 * Compares the events that Stripe lists of the window with the ledger, page by page, for a while. Nothing is inserted.
 * Its position is in the heartbeat, so an attempt goes on where the lost one was.
 */
export function auditEvents(deps: ActivityDeps) {
  return (input: AuditEventsInput): Promise<AuditEventsState> =>
    heartbeating(async (activity) => {
      const { account, number, bound } = input;
      const end = Date.now() + input.seconds * 1000;
      let state = (activity.remembered as AuditEventsState | undefined) ?? input.from ?? BEGINS;
      const before = state.window.requests;
      const bulk = inBulk(deps);
      const read = readWindow(input.window, state.window);
      try {
        let next = read.next();
        while (!next.done) {
          const { request, progress } = next.value;
          state = { ...state, window: progress };
          activity.remember(state);
          if (progress.requests > before && (deps.stopping.aborted || Date.now() >= end)) return state;
          try {
            const page = await unhurried(activity, () =>
              askForEvents(bulk, { account, request, signal: activity.signal }),
            );
            const compared = await compareEventPage(deps.pool, {
              account,
              number,
              events: page.answer.events.map(eventOf),
              shownAt: page.seenAt,
              room: bound - state.stored,
            });
            state = {
              ...state,
              stored: state.stored + compared.stored,
              overflow: state.overflow + compared.overflow,
            };
            next = read.next({ ...page, news: 0 });
          } catch (error) {
            if (!(error instanceof StripeFailure && error.kind === 'cursor-lost')) throw error;
            next = read.next('lost');
          }
        }
        return { ...state, window: next.value };
      } finally {
        await recordReads(deps.pool, account, state.window.requests - before);
      }
    });
}

const BEGINS: AuditEventsState = { window: WINDOW_BEGINS, stored: 0, overflow: 0 };

function eventOf(event: { readonly id: string; readonly created: number; readonly type?: unknown }) {
  return { id: event.id, created: event.created, type: typeof event.type === 'string' ? event.type : '' };
}
