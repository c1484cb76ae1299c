import type { PoolClient } from 'pg';
import { addOutcomes, NO_OUTCOMES, type OutcomeTally } from '../src/domain/account-state.js';
import { planRead } from '../src/domain/ordering.js';
import { lockEntity } from '../src/postgres/entity-lock.js';
import { transaction } from '../src/postgres/pool.js';
import { readPending } from '../src/postgres/read-pending.js';
import { readRow } from '../src/postgres/read-row.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { settleEvents } from '../src/postgres/settle-events.js';
import { writeReadRow, writeTombstone } from '../src/postgres/write-row.js';
import { tableOf } from '../src/stripe/catalog.js';
import { heartbeating } from './activity-context.js';
import { applyChanges } from './apply-changes.js';
import type { ActivityDeps } from './deps.js';
import { currentRow, type EntityKey } from './entity-traits.js';
import { notingFailures } from './noting-failures.js';
import { NotReadable, type Read, retrieveObject } from './retrieve-object.js';
import { runHandlers, StepFailed } from './run-handlers.js';
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
const MOST_READS = 20;

/**
 * Reads an object until a read lies wholly after the changes in question, and stores what it finds under the
 * version guard. One read as a rule: it waits until Stripe's clock is past that second.
 */
export function settleEntity(deps: ActivityDeps, clock: StripeClock) {
  return (input: SettleInput): Promise<OutcomeTally> =>
    heartbeating(({ signal, sleep }) =>
      notingFailures(deps, input, async () => {
        let tally = NO_OUTCOMES;
        let after: number | null = input.after;
        let reads = 0;
        try {
          for (;;) {
            const ready: number = after + SECONDS_PAST + 0.1;
            await sleep(Math.min(MOST_WAIT_MS, (ready - clock.now(input.account)) * 1000));
            reads += 1;
            const read = await retrieveObject(deps, input, { apiVersion: input.apiVersion, signal });
            const stored = await storeRead(deps, input, read, signal);
            tally = addOutcomes(tally, stored.tally);
            after = stored.after ?? (read.version.asOf > after ? null : after);
            if (after === null) return tally;
            if (reads >= MOST_READS)
              throw new Error('Stripe answers with reads that never pass the changes in question');
            if (reads > 1) await sleep(500);
          }
        } catch (error) {
          if (!(error instanceof NotReadable) || input.ids.length === 0) throw error;
          const applied = await applyChanges(deps)({ ...input, hydrate: 'payload', readable: false });
          return addOutcomes(tally, applied.tally);
        } finally {
          await recordReads(deps.pool, input.account, reads);
        }
      }),
    );
}

/** A clock that is far off delays a read, but not for ever. */
const MOST_WAIT_MS = 10_000;

interface Stored {
  readonly tally: OutcomeTally;
  readonly after: number | null;
}

async function storeRead(
  deps: ActivityDeps,
  input: SettleInput,
  read: Read,
  signal: AbortSignal,
): Promise<Stored> {
  try {
    return await storeOnce(deps, input, read, signal);
  } catch (error) {
    if (error instanceof StepFailed && error.before.length > 0)
      await storeOnce(deps, { ...input, ids: error.before }, read, signal);
    throw error;
  }
}

function storeOnce(deps: ActivityDeps, input: SettleInput, read: Read, signal: AbortSignal): Promise<Stored> {
  const { account, object, objectId } = input;
  const table = tableOf(object);
  const work = async (client: PoolClient): Promise<Stored> => {
    await lockEntity(client, input);
    const pending = await readPending(client, account, input.ids);
    const row = currentRow(await readRow(client, table, account, objectId), object);
    const plan = planRead(row, read.version, pending);
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
      // A page of a backfill came between the look at the row and the write: look again with the next read.
      // A tombstone without a row is another matter: there is no state to mark.
      if (!written && (await readRow(client, table, account, objectId)) !== null) {
        return { tally: NO_OUTCOMES, after: read.version.asOfUntil };
      }
    }
    await runHandlers(deps, client, input, { steps: plan.steps, pending, signal });
    const outcome = plan.store ? 'fetched' : 'stale';
    const settled = await settleEvents(client, { account, ids: plan.settled, outcome });
    return { tally: { ...NO_OUTCOMES, [outcome]: settled }, after: plan.after };
  };
  return transaction(deps.pool, work, signal);
}
