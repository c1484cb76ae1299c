-- Beside the reads of an hour, what Stripe's allowance of reads is measured by. Counted as events come in: a count over
-- the ledger would read a month of it each time.
alter table stripe_sync.reads add column transactions bigint not null default 0;

comment on column stripe_sync.reads.transactions is
  'Successful charges created in that hour, by their events: Stripe allows for 500 reads each over 30 days';
comment on column stripe_sync.reads.hour is 'Beginning of the hour, on PostgreSQL''s clock; of transactions, on Stripe''s';

insert into stripe_sync.reads as r (account, hour, transactions)
select account, date_trunc('hour', created), count(*)
from stripe_sync.events
where type = 'charge.succeeded' and created > now() - interval '30 days'
group by 1, 2
on conflict (account, hour) do update set transactions = excluded.transactions;
