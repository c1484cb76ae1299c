/** Compares Stripe with the tables and the ledger, makes sure of what differs, and heals it when asked. */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { AuditEventsState } from '../activities/audit-events.js';
import type { AuditTypeState } from '../activities/audit-type.js';
import type { AuditedType, AuditSummary, FinishAuditInput } from '../activities/finish-audit.js';
import { FIRST_SLICE_SECONDS, nextSliceSeconds } from '../src/domain/audit.js';
import { type AuditProgress, auditProgressQuery, auditProgressText } from './audit-progress.js';
import { auditEvents, auditType, beginAudit, finishAudit, healAudit, verifyAudit } from './proxies.js';

/** Every field but the account may be left out, so that a schedule's arguments stay as they are. */
export interface AuditInput {
  readonly account: string;
  /** How far back events are compared, from Stripe's present; a day unless told. */
  readonly sinceSeconds?: number;
  /** Stripe object names; all that have a list of their own where null. */
  readonly types?: readonly string[] | null;
  readonly heal?: boolean;
  /** Types that are listed at a time. */
  readonly concurrency?: number;
  /** Differences of a type beyond which they are not read one by one. */
  readonly bound?: number;
  /** So long after Stripe showed an object, its changes should have arrived; the account's own lag unless told. */
  readonly lagSeconds?: number;
  /** Attempts of a step after which a type is given up. */
  readonly attempts?: number;
}

const DEFAULTS = {
  sinceSeconds: 86_400,
  types: null,
  heal: false,
  concurrency: 4,
  bound: 10_000,
  attempts: 8,
} as const;
/** For an account that has no lag of its own yet. */
const LAG_SECONDS = 5;

export async function audit(input: AuditInput): Promise<AuditSummary> {
  const { account, sinceSeconds, types, heal, concurrency, bound, attempts } = { ...DEFAULTS, ...input };
  const { runId } = workflowInfo();
  const audited = new Map<string, AuditedType>();
  const compared = new Map<string, number>();
  let events: FinishAuditInput['events'] = { listed: 0, overflow: 0, notCompared: null };
  let progress: AuditProgress = {
    number: null,
    phase: 'begins',
    types: 0,
    typesDone: 0,
    events: 0,
    objects: 0,
    open: null,
    underWay: [],
  };
  setHandler(auditProgressQuery, () => progress);

  const plan = await beginAudit.executeWithOptions({ summary: 'which window and types to compare' }, [
    { account, run: runId, sinceSeconds, types, heal },
  ]);
  const { number, apiVersion } = plan;
  note({ number, types: plan.types.length, phase: 'comparing' });
  try {
    await compareAll();
    await verify();
    if (heal) await healAll();
    const summary = await finish('done', null);
    note({ phase: 'ended', open: 0 });
    return summary;
  } catch (error) {
    const state = isCancellation(error) ? 'cancelled' : 'failed';
    await CancellationScope.nonCancellable(() => finish(state, state === 'failed' ? reasonOf(error) : null));
    throw error;
  }

  async function compareAll(): Promise<void> {
    const left = plan.types.values();
    const walker = async () => {
      for (const object of left) await compareType(object);
    };
    await Promise.all([compareEvents(), ...Array.from({ length: concurrency }, walker)]);
  }

  async function compareEvents(): Promise<void> {
    const window = { from: plan.from, to: plan.to };
    let from: AuditEventsState | null = null;
    try {
      await inSlices(async (seconds) => {
        const summary = `compare events${from === null ? '' : ` after ${from.window.listed}`}`;
        from = await auditEvents.executeWithOptions({ summary, retry: { maximumAttempts: attempts } }, [
          { account, number, window, from, bound, seconds },
        ]);
        events = { listed: from.window.listed, overflow: from.overflow, notCompared: null };
        note({ events: events.listed });
        return from.window.done;
      });
    } catch (error) {
      if (isCancellation(error)) throw error;
      events = { ...events, notCompared: reasonOf(error) };
    }
  }

  async function compareType(object: string): Promise<void> {
    let from: AuditTypeState | null = null;
    const walks = types !== null;
    const ended = (state: AuditTypeState | null, reason: string | null, leftOutByStripe: boolean) =>
      audited.set(object, {
        object,
        compared: state?.compared ?? 0,
        requests: state?.requests ?? 0,
        overflow: state?.overflow ?? 0,
        extraChecked: state?.extraChecked ?? false,
        notCompared: reason,
        leftOutByStripe,
      });
    compared.set(object, 0);
    tell();
    try {
      await inSlices(async (seconds) => {
        const summary = `compare ${object}${from === null ? '' : ` after ${from.compared}`}`;
        from = await auditType.executeWithOptions({ summary, retry: { maximumAttempts: attempts } }, [
          { account, number, object, walks, apiVersion, bound, from, seconds },
        ]);
        compared.set(object, from.compared);
        tell();
        if (from.done) ended(from, from.skipped, from.skipped !== null);
        return from.done;
      });
    } catch (error) {
      if (isCancellation(error)) throw error;
      ended(from, reasonOf(error), false);
    }
    tell();
  }

  /** What differs is only suspected until here. */
  async function verify(): Promise<void> {
    note({ phase: 'verifying', underWay: [] });
    const lagSeconds = input.lagSeconds ?? plan.lagSeconds ?? LAG_SECONDS;
    const tooMany = [...audited.values()].filter(({ overflow }) => overflow > 0).map(({ object }) => object);
    await inSlices(async (seconds) => {
      const { open } = await verifyAudit.executeWithOptions(
        { summary: 'make sure of what looks different', retry: { maximumAttempts: attempts } },
        [{ account, number, lagSeconds, apiVersion, tooMany, seconds }],
      );
      note({ open });
      return open === 0;
    });
  }

  async function healAll(): Promise<void> {
    note({ phase: 'healing' });
    await inSlices(async (seconds) => {
      const { done } = await healAudit.executeWithOptions(
        { summary: 'heal what differs', retry: { maximumAttempts: attempts } },
        [{ account, number, apiVersion, seconds }],
      );
      return done;
    });
  }

  function finish(state: FinishAuditInput['state'], reason: string | null): Promise<AuditSummary> {
    return finishAudit.executeWithOptions({ summary: 'add up what was found' }, [
      {
        account,
        number,
        types: plan.types.flatMap((object) => audited.get(object) ?? []),
        leftOut: plan.leftOut,
        events,
        named: types !== null,
        state,
        reason,
      },
    ]);
  }

  function tell(): void {
    note({
      typesDone: audited.size,
      objects: [...compared.values()].reduce((sum, count) => sum + count, 0),
      underWay: [...compared.keys()].filter((object) => !audited.has(object)),
    });
  }

  function note(change: Partial<AuditProgress>): void {
    progress = { ...progress, ...change };
    setCurrentDetails(`### Audit of ${account}\n\n${auditProgressText(progress)}`);
  }
}

/** Runs a step again and again, each time for longer, until it says that it is done. */
async function inSlices(step: (seconds: number) => Promise<boolean>): Promise<void> {
  for (let seconds = FIRST_SLICE_SECONDS; !(await step(seconds)); seconds = nextSliceSeconds(seconds));
}

function reasonOf(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure ? (cause.message ?? 'it failed') : 'it failed';
}
