-- A listing's position moves in the transaction that writes what was listed, so whoever goes on after a crash lists
-- nothing twice but what was under way.
create table stripe_sync.backfills (
  account text not null,
  number integer not null,
  run text not null,
  workflow text not null,
  reason text not null,
  types text[] not null,
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  outcome text constraint backfills_outcome_check check (outcome in ('done', 'failed')),
  primary key (account, number),
  unique (account, run)
);

comment on table stripe_sync.backfills is 'One row per backfill: what it lists, and what became of it.';
comment on column stripe_sync.backfills.account is 'Alias of the account';
comment on column stripe_sync.backfills.number is
  'Counts the backfills of the account, over all runs of its workflow; the rows that it wrote have the source backfill:NUMBER';
comment on column stripe_sync.backfills.run is 'Run id of its workflow';
comment on column stripe_sync.backfills.workflow is 'Id of its workflow';
comment on column stripe_sync.backfills.reason is 'Why it runs: the first one, asked for, a gap in the events, a refresh';
comment on column stripe_sync.backfills.types is 'Stripe''s names of the types that it lists, in order';
comment on column stripe_sync.backfills.started_at is 'On PostgreSQL''s clock';
comment on column stripe_sync.backfills.ended_at is 'On PostgreSQL''s clock';
comment on column stripe_sync.backfills.outcome is 'Null while it runs; failed where a type could not be listed to its end';

create table stripe_sync.listings (
  account text not null,
  number integer not null,
  object text not null,
  since timestamptz,
  started_at timestamptz not null default clock_timestamp(),
  began_at timestamptz,
  ended_at timestamptz,
  rows bigint not null default 0,
  requests bigint not null default 0,
  refused bigint not null default 0,
  covered bigint not null default 0,
  swept bigint not null default 0,
  unswept bigint not null default 0,
  walk integer not null default 0,
  parent_after text,
  parents_done bigint not null default 0,
  parents_total bigint,
  sweeping boolean not null default false,
  outcome text constraint listings_outcome_check check (outcome in ('done', 'skipped', 'failed')),
  reason text,
  complete_to timestamptz,
  primary key (account, number, object),
  foreign key (account, number) references stripe_sync.backfills on delete cascade
);

create table stripe_sync.listing_ranges (
  account text not null,
  number integer not null,
  object text not null,
  range integer generated always as identity,
  pass integer not null default 0,
  created_from bigint,
  created_to bigint,
  newest bigint,
  reached bigint,
  starting_after text,
  trail text[] not null default '{}',
  pages bigint not null default 0,
  rows bigint not null default 0,
  primary key (account, number, object, range),
  foreign key (account, number, object) references stripe_sync.listings on delete cascade
);

create table stripe_sync.listing_reads (
  account text not null,
  number integer not null,
  object text not null,
  id text not null,
  after bigint not null,
  primary key (account, number, object, id),
  foreign key (account, number, object) references stripe_sync.listings on delete cascade
);

comment on table stripe_sync.listings is
  'One row per type and backfill: how far its listing is, and what it proves.';
comment on column stripe_sync.listings.account is 'Alias of the account';
comment on column stripe_sync.listings.number is 'Number of the backfill that it is part of';
comment on column stripe_sync.listings.object is 'Stripe''s name of the type, such as customer';
comment on column stripe_sync.listings.since is
  'Only what was created (or, under a parent, belongs to what changed) from then on; null: all of it';
comment on column stripe_sync.listings.started_at is 'On PostgreSQL''s clock';
comment on column stripe_sync.listings.began_at is
  'The first page was read no earlier, on Stripe''s clock: what Stripe had then, the listing shows, or it is gone';
comment on column stripe_sync.listings.ended_at is 'On PostgreSQL''s clock';
comment on column stripe_sync.listings.rows is 'Objects listed in ranges that are done, each as often as it was listed';
comment on column stripe_sync.listings.requests is 'Pages and objects that were asked for, in ranges that are done';
comment on column stripe_sync.listings.refused is 'Objects that PostgreSQL cannot hold; the worker''s log names them';
comment on column stripe_sync.listings.covered is
  'Seconds of created that the ranges that are done had objects in: what is left is judged by it';
comment on column stripe_sync.listings.swept is 'Rows that the listing did not show, and that were read one by one';
comment on column stripe_sync.listings.unswept is 'Rows that the listing did not show and that were not read: there were too many';
comment on column stripe_sync.listings.walk is 'Which of the type''s walks over parents is under way';
comment on column stripe_sync.listings.parent_after is 'The walk goes on after this parent';
comment on column stripe_sync.listings.parents_done is 'Parents whose objects were listed';
comment on column stripe_sync.listings.parents_total is 'Parents that were there when the walk began';
comment on column stripe_sync.listings.sweeping is 'Whether everything is listed, and what was not shown is being checked';
comment on column stripe_sync.listings.outcome is
  'Null while under way; done; skipped (this account or key does not have the type) or failed: see reason';
comment on column stripe_sync.listings.reason is 'Why it was skipped or failed';
comment on column stripe_sync.listings.complete_to is
  'Everything that was created before is in the table, on Stripe''s clock; null where the listing does not prove it';

comment on table stripe_sync.listing_ranges is
  'What is left to be listed of a type: ranges of created, each walked from its newest object to its oldest.';
comment on column stripe_sync.listing_ranges.account is 'Alias of the account';
comment on column stripe_sync.listing_ranges.number is 'Number of the backfill';
comment on column stripe_sync.listing_ranges.object is 'Stripe''s name of the type';
comment on column stripe_sync.listing_ranges.range is 'Number of the range';
comment on column stripe_sync.listing_ranges.pass is 'Which of the list''s passes, each with another filter';
comment on column stripe_sync.listing_ranges.created_from is 'Seconds since 1970, inclusive; null: no bound';
comment on column stripe_sync.listing_ranges.created_to is 'Seconds since 1970, exclusive; null: no bound';
comment on column stripe_sync.listing_ranges.newest is 'created of the first object that was listed';
comment on column stripe_sync.listing_ranges.reached is 'created of the last object that was listed, in seconds since 1970';
comment on column stripe_sync.listing_ranges.starting_after is 'The object after which the next page begins';
comment on column stripe_sync.listing_ranges.trail is 'Objects listed before it, should it be deleted meanwhile';
comment on column stripe_sync.listing_ranges.pages is 'Pages that were taken of it';
comment on column stripe_sync.listing_ranges.rows is 'Objects on them';

comment on table stripe_sync.listing_reads is
  'Objects that a page does not settle, since the clock cannot order it against their rows or it shows them in part: each is read by itself.';
comment on column stripe_sync.listing_reads.account is 'Alias of the account';
comment on column stripe_sync.listing_reads.number is 'Number of the backfill';
comment on column stripe_sync.listing_reads.object is 'Stripe''s name of the type';
comment on column stripe_sync.listing_reads.id is 'Key of the object''s row';
comment on column stripe_sync.listing_reads.after is 'The read has to lie past this second of Stripe''s clock';

comment on column stripe_sync.changes.changed is
  'Top-level keys of data whose values changed; empty where the row is new, since all of them are';

alter table stripe_sync.accounts add column key_account text;

comment on column stripe_sync.accounts.key_account is
  'The Stripe account (acct_…) that the key was of when that was first asked; null where the key may not tell. With a key of another account, everything here would look deleted';
