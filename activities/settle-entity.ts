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
import type { ActivityDeps } from './deps.js';
import { currentRow, type EntityKey } from './entity-traits.js';
import { type Read, retrieveObject } from './retrieve-object.js';
import type { StripeClock } from './stripe-clock.js';

export interface SettleInput extends EntityKey {
  /** Changes that wait for a read; none where a listing asks for it. */
  readonly ids: readonly string[];
  /** The read must lie wholly after this second of Stripe's clock. */
  readonly after: number;
  /** Read at once as well, so that the row is fresh before it is proven. */
  readonly atOnce: boolean;
  readonly apiVersion: string | null;
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
    heartbeating(async ({ signal, sleep }) => {
      let tally = NO_OUTCOMES;
      let after: number | null = input.after;
      let reads = 0;
      try {
        for (;;) {
          if (reads > 0 || !input.atOnce) {
            const ready = after + SECONDS_PAST + 0.1;
            await sleep(Math.min(MOST_WAIT_MS, (ready - clock.now(input.account)) * 1000));
          }
          reads += 1;
          const read = await retrieveObject(deps, input, { apiVersion: input.apiVersion, signal });
          const stored = await storeRead(deps, input, read);
          tally = addOutcomes(tally, stored.tally);
          after = stored.after ?? (read.version.asOf > after ? null : after);
          if (after === null) return tally;
          if (reads >= MOST_READS)
            throw new Error('Stripe answers with reads that never pass the changes in question');
          if (reads > 1) await sleep(500);
        }
      } finally {
        await recordReads(deps.pool, input.account, reads);
      }
    });
}

/** A clock that is far off delays a read, but not for ever. */
const MOST_WAIT_MS = 10_000;

async function storeRead(
  deps: ActivityDeps,
  input: SettleInput,
  read: Read,
): Promise<{ tally: OutcomeTally; after: number | null }> {
  const { account, object, objectId } = input;
  const table = tableOf(object);
  return transaction(deps.pool, async (client) => {
    await lockEntity(client, input);
    const pending = await readPending(client, account, input.ids);
    const row = currentRow(await readRow(client, table, account, objectId));
    const plan = planRead(row, read.version, pending);
    if (plan.store) {
      const write = {
        account,
        id: objectId,
        ...read.version,
        deleted: read.found === 'gone',
        source: read.source,
        replaces: row,
      };
      const written =
        read.found === 'gone'
          ? await writeTombstone(client, table, object, write)
          : await writeReadRow(client, table, { ...write, data: read.data });
      // A page of a backfill came between the look at the row and the write: look again with the next read.
      // A tombstone without a row is another matter: there is no state to mark.
      if (!written && (await readRow(client, table, account, objectId)) !== null) {
        return { tally: NO_OUTCOMES, after: read.version.asOfUntil };
      }
    }
    const outcome = plan.store ? 'fetched' : 'stale';
    const settled = await settleEvents(client, { account, ids: plan.settled, outcome });
    return { tally: { ...NO_OUTCOMES, [outcome]: settled }, after: plan.after };
  });
}
