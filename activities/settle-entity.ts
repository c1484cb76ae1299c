import type { PoolClient } from 'pg';
import { addOutcomes, NO_OUTCOMES, type OutcomeTally } from '../src/domain/account-state.js';
import { StripeFailure } from '../src/domain/failures.js';
import { type CurrentRow, planRead } from '../src/domain/ordering.js';
import { standing } from '../src/domain/version.js';
import { lockEntity } from '../src/postgres/entity-lock.js';
import { changingTransaction } from '../src/postgres/number-changes.js';
import { readPending } from '../src/postgres/read-pending.js';
import { digestOf, readRow } from '../src/postgres/read-row.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { settleEvents } from '../src/postgres/settle-events.js';
import { writeReadRow, writeTombstone } from '../src/postgres/write-row.js';
import { tableOf } from '../src/stripe/catalog.js';
import { type AttemptTime, attemptTime, heartbeating } from './activity-context.js';
import { applyWithin } from './apply-changes.js';
import { decidingAnew, RowChanged } from './deciding-anew.js';
import type { ActivityDeps } from './deps.js';
import { currentRow, type EntityKey } from './entity-traits.js';
import { notingFailures } from './noting-failures.js';
import { NotReadable, type Read, retrieveObject } from './retrieve-object.js';
import { handlersUntil, runHandlers, StepFailed, withHandlerRoom } from './run-handlers.js';
import type { StripeClock } from './stripe-clock.js';

export interface SettleInput extends EntityKey {
  /** Changes that wait for a read; none where a listing asks for it. */
  readonly ids: readonly string[];
  /** The read must lie wholly after this second of Stripe's clock. */
  readonly after: number;
  readonly apiVersion: string | null;
  /** Attempts after which what PostgreSQL or a handler refuses is final. */
  readonly patience?: number;
}

/**
 * A read's interval begins one second before the second in which the request was sent, and that is the one before
 * its `Date` as a rule. So a read lies wholly after second `s` from `s + 3` on.
 */
const SECONDS_PAST = 3;

/**
 * Reads end well before the attempt does, however far off Stripe's clock seems to be, so that what is wrong is told:
 * after so many, or when two thirds of the time are over.
 */
const MOST_READS = 10;
const MOST_OF_THE_TIME = 2 / 3;

export interface SettleResult extends OutcomeTally {
  /** Set where handlers took so long that changes are left over: they are for the next read. */
  readonly more?: true;
}

/**
 * Reads an object until a read lies wholly after the changes in question, and stores what it finds under the
 * version guard. One read as a rule: it waits until Stripe's clock is past that second.
 */
export function settleEntity(deps: ActivityDeps, clock: StripeClock) {
  return (input: SettleInput): Promise<SettleResult> =>
    heartbeating(({ sleep }) => {
      const time = attemptTime();
      return notingFailures(deps, input, time.attempt, async () => {
        const { signal } = time;
        const began = performance.now();
        const readsEnd = began + Math.min(MOST_READS_MS, (time.endsAt - began) * MOST_OF_THE_TIME);
        let tally = NO_OUTCOMES;
        let after: number | null = input.after;
        let reads = 0;
        try {
          for (;;) {
            if (reads >= MOST_READS || performance.now() >= readsEnd) throw neverPassed(input);
            const ready: number = (after + SECONDS_PAST + 0.1 - clock.now(input.account)) * 1000;
            await sleep(Math.min(MOST_WAIT_MS, ready, readsEnd - performance.now()));
            reads += 1;
            const read = await retrieveObject(deps, input, { apiVersion: input.apiVersion, signal });
            const stored = await withHandlerRoom(deps, input, time, () =>
              storeRead(deps, { ...input, after: after ?? 0 }, read, time),
            );
            tally = addOutcomes(tally, stored.tally);
            if (stored.more) return { ...tally, more: true };
            after = stored.after ?? (read.version.asOf > after ? null : after);
            if (after === null) return tally;
            if (reads > 1) await sleep(500);
          }
        } catch (error) {
          if (!(error instanceof NotReadable) || input.ids.length === 0) throw error;
          const known = { ...input, hydrate: 'payload', readable: false } as const;
          const applied = await applyWithin(deps, known, time);
          return { ...addOutcomes(tally, applied.tally), ...(applied.more && { more: true }) };
        } finally {
          await recordReads(deps.pool, input.account, reads);
        }
      });
    });
}

function neverPassed({ object, after }: SettleInput): StripeFailure {
  return new StripeFailure('malformed', {
    message: `Stripe's answers to reads of this ${object} never get past second ${after} of its clock: their Date stands still or lies far back.`,
  });
}

/**
 * Whether a read and the row differ, speak of the same seconds, and nothing says which of them is newer: a page of a
 * listing came between, say, and shows what the read found gone. A read that lies wholly after the row tells.
 */
async function isInDoubt(client: PoolClient, row: CurrentRow, read: Read): Promise<boolean> {
  if (standing(read.version, row) !== 'overlapping') return false;
  if (read.found === 'gone') return !row.deleted;
  if (row.deleted) return true;
  return row.sourceKind === null && (await digestOf(client, read.data)) !== row.digest;
}

/** A clock that is far off delays a read, but not for ever. */
const MOST_WAIT_MS = 10_000;

/** An attempt that waits for a far-off second tells so after this time. */
const MOST_READS_MS = 120_000;

interface Stored {
  readonly tally: OutcomeTally;
  readonly after: number | null;
  readonly more: boolean;
}

/** Where a handler fails, the changes before its own are settled without it. */
async function storeRead(
  deps: ActivityDeps,
  input: SettleInput,
  read: Read,
  time: AttemptTime,
): Promise<Stored> {
  try {
    return await decidingAnew(() => storeOnce(deps, input, read, { time }));
  } catch (error) {
    const isTimeLeft = performance.now() < handlersUntil(time);
    if (error instanceof StepFailed && error.before.length > 0 && isTimeLeft) {
      const only = new Set(error.before);
      await decidingAnew(() => storeOnce(deps, input, read, { time, only }));
    }
    throw error;
  }
}

/** @param only the changes that are settled, where not all of them may be; the others play their part in the plan */
function storeOnce(
  deps: ActivityDeps,
  input: SettleInput,
  read: Read,
  { time, only }: { readonly time: AttemptTime; readonly only?: ReadonlySet<string> },
): Promise<Stored> {
  const { account, object, objectId } = input;
  const table = tableOf(object);
  const work = async (client: PoolClient): Promise<Stored> => {
    await lockEntity(client, input);
    const pending = await readPending(client, account, input.ids);
    const row = currentRow(await readRow(client, table, account, objectId), object);
    if (row !== null && (await isInDoubt(client, row, read)))
      return { tally: NO_OUTCOMES, after: Math.max(input.after, row.asOfUntil), more: false };
    const plan = planRead(row, read.version, pending, input.after);
    if (plan.store) {
      const write = {
        account,
        object,
        id: objectId,
        ...read.version,
        deleted: read.found === 'gone',
        source: read.source,
        eventId: null,
        replaces: row,
      };
      const written =
        read.found === 'gone'
          ? await writeTombstone(client, table, write)
          : await writeReadRow(client, table, { ...write, data: read.data });
      // A page of a backfill came between the look at the row and the write: decide anew.
      // A tombstone without a row is another matter: there is no state to mark.
      if (!written && (await readRow(client, table, account, objectId)) !== null) throw new RowChanged();
    }
    const steps = plan.steps.filter(({ id }) => only?.has(id) ?? true);
    const done = await runHandlers(deps, client, input, { steps, pending, time });
    const outcome = plan.store ? 'fetched' : 'stale';
    const settled = await settleEvents(client, { account, ids: [...done], outcome });
    const tally = { ...NO_OUTCOMES, [outcome]: settled };
    return { tally, after: plan.after, more: done.size < steps.length };
  };
  return changingTransaction(deps.pool, work, time.signal);
}
