import type { Pool } from 'pg';

/**
 * The transactions of the last 30 days by the charges that a listing brought: those of before the account was started
 * have no event here, and Stripe counts them all the same.
 */
const COUNT_CHARGES = `
insert into stripe_sync.reads as r (account, hour, transactions)
select $1, date_trunc('hour', created), count(*)
from stripe.charges
where account = $1 and created > now() - interval '30 days' and status = 'succeeded'
group by 2
order by 2
on conflict (account, hour) do update set transactions = greatest(r.transactions, excluded.transactions)`;

export async function countCharges(pool: Pool, account: string): Promise<void> {
  await pool.query(COUNT_CHARGES, [account]);
}
