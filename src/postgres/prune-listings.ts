import type { Pool } from 'pg';

/**
 * Deletes what is left of earlier backfills. Of each type there stay: its last listing, the last one of all of it
 * (from which a refresh counts), and the one that proves most (from which the next part goes on). The account's last
 * backfill stays whole: its progress is shown.
 */
const PRUNE_LISTINGS = `
with kept as (
  select max(number) as last,
    max(number) filter (where outcome = 'done' and since is null) as whole,
    (array_agg(number order by complete_to desc nulls last, number desc))[1] as proves,
    object
  from stripe_sync.listings
  where account = $1
  group by object
)
delete from stripe_sync.listings l using kept k
where l.account = $1 and l.object = k.object
  and l.number < (select max(number) from stripe_sync.backfills where account = $1)
  and l.number <> k.last and l.number is distinct from k.whole and l.number is distinct from k.proves
  and coalesce(l.ended_at, l.started_at) < now() - make_interval(secs => $2)`;

/** Backfills of which no listing is left, but the last one, which the next one is numbered after. */
const PRUNE_BACKFILLS = `
delete from stripe_sync.backfills b
where b.account = $1
  and b.number < (select max(number) from stripe_sync.backfills where account = $1)
  and coalesce(b.ended_at, b.started_at) < now() - make_interval(secs => $2)
  and not exists (
    select from stripe_sync.listings l where l.account = b.account and l.number = b.number)`;

/** @returns how many listings went */
export async function pruneListings(
  pool: Pool,
  input: { readonly account: string; readonly keepSeconds: number },
): Promise<number> {
  const { account, keepSeconds } = input;
  const { rowCount } = await pool.query(PRUNE_LISTINGS, [account, keepSeconds]);
  await pool.query(PRUNE_BACKFILLS, [account, keepSeconds]);
  return rowCount ?? 0;
}
