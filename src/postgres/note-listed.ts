import type { PoolClient } from 'pg';

const NOTE_LISTED = `
update stripe_sync.events e
set listed_at = to_timestamp($3), looked_at = to_timestamp($4)
from (
  select id from stripe_sync.events
  where account = $1 and id = any($2) and source = 'webhook' and listed_at is null
  order by id
  for update
) as unlisted
where e.account = $1 and e.id = unlisted.id`;

/**
 * Notes of events that webhooks brought that the list shows them now.
 *
 * @param seen seconds of Stripe's clock
 */
export async function noteListed(
  client: PoolClient,
  account: string,
  ids: readonly string[],
  seen: { readonly seenAt: number; readonly lookedAt: number | null },
): Promise<void> {
  await client.query(NOTE_LISTED, [account, ids, seen.seenAt, seen.lookedAt]);
}
