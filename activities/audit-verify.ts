import { isExplained, judge } from '../src/domain/audit.js';
import { StripeFailure } from '../src/domain/failures.js';
import {
  type Candidate,
  forgetCandidates,
  markCandidates,
  noteRead,
  noteUnreadable,
  readCandidates,
  readDueLook,
} from '../src/postgres/audit-candidates.js';
import { lookAtEvents } from '../src/postgres/audit-event-page.js';
import { isRefusedData, postgresErrorSummary } from '../src/postgres/errors.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { tableOf } from '../src/stripe/catalog.js';
import { heartbeating, type RunningActivity } from './activity-context.js';
import { eachAtOnce, isLeftOut, unhurried } from './audit-request.js';
import type { ActivityDeps } from './deps.js';
import { inBulk } from './in-bulk.js';
import { NotReadable, retrieveObject } from './retrieve-object.js';
import type { StripeClock } from './stripe-clock.js';

export interface VerifyAuditInput {
  readonly account: string;
  readonly number: number;
  /** So long after Stripe showed an object, its changes should have arrived; in seconds. */
  readonly lagSeconds: number;
  readonly apiVersion: string | null;
  /** Types of which too much differs to be read one by one. */
  readonly tooMany: readonly string[];
  /** How long to go on before reporting, in seconds. */
  readonly seconds: number;
}

export interface VerifyAuditResult {
  /** Candidates that are neither explained nor certain. */
  readonly open: number;
  readonly reads: number;
}

/** One look against what the list showed, and three against what a read showed. */
const LOOKS = 4;
export const READS_AT_ONCE = 8;
/** A lag of seconds is told in whole ones, and Stripe's clock as well. */
const MARGIN_SECONDS = 1;
/** A clock that is far off delays a look, but not for ever. */
const MOST_WAIT_BEYOND_LAG = 15;
/** Attempts after which an object that cannot be read holds up the others no longer. */
const PATIENCE = 4;

/**
 * Makes sure of what looked different: its row is looked at again once Stripe's clock has passed the second in which
 * Stripe showed the object by the lag, and it is read by itself. What is equal then, or has moved on, was a change on
 * its way. All that is known is in PostgreSQL, so an attempt goes on where the lost one was.
 */
export function verifyAudit(deps: ActivityDeps, clock: StripeClock) {
  return (input: VerifyAuditInput): Promise<VerifyAuditResult> =>
    heartbeating(async (activity) => {
      const { account, number, lagSeconds } = input;
      const of = { account, number };
      const end = Date.now() + input.seconds * 1000;
      let reads = 0;
      try {
        for (;;) {
          const due = await readDueLook(deps.pool, of);
          if (due === null) return { open: 0, reads };
          if (deps.stopping.aborted || Date.now() >= end) return { open: due.open, reads };
          const wait = due.seenAt + lagSeconds + MARGIN_SECONDS - clock.now(account);
          await activity.sleep(1000 * Math.min(wait, lagSeconds + MOST_WAIT_BEYOND_LAG));
          for (const object of due.objects) {
            const last = due.looks >= LOOKS - 1;
            if (object === 'event')
              await lookAtEvents(deps.pool, of, { looks: due.looks, last, at: clock.now(account) });
            else reads += await lookAt(deps, clock, input, activity, { object, looks: due.looks, last });
          }
        }
      } finally {
        await recordReads(deps.pool, account, reads);
      }
    });
}

/** One look at the candidates of a type. Returns how many were read. */
async function lookAt(
  deps: ActivityDeps,
  clock: StripeClock,
  input: VerifyAuditInput,
  activity: RunningActivity,
  { object, looks, last }: { readonly object: string; readonly looks: number; readonly last: boolean },
): Promise<number> {
  const { account, number } = input;
  const of = { account, number, object, table: tableOf(object) };
  const candidates = await readCandidates(deps.pool, of, { state: 'open', looks });
  const stripeNow = clock.now(account);
  const explained: string[] = [];
  const kept: string[] = [];
  const unread: Candidate[] = [];
  for (const candidate of candidates) {
    const comparison = { ...candidate, stripeNow };
    const judgement = judge(comparison);
    if (judgement === 'explained' || (last && isExplained(comparison))) explained.push(candidate.id);
    else if (judgement === 'keep' || last) kept.push(candidate.id);
    else unread.push(candidate);
  }
  await forgetCandidates(deps.pool, of, explained);
  if (input.tooMany.includes(object)) {
    const ids = [...kept, ...unread.map(({ id }) => id)];
    await markCandidates(deps.pool, of, ids, 'unverified', {
      note: 'too much differs to read it one by one',
    });
    return 0;
  }
  await markCandidates(deps.pool, of, kept, last ? 'differs' : 'open', { at: stripeNow });
  await eachAtOnce(unread, READS_AT_ONCE, (candidate) =>
    readAgain(deps, { ...of, apiVersion: input.apiVersion }, activity, candidate),
  );
  return unread.length;
}

export interface ReadAgain {
  readonly account: string;
  readonly number: number;
  readonly object: string;
  readonly table: string;
  readonly apiVersion: string | null;
}

/** Reads one candidate and compares it with its row as it is after the read. */
async function readAgain(
  deps: ActivityDeps,
  of: ReadAgain,
  activity: RunningActivity,
  { id, kind, shown }: Candidate,
): Promise<void> {
  try {
    if (await readAndCompare(deps, of, activity, id)) await forgetCandidates(deps.pool, of, [id]);
  } catch (error) {
    const refusal = isRefusedData(error) ? postgresErrorSummary(error) : null;
    if (refusal !== null) return markCandidates(deps.pool, of, [id], 'unverified', { note: refusal });
    if (!(error instanceof StripeFailure)) throw error;
    if (error instanceof NotReadable) {
      // Nothing can be said of a row whose object has no address: that the list leaves it out proves nothing.
      if (kind === 'extra') await forgetCandidates(deps.pool, of, [id]);
      else if (shown !== null) await noteUnreadable(deps.pool, of, id, 'as the list showed it');
      else await markCandidates(deps.pool, of, [id], 'unverified', { note: error.message });
      return;
    }
    const isHopeless = error.kind === 'transient' || error.kind === 'malformed';
    if (!isLeftOut(error) && !(isHopeless && activity.attempt >= PATIENCE)) throw error;
    await markCandidates(deps.pool, of, [id], 'unverified', { note: error.message });
  }
}

/** Reads an object and keeps the read where its row differs. Returns whether they are equal. */
export async function readAndCompare(
  deps: ActivityDeps,
  of: ReadAgain,
  activity: Pick<RunningActivity, 'signal' | 'sleep'>,
  id: string,
): Promise<boolean> {
  const { account, object, apiVersion } = of;
  const { signal } = activity;
  const read = await unhurried(activity, () =>
    retrieveObject(inBulk(deps), { account, object, objectId: id }, { apiVersion, signal }),
  );
  const { found, version } = read;
  return noteRead(deps.pool, {
    ...of,
    id,
    found,
    data: read.found === 'object' ? read.data : null,
    ...version,
  });
}
