/** Walks over the rows of parents: which of them there are, and how far a walk has come. */
import { escapeIdentifier, type Pool } from 'pg';
import type { WalkedParent } from '../stripe/walk-request.js';
import type { NumberedListing } from './listings.js';

/** The rows that a walk goes over: living ones in the order of their ids. */
export interface ParentRows {
  readonly listing: NumberedListing;
  readonly table: string;
  /** The parents' `object`. */
  readonly parent: string;
  /** SQL over the parent's row `p`; null for all. */
  readonly where: string | null;
  /** Stripe's clock in seconds: only rows whose state changed since. Null: all. */
  readonly since: number | null;
  /** Only rows that came, or came back, after the listing had begun. */
  readonly newcomers: boolean;
}

/** So far back the feed of every account reaches: it is kept for 8 days at least, and for more where it is younger. */
const FEED_DAYS = 7;

/**
 * A row whose state changed since $2. A listing moves the row's interval whether it finds a change or not, so the change
 * feed tells, as far back as it is kept. It says when on Stripe's clock, and finds it by PostgreSQL's, which may be off.
 */
const CHANGED = `p.as_of_until >= to_timestamp($2) and (
    to_timestamp($2) < now() - interval '${FEED_DAYS} days'
    or coalesce(to_timestamp($2) < (select recorded_at from stripe_sync.changes order by sequence limit 1), true)
    or p.id in (
      select c.id from stripe_sync.changes c
      where c.account = $1 and c.object = $5 and c.as_of >= to_timestamp($2) - interval '10 seconds'
        and c.recorded_at >= to_timestamp($2) - interval '1 hour'
    )
  )`;

/** Bound to $1 to $4: account, `since`, number and object of the listing; $5 is the parents' `object`. */
const parentsSql = ({ table, where, newcomers }: ParentRows) => `
from stripe.${escapeIdentifier(table)} p
where p.account = $1 and not p.deleted and ($2::bigint is null or (${CHANGED}))
  and ${where === null ? 'true' : `coalesce(${where}, false)`}
  and ${
    newcomers
      ? `p.id in (
    select c.id from stripe_sync.changes c
    where c.account = $1 and c.object = $5 and c.kind = 'created' and c.recorded_at >= (
      select started_at from stripe_sync.listings where account = $1 and number = $3 and object = $4
    ))`
      : '$3::integer is not null and $4::text is not null and $5::text is not null'
  }`;

const parametersOf = ({ listing, since, parent }: ParentRows) => [
  listing.account,
  since,
  listing.number,
  listing.object,
  parent,
];

/**
 * The next parents of a walk.
 *
 * @param after the id after which they begin; null for the beginning
 * @param fields text fields that are wanted besides the id
 */
export async function readParents(
  pool: Pool,
  parents: ParentRows,
  {
    after,
    most,
    fields,
  }: { readonly after: string | null; readonly most: number; readonly fields: readonly string[] },
): Promise<readonly WalkedParent[]> {
  const { rows } = await pool.query<WalkedParent>(
    `select p.id, (select coalesce(jsonb_object_agg(f, p.data->>f), '{}') from unnest($8::text[]) f) as fields
     ${parentsSql(parents)} and ($6::text is null or p.id > $6)
     order by p.id limit $7`,
    [...parametersOf(parents), after, most, fields],
  );
  return rows;
}

export async function countParents(pool: Pool, parents: ParentRows): Promise<number> {
  const { rows } = await pool.query<{ count: string | number }>(
    `select count(*) ${parentsSql(parents)}`,
    parametersOf(parents),
  );
  return Number(rows[0]?.count ?? 0);
}

export interface WalkPosition {
  /** Which of the listing's walks is under way. */
  readonly walk: number;
  /** The parent that it has come to; null before the first. */
  readonly after: string | null;
}

export interface WalkState extends WalkPosition {
  readonly parents: { readonly done: number; readonly total: number | null };
  /** What was left out so far, and why. */
  readonly reason: string | null;
}

const STATE =
  'walk, parent_after as after, parents_done::float8 as done, parents_total::float8 as total, reason';

interface StateRow extends WalkPosition {
  readonly done: number;
  readonly total: number | null;
  readonly reason: string | null;
}

const stateOf = ({ done, total, ...rest }: StateRow): WalkState => ({ ...rest, parents: { done, total } });

/** Throws where the listing has not been opened. */
export async function readWalkState(
  pool: Pool,
  { account, number, object }: NumberedListing,
): Promise<WalkState> {
  const { rows } = await pool.query<StateRow>(
    `select ${STATE} from stripe_sync.listings where account = $1 and number = $2 and object = $3`,
    [account, number, object],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`the listing ${number} of ${object} was not opened`);
  return stateOf(row);
}

/** What parents that are done add to a listing. */
export interface WalkedSoFar {
  readonly parents: number;
  readonly rows: number;
  readonly requests: number;
  /** Objects that PostgreSQL cannot hold. */
  readonly refused: number;
}

export interface WalkStep {
  readonly from: WalkPosition;
  readonly to: WalkPosition;
  readonly done: WalkedSoFar;
  /** Parents that the walk turns out to have besides those that were counted. */
  readonly moreParents: number;
  /** What is left out, and why. */
  readonly reason: string | null;
}

const MOVE = `
update stripe_sync.listings
set walk = $6, parent_after = $7,
  parents_done = parents_done + $8, rows = rows + $9, requests = requests + $10, refused = refused + $11,
  parents_total = coalesce(parents_total, 0) + $12,
  reason = case when $13::text is null then reason else left(concat_ws(' ', reason, $13), 2000) end
where account = $1 and number = $2 and object = $3 and outcome is null
  and walk = $4 and parent_after is not distinct from $5
returning ${STATE}`;

/**
 * Moves the position of a walk, with what was done up to there.
 *
 * @returns null where it is no longer where the walk was, or the listing has ended: somebody else is on the way
 */
export async function moveWalk(
  pool: Pool,
  { account, number, object }: NumberedListing,
  { from, to, done, moreParents, reason }: WalkStep,
): Promise<WalkState | null> {
  const { rows } = await pool.query<StateRow>(MOVE, [
    account,
    number,
    object,
    from.walk,
    from.after,
    to.walk,
    to.after,
    done.parents,
    done.rows,
    done.requests,
    done.refused,
    moreParents,
    reason,
  ]);
  return rows[0] === undefined ? null : stateOf(rows[0]);
}
