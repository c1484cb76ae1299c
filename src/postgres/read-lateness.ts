import type { Pool } from 'pg';

export interface ReadLateness {
  readonly account: string;
  /** Events created from here on count, in seconds of Stripe's clock. */
  readonly since: number;
  /** Upper bounds of the histogram's buckets in seconds, ascending; one more bucket holds what is later still. */
  readonly buckets: readonly number[];
  /** Percentiles to read, such as 99.9. */
  readonly percents: readonly number[];
}

/** How late Stripe's list showed the events of an account, in whole seconds. Nulls where nothing was measured. */
export interface Lateness {
  readonly measured: number;
  readonly notMeasured: number;
  /** One count per bucket, and one for the rest. */
  readonly histogram: readonly number[];
  /** As asked, over the upper bounds of the lateness: the nearest rank, so each is a value that was measured. */
  readonly percentiles: readonly (number | null)[];
  readonly worstSeconds: number | null;
  /** The longest after its second that an event was seen to be missing from the list: a lower bound of the worst. */
  readonly worstAtLeastSeconds: number | null;
  /** Events that surfaced behind the cursor. They are part of what was measured. */
  readonly leaks: { readonly count: number; readonly worstSeconds: number | null };
}

/**
 * An event's lateness lies between looked_at - created (its place was read, and it was missing) and
 * listed_at - created (it was there); neither is below 0. It counts as measured
 * - where the two are at most 60 s apart, or no farther than the lower one is long. Whatever was first listed
 *   after a pause, an outage or a backlog tells when we came back, and nothing about Stripe;
 * - where the source is rescan: the event surfaced behind the cursor, and leaving the latest ones out would make
 *   the list look better than it is. Rows from before listed_at was kept have that moment in seen_at.
 *
 * `created` and the clock of Stripe's responses have whole seconds, so no finer figure exists: an upper bound is
 * rounded up, a lower one down. Rows are counted per second of lateness first, which leaves a few hundred at
 * most for the sums, the buckets and the ranks.
 */
const READ_LATENESS = `
with event as (
  select source = 'rescan' as leaked, created, looked_at,
    case when source = 'rescan' then coalesce(listed_at, seen_at) else listed_at end as listed_at
  from stripe_sync.events
  where account = $1 and created >= to_timestamp($2)
), bounded as (
  select leaked,
    leaked or (
      listed_at is not null and looked_at is not null
      and listed_at - greatest(looked_at, created) <= greatest(interval '60 seconds', looked_at - created)
    ) as measured,
    greatest(0, ceil(extract(epoch from listed_at - created)))::bigint as at_most,
    case when looked_at is null then 0
      else greatest(0, floor(extract(epoch from least(looked_at, listed_at) - created))) end::bigint as at_least
  from event
), counted as (
  select measured, leaked, at_most, max(at_least) as at_least, count(*) as events
  from bounded
  group by measured, leaked, at_most
), ranked as (
  select at_most, sum(sum(events)) over (order by at_most) as up_to_here, sum(sum(events)) over () as total
  from counted
  where measured
  group by at_most
)
select
  coalesce(sum(events) filter (where measured), 0)::float8 as measured,
  coalesce(sum(events) filter (where not measured), 0)::float8 as not_measured,
  (max(at_most) filter (where measured))::float8 as worst,
  (max(at_least) filter (where measured))::float8 as worst_at_least,
  coalesce(sum(events) filter (where leaked), 0)::float8 as leaks,
  (max(at_most) filter (where leaked))::float8 as worst_leak,
  array(
    select coalesce(sum(c.events), 0)
    from generate_series(0, cardinality($3::bigint[])) as bucket
    left join counted as c on c.measured and width_bucket(c.at_most - 1, $3::bigint[]) = bucket
    group by bucket
    order by bucket
  )::float8[] as histogram,
  array(
    select (select min(at_most) from ranked where up_to_here >= ceil(total * percent / 100))
    from unnest($4::numeric[]) with ordinality as asked(percent, n)
    order by n
  )::float8[] as percentiles
from counted`;

export async function readLateness(pool: Pool, input: ReadLateness): Promise<Lateness> {
  const { rows } = await pool.query<{
    measured: number;
    not_measured: number;
    worst: number | null;
    worst_at_least: number | null;
    leaks: number;
    worst_leak: number | null;
    histogram: number[];
    percentiles: (number | null)[];
  }>(READ_LATENESS, [input.account, input.since, input.buckets, input.percents]);
  const [row] = rows;
  if (row === undefined) throw new Error('An aggregate without groups has one row.');
  return {
    measured: row.measured,
    notMeasured: row.not_measured,
    histogram: row.histogram,
    percentiles: row.percentiles,
    worstSeconds: row.worst,
    worstAtLeastSeconds: row.worst_at_least,
    leaks: { count: row.leaks, worstSeconds: row.worst_leak },
  };
}
