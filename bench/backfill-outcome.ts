/** What became of a backfill: how it went, and whether the tables equal what Stripe has. */
import type { Pool } from 'pg';
import { readOutcomes } from '../src/postgres/read-outcomes.js';
import { compareTruth, type Difference, type TrueObjects } from '../src/sandbox/compare-truth.js';
import type { ServedPages, TrueEvent, TrueObject } from '../src/sandbox/simulator/index.js';
import { until, type World } from './backfill-world.js';

export interface ListedType {
  readonly object: string;
  readonly rows: number;
  readonly requests: number;
  /** Seconds of the machine's clock. */
  readonly startedAt: number;
  readonly endedAt: number;
}

const READ_BACKFILL = `
select l.object, l.outcome, l.reason, l.rows::float8 as rows, l.requests::float8 as requests,
  extract(epoch from l.started_at)::float8 as "startedAt", extract(epoch from l.ended_at)::float8 as "endedAt"
from stripe_sync.backfills b join stripe_sync.listings l using (account, number)
where b.account = $1 and b.number = 1 and b.outcome is not null
order by l.object`;

interface BackfillRow extends ListedType {
  readonly outcome: string | null;
  readonly reason: string | null;
}

/** Waits until the account's first backfill is over, and returns what it listed. Throws where a type was not listed. */
export function backfillEnded({ pool, signal }: World, account: string): Promise<ListedType[]> {
  return until(signal, 100, async () => {
    const { rows } = await pool.query<BackfillRow>(READ_BACKFILL, [account]);
    if (rows.length === 0) return null;
    return rows.map(({ outcome, reason, ...listed }) => {
      if (outcome === 'done') return listed;
      throw new Error(`${listed.object} was not listed (${outcome}): ${reason ?? 'no reason given'}`);
    });
  });
}

/** Pages that were listed more than once, and objects on them, as shares of what one pass over all would take. */
export interface Repeated {
  readonly pages: number;
  readonly pagesShare: number;
  readonly objects: number;
  readonly objectsShare: number;
}

export function repeatedOf(served: ServedPages | undefined): Repeated {
  if (served === undefined) throw new Error('The simulator served no page of this list.');
  const pages = served.pages - served.differentPages;
  const objects = served.objects - served.differentObjects;
  return {
    pages,
    pagesShare: pages / served.differentPages,
    objects,
    objectsShare: objects / served.differentObjects,
  };
}

export interface Equality {
  readonly equal: number;
  readonly tombstones: number;
  readonly differences: readonly Difference[];
  readonly unsettledEvents: number;
}

/** How long the last changes may take to come to rest, and a read that is still under way to end. */
const SETTLE_SECONDS = 90;

/**
 * Waits until every event of the account has its outcome, then compares the tables of these types with the truth. The
 * simulator must not change any more.
 */
export async function equality(
  { simulator, pool, signal }: World,
  account: string,
  types: readonly string[],
  /** Events of this second and before are none of the account's. */
  openedAt = 0,
): Promise<Equality> {
  const all = await simulator.lines<TrueEvent>('events');
  const events = all.filter(({ created }) => created > openedAt);
  const truth = await readTruth(simulator.lines<TrueLine>('truth'));
  const announced = new Set(all.map((event) => `${event.object}/${event.objectId}`));
  const end = Date.now() + SETTLE_SECONDS * 1000;
  const unsettled = await until(signal, 1_000, async () => {
    const count = await unsettledEvents(pool, account, events, simulator.now);
    return count === 0 || Date.now() >= end ? count : null;
  });
  return until(signal, 1_000, async () => {
    const compared = await compareTruth(pool, account, truth, announced);
    const differences = compared.differences.filter(({ object }) => types.includes(object));
    if (differences.length > 0 && Date.now() < end) return null;
    return {
      equal: compared.equal,
      tombstones: compared.tombstones,
      differences,
      unsettledEvents: unsettled,
    };
  });
}

type TrueLine = TrueObject & { readonly object: string; readonly id: string };

async function readTruth(reading: Promise<TrueLine[]>): Promise<TrueObjects> {
  const truth = new Map<string, Map<string, TrueObject>>();
  for (const { object, id, ...state } of await reading) {
    const known = truth.get(object);
    if (known === undefined) truth.set(object, new Map([[id, state]]));
    else known.set(id, state);
  }
  return truth;
}

async function unsettledEvents(
  pool: Pool,
  account: string,
  events: readonly TrueEvent[],
  since: number,
): Promise<number> {
  const outcomes = await readOutcomes(pool, account);
  const settled = new Set(outcomes.flatMap(({ id, outcome }) => (outcome === null ? [] : [id])));
  return events.filter((event) => event.created >= Math.floor(since) && !settled.has(event.id)).length;
}
