create schema if not exists revenue;

-- Nothing here keeps a booking from being made twice. Nothing has to: it is made in the transaction that
-- settles its event.
create table if not exists revenue.bookings (
  id bigint generated always as identity primary key,
  account text not null,
  event_id text not null,
  kind text not null check (kind in ('payment', 'refund', 'failed refund')),
  object_id text not null,
  currency text not null,
  amount bigint not null,
  booked_for timestamptz not null
);

comment on column revenue.bookings.amount is 'In the smallest unit of the currency; a refund is negative';
comment on column revenue.bookings.booked_for is 'When it happened, on Stripe''s clock';

create or replace view revenue.months as
select account, date_trunc('month', booked_for at time zone 'utc') as month, currency,
  sum(amount) as amount, count(*) as bookings
from revenue.bookings
group by 1, 2, 3;
