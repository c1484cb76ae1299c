-- An alias that stands for a connected account has no variable with a key of its own: it is read with its platform's.
-- And whoever follows a platform's accounts has to know which ones it has started before: one of those that does not
-- run was stopped by somebody.
alter table stripe_sync.accounts add column key_alias text;
alter table stripe_sync.accounts add column followed_by text;

create index accounts_followed_by on stripe_sync.accounts (followed_by) where followed_by is not null;

comment on column stripe_sync.accounts.key_alias is
  'Alias of the platform whose key reads this connected account; null: the key of the alias itself';
comment on column stripe_sync.accounts.followed_by is
  'Alias of the platform with whose connected accounts this one was started (stripe-sync start PLATFORM --all-connected); null: started by itself, or no longer followed';
