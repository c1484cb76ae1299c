-- How late Stripe's list is, from both sides: when it was last read without the event, and when it first showed it.
alter table stripe_sync.events add column listed_at timestamptz;
alter table stripe_sync.events add column looked_at timestamptz;

comment on column stripe_sync.events.seen_at is
  'When anybody first saw it (the list or a webhook), on Stripe''s clock; minus created: how late it was known';
comment on column stripe_sync.events.listed_at is
  'When the list first showed it, on Stripe''s clock; null while only a webhook knows it';
comment on column stripe_sync.events.looked_at is
  'When its place in the list was last read without it, on Stripe''s clock; null where nobody had looked';

alter table stripe_sync.accounts add column began_at timestamptz;
alter table stripe_sync.accounts add column deep_rescanned_to timestamptz;
alter table stripe_sync.accounts add column looked_at timestamptz;

comment on column stripe_sync.accounts.began_at is
  'Events are taken from here on, on Stripe''s clock; what is older came with the first backfill';
comment on column stripe_sync.accounts.deep_rescanned_to is
  'Up to which created everything was listed again by the last deep rescan; null: none yet';
comment on column stripe_sync.accounts.looked_at is
  'When the list was last read to its end, on Stripe''s clock: nothing older can have been missed';

-- What a webhook told of and the list has not shown yet. It holds few rows, whatever the ledger's size.
create index events_unlisted on stripe_sync.events (account, id) where source = 'webhook' and listed_at is null;

-- What surfaced behind the cursor. It holds few rows too, or something is wrong.
create index events_leaks on stripe_sync.events (account) where source = 'rescan';
