-- The endpoint of a platform in live mode is sent the test events of its connected accounts, too. What they say is of
-- other objects than the tables hold.
alter table stripe_sync.accounts add column livemode boolean;

-- Each delivery to a platform's endpoint names a connected account, whose alias is looked up.
create index accounts_stripe_account on stripe_sync.accounts (stripe_account) where stripe_account is not null;

comment on column stripe_sync.accounts.livemode is
  'Whether what the tables hold of the account is of live mode, as the prefix of its key says; null: that did not tell';
